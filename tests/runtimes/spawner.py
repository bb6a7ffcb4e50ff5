"""Plays the spawner's part in cloning (docs/clones.md), for tests of the runtimes alone. Needs root.

Template starts a runtime in namespaces of its own, below a process 1 (template_init.py) that outlives it,
with the control socket at descriptor 4. clone() does what the real spawner does, but for cgroups and the
seccomp filter: sends the request, learns from the kernel who I and P are, mounts /proc, /tmp and /dev/shm
from outside, says "G".
"""

import array
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading

import channel
from channel import READY, WAIT, Process

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATE = 23
# A tmpfs with what the template left in its own; moved into place when full.
DRESS = """set -e
for at in /tmp /dev/shm; do
  mount -t tmpfs -o mode=1777 samovar /mnt
  cp -a $at/. /mnt/
  mount --move /mnt $at
done
mount -t proc proc /proc
"""


class Peer(Process):
    """One end of a channel and of a log; Process without its own way to start."""

    def take(self, sock, log):
        self.socket, self._kept, self._log, self.trace = sock, b"", [], ""
        sock.settimeout(WAIT)
        self._reader = threading.Thread(target=self._read_log, args=(log,), daemon=True)
        self._reader.start()

    def whole_log(self):
        self._reader.join(WAIT)
        return self._text()

    def close(self):
        self.socket.close()


class Clone(Peer):
    def __init__(self, template, environment, mounted):
        ours, theirs = socket.socketpair()
        self.setup, setup = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.setup.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.setup.settimeout(WAIT)
        read, write = os.pipe()
        given = array.array("i", [write, theirs.fileno(), setup.fileno()])
        request = json.dumps({"clone": {"env": [f"{k}={v}" for k, v in environment.items()]}}).encode()
        template.control.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)])
        os.close(write)
        theirs.close()
        setup.close()
        self.take(ours, read)
        self.init = self.step(b"I")
        self.pid = self.step(b"P")
        if mounted:
            self.mount()

    def mount(self):
        subprocess.run(["nsenter", "-t", str(self.init), "-m", "-p", "sh", "-c", DRESS], check=True, timeout=WAIT)
        self.setup.send(b"G")

    def step(self, kind):
        """The host's pid of who said `kind`."""
        data, ancillary, _, _ = self.setup.recvmsg(256, 64)
        assert data == kind, (data, self._text())
        ((_, _, credentials),) = ancillary
        return struct.unpack("iii", credentials)[0]

    def exit_status(self):
        """As wait() has it, from what the init reports; and the most memory, in KiB."""
        data = self.setup.recv(256)
        kind, status, memory = struct.unpack("<ciq", data)
        assert kind == b"X"
        return status, memory

    def close(self):
        super().close()
        self.setup.close()


class Template(Peer):
    """A runtime that has been started as a template. `said` is its TEMPLATE frame, once read() has been."""

    def __init__(self, argv, task, environment=None, handler="app.handler"):
        ours, theirs = socket.socketpair()
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        status_read, status_write = os.pipe()
        self.clones = []
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "HOME": "/tmp",
            "LAMBDA_TASK_ROOT": str(task),
            "_HANDLER": handler,
            "SAMOVAR_TEMPLATE": "1",
            "AWS_LAMBDA_FUNCTION_NAME": "tried",
            "AWS_LAMBDA_FUNCTION_VERSION": "7",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tried",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/24/[7]template",
            "SAMOVAR_LAYERS": str(task / "opt"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        }
        plan = {
            "argv": [str(a) for a in argv],
            "env": env,
            "cwd": str(task),
            "log": write,
            "channel": theirs.fileno(),
            "control": control.fileno(),
            "status": status_write,
            "folders": sorted({str(channel.ROOT), os.path.dirname(os.path.dirname(os.path.realpath(argv[0])))}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-S", HERE / "template_init.py", json.dumps(plan)],
            stdin=subprocess.DEVNULL,
            pass_fds=[write, theirs.fileno(), control.fileno(), status_write],
        )
        for fd in (write, status_write):
            os.close(fd)
        theirs.close()
        control.close()
        self.status = open(status_read)
        self.init = int(self.status.readline())  # the host's pid of process 1
        self.take(ours, read)

    def program(self):
        """The host's pid of the program, a child of process 1's."""
        return int(pathlib.Path(f"/proc/{self.init}/task/{self.init}/children").read_text().split()[0])

    def said(self):
        """What the TEMPLATE frame says, after READY."""
        self.ready()
        frame = self.recv()
        assert frame and frame.kind == TEMPLATE, (frame, self.log())
        return frame.json

    def clone(self, mounted=True, **environment):
        self.clones.append(Clone(self, environment, mounted))
        return self.clones[-1]

    def exit_code(self):
        """How the program ended; its process 1 goes on."""
        return os.waitstatus_to_exitcode(int(self.status.readline()))

    def close(self):
        for clone in self.clones:
            clone.close()
        super().close()
        self.control.close()
        self.process.kill()
        self.process.wait(WAIT)
        self.status.close()
