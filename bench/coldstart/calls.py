"""Calls as bare as they can be, so that what is measured is the server's; and functions to be called."""

import json
import socket
import time

from harness import ROLE, until


def post(address, path, body, patience=0.0):
    """POST over a connection of its own; answers the reply's body. Tries to connect for `patience` seconds."""
    end = time.monotonic() + patience
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    while True:
        with socket.socket() as link:
            link.settimeout(120)
            try:
                link.connect(address)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)
                continue
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.sendall((head + "\r\n").encode() + body)
            got = b""
            while b"\r\n\r\n" not in got:
                piece = link.recv(65536)
                assert piece, f"the connection closed after {got!r}"
                got += piece
            top, rest = got.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b": ", 1) for line in top.split(b"\r\n")[1:])
            while len(rest) < int(fields[b"content-length"]):
                piece = link.recv(65536)
                assert piece, f"the connection closed after {rest!r}"
                rest += piece
            assert b" 200 " in top.split(b"\r\n")[0], (top, rest)
            assert b"x-amz-function-error" not in fields, rest
            return rest


def upload(server, zip_):
    """The Code of a package that the server has now."""
    with open(zip_, "rb") as body:
        reply = server.raw("PUT", "/samovar/v1/uploads", body, {"Content-Length": str(zip_.stat().st_size)})
    return {"S3Bucket": "samovar-uploads", "S3Key": json.loads(reply.data)["sha256"]}


class Function:
    """One function of a server."""

    def __init__(self, server, name, zip_, memory_size=1769, tags=None, environment=None, layers=(),
                 handler="app.handler", runtime="python3.11"):
        self.server, self.name = server, name
        self.address = ("127.0.0.1", server.port)
        server.client().create_function(
            FunctionName=name, Runtime=runtime, Role=ROLE, Handler=handler, Timeout=60, MemorySize=memory_size,
            Code=upload(server, zip_), Tags=tags or {}, Environment={"Variables": environment or {}}, Layers=list(layers))
        server.active(name)

    def call(self, body):
        return post(self.address, f"/2015-03-31/functions/{self.name}/invocations", body)

    def states(self):
        return [i["state"] for i in self.server.get("/samovar/v1/instances")["instances"] if i["function"] == self.name]

    def wait(self, what, **want):
        """Until nothing serves or starts, and template and spares are as wanted."""
        def there():
            states = self.states()
            return (not {"starting", "idle", "busy", "ending"} & set(states)
                    and all((states.count(state) > 0) == wanted for state, wanted in want.items()))
        until(there, 60, f"{self.name}: {what}")
        time.sleep(0.2)  # what ended is being cleaned up
