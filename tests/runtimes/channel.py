"""The server's side of the channel (docs/formats/channel.md), for tests of the runtimes alone.

Process starts a runtime as a sandbox does: the channel at descriptor 3, standard output and error in one
pipe, standard input /dev/null, an environment of its own. Every wait has a deadline.
"""

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVOKE, SHUTDOWN = 1, 2
READY, INIT_ERROR, RESPONSE, ERROR, STREAM_BEGIN, STREAM_CHUNK, STREAM_END = range(16, 23)
ARN = "arn:aws:lambda:us-east-1:000000000000:function:tried"
WAIT = 60  # seconds; these machines are shared


class Frame:
    def __init__(self, kind, meta, payload):
        self.kind, self.meta, self.payload = kind, meta.decode().split("\0"), payload

    @property
    def json(self):
        return json.loads(self.payload)

    def __repr__(self):
        return f"Frame({self.kind}, {self.meta}, {self.payload[:300]})"


class Process:
    def __init__(self, argv, task, environment=None, handler="app.handler", trace=""):
        self.trace = trace  # of events that name none
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": ":UTC", "HOME": "/tmp",
            "LAMBDA_TASK_ROOT": str(task), "_HANDLER": handler,
            "AWS_LAMBDA_FUNCTION_NAME": "tried", "AWS_LAMBDA_FUNCTION_VERSION": "7",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tried",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/24/[7]abc", "SAMOVAR_LAYERS": str(task / "opt"),
            **(environment or {}),
        }
        # The shell moves the channel to descriptor 3: no code of ours runs between fork and exec.
        move = f'exec 3<&{theirs.fileno()} {theirs.fileno()}<&-; exec "$@"'
        if theirs.fileno() == 3:
            move = 'exec "$@"'
        self.process = subprocess.Popen(
            [shutil.which("bash"), "-c", move, "bash", *map(str, argv)], cwd=task, env=env,
            stdin=subprocess.DEVNULL, stdout=write, stderr=write, pass_fds=[theirs.fileno()])
        theirs.close()
        os.close(write)
        self.socket, self._kept, self._log = ours, b"", []
        ours.settimeout(WAIT)
        self._reader = threading.Thread(target=self._read_log, args=(read,), daemon=True)
        self._reader.start()

    def _read_log(self, fd):
        with open(fd, "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                self._log.append(piece)

    # --- frames
    def recv(self):
        """The next frame, or None at the end."""
        while len(self._kept) < 4 or len(self._kept) < 4 + struct.unpack_from("<I", self._kept)[0]:
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            if not piece:
                assert not self._kept, f"half a frame: {self._kept[:100]}"
                return None
            self._kept += piece
        length, kind, flags, meta = struct.unpack_from("<IBBH", self._kept)
        frame, self._kept = self._kept[8 : 4 + length], self._kept[4 + length :]
        assert flags == 0
        return Frame(kind, frame[:meta], frame[meta:])

    def send(self, kind, meta=b"", payload=b"", flags=0):
        head = struct.pack("<IBBH", 4 + len(meta) + len(payload), kind, flags, len(meta))
        self.socket.sendall(head + meta + payload)

    def ready(self):
        frame = self.recv()
        assert frame and frame.kind == READY, (frame, self.log())
        return frame.meta[0]

    def send_event(self, event=None, raw=None, request_id="id-1", seconds=30.0, arn=ARN, trace=None,
                   client_context="", identity="", mode="buffered", tenant="", flags=0):
        trace = self.trace if trace is None else trace
        deadline = str(int((time.time() + seconds) * 1000))
        meta = "\0".join([request_id, deadline, arn, trace, client_context, identity, mode, tenant])
        self.send(INVOKE, meta.encode(), json.dumps(event).encode() if raw is None else raw, flags)

    def invoke(self, event=None, **more):
        """The frame that answers an event; a list of frames where the answer is a stream."""
        self.send_event(event, **more)
        frame = self.recv()
        if frame is None or frame.kind != STREAM_BEGIN:
            return frame
        frames = [frame]
        while frames[-1] is not None and frames[-1].kind != STREAM_END:
            frames.append(self.recv())
        return frames

    # --- the end
    def exit_code(self):
        return self.process.wait(WAIT)

    def log(self, until=None):
        """What was written so far; with `until`, waits for that text."""
        end = time.monotonic() + (WAIT if until else 0.0)
        while until and until not in self._text() and time.monotonic() < end and self._reader.is_alive():
            time.sleep(0.005)
        return self._text()

    def _text(self):
        return b"".join(self._log).decode(errors="replace")

    def whole_log(self):
        """What was written up to the end of the process."""
        self.exit_code()
        self._reader.join(WAIT)
        return self._text()

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait(WAIT)
        self._reader.join(WAIT)
