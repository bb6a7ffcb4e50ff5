"""A client of gRPC that says its frames itself, so that it may stop in the middle of a message."""

import socket
import struct

DATA, HEADERS, RESET, SETTINGS, PING, WINDOW = 0, 1, 3, 4, 6, 8
ENHANCE_YOUR_CALM = 11  # which clients tell as RESOURCE_EXHAUSTED


def field(name, value):
    return b"".join([b"\0", bytes([len(name)]), name.encode(), bytes([len(value)]), value.encode()])


class Connection:
    """Knows as much of HTTP/2 as it needs: windows of what it sends, and how streams ended."""

    def __init__(self, address, window=65_535, timeout=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.buffer, self.streams, self.left, self.initial, self.frame = b"", {}, 65_535, 65_535, 16_384
        self.ended = {}
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.pack(SETTINGS, 0, 0, struct.pack(">HI", 4, window)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def pack(kind, flags, stream, body):
        return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body

    def exactly(self, size):
        while len(self.buffer) < size:
            some = self.socket.recv(1 << 16)
            if not some:
                raise ConnectionResetError("the server closed the connection")
            self.buffer += some
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def read(self):
        """One frame of the server's."""
        head = self.exactly(9)
        kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
        body = self.exactly(int.from_bytes(head[:3], "big"))
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(body), 6):
                name, value = struct.unpack(">HI", body[at:at + 6])
                if name == 4:
                    for each in self.streams:
                        self.streams[each] += value - self.initial
                    self.initial = value
                self.frame = value if name == 5 else self.frame
            self.socket.sendall(self.pack(SETTINGS, 1, 0, b""))
        elif kind == PING and not flags & 1:
            self.socket.sendall(self.pack(PING, 1, 0, body))
        elif kind == WINDOW:
            more = struct.unpack(">I", body)[0]
            if stream == 0:
                self.left += more
            elif stream in self.streams:
                self.streams[stream] += more
        elif kind == HEADERS and flags & 1:
            self.ended.setdefault(stream, body)  # trailers, of which grpc-status may be read
        elif kind == RESET:
            self.ended.setdefault(stream, struct.unpack(">I", body)[0])
        return kind, stream

    def call(self, method="ModelInfer"):
        """A new stream."""
        stream = 1 + 2 * len(self.streams)
        path = f"/inference.GRPCInferenceService/{method}"
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "any"),
                  ("content-type", "application/grpc"), ("te", "trailers")]
        self.streams[stream] = self.initial
        self.socket.sendall(self.pack(HEADERS, 4, stream, b"".join(field(*each) for each in fields)))
        return stream

    def send(self, stream, body, last=False):
        """As much as the windows allow, waiting for more; how much was sent when the stream ended."""
        sent = 0
        while sent < len(body) and stream not in self.ended:
            size = min(self.frame, self.left, self.streams[stream], len(body) - sent)
            if size <= 0:
                self.read()
                continue
            flags = 1 if last and sent + size == len(body) else 0
            self.socket.sendall(self.pack(DATA, flags, stream, body[sent:sent + size]))
            self.left -= size
            self.streams[stream] -= size
            sent += size
        return sent


def prefix(size):
    """What is before a message of that size."""
    return b"\0" + struct.pack(">I", size)
