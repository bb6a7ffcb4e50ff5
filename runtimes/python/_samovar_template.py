"""The template's side of cloning: a runtime that has initialised, and waits to be cloned.

How      become() says READY and TEMPLATE (docs/formats/channel.md), then waits for requests for
         clones on descriptor 4; it returns in each clone, and in the template itself when it is to
         be an ordinary instance after all. The wait, fork() and namespaces are C
         (runtimes/native/clone).
Errors   A hook of the function's that fails ends the process as on Lambda: INIT_ERROR with
         Runtime.BeforeSnapshotError and exit 64, Runtime.AfterRestoreError and exit 65.
"""

import gc
import os
import sys

import _samovar_clonable as clonable
import _samovar_log as log
import _samovar_random as randoms
import _samovar_renew as renewal
from _samovar_json import to_json

CHANNEL, CONTROL = 3, 4
INVOKE, INIT_ERROR, TEMPLATE = 1, 17, 23
SHARED = "a Python without the module _samovar_native cannot be cloned"

randoms.watch()


class Template:
    def __init__(self, runtime):
        self.runtime, self.native = runtime, runtime.native
        self.send, self.flush = runtime.send, runtime.flush
        self.plan = None

    # --- before the first clone

    def prepare(self):
        """Runs the hooks before a snapshot, looks at what is there, says READY. Answers whether
        clones can be made."""
        self.runtime.run_hooks(self.runtime.before_snapshot(), b"Runtime.BeforeSnapshotError", 64)
        table = (0, 0)
        if self.native is None or not self.native.supported():
            reasons = [clonable.reason(SHARED, "build it: it is part of the ordinary build")]
        else:
            table = self.native.share_pages()
            reasons, self.plan = clonable.examine(self.native, CONTROL, table)
            reasons += self.examine_control()
        if reasons:
            self.runtime.run_hooks(self.runtime.after_restore(), b"Runtime.AfterRestoreError", 65)
        gc.collect()
        gc.freeze()  # else the collector of each clone writes to all pages
        self.flush()
        self.runtime.say_ready()
        self.send(TEMPLATE, b"", to_json(describe_self(self.native, reasons)).encode())
        return not reasons

    @staticmethod
    def examine_control():
        try:
            os.fstat(CONTROL)
            return []
        except OSError:
            return [
                clonable.reason(
                    "descriptor 4, which is the platform's, has been closed",
                    "close only descriptors that the function has opened",
                )
            ]

    # --- clones

    def serve(self):
        """Makes clones. Answers True in a clone, as good as new; False in the template once an event
        or the end of it comes on the channel. What waits is C: where the template's objects stay
        as they are, each clone writes to the same pages."""
        os.set_inheritable(CONTROL, False)
        environment = self.native.wait_for_clones()
        if environment is None:
            os.close(CONTROL)
            return False
        try:
            renewal.renew(self.plan, environment)
        except Exception as error:
            self.runtime.run_hooks([(fail, (error,), {})], b"Runtime.CloneError", 1)
        log.request_id = log.tenant_id = None
        self.runtime.run_hooks(self.runtime.after_restore(), b"Runtime.AfterRestoreError", 65)
        self.flush()
        self.runtime.say_ready()
        return True


def fail(error):
    raise error


def describe_self(native, reasons):
    anonymous = 0
    try:
        with open("/proc/self/smaps_rollup") as file:
            for line in file:
                if line.startswith("Anonymous:"):
                    anonymous = int(line.split()[1]) << 10
    except OSError:
        pass
    threads = len(os.listdir("/proc/self/task"))
    return {"clonable": not reasons, "reasons": reasons, "private_bytes": anonymous, "threads": threads}


def become(runtime):
    """Makes this process a template. Returns where there are events to answer: in each clone, and in
    a template that is to be an ordinary instance after all. `runtime` is samovar_runtime."""
    template = Template(runtime)
    clonable_now = template.prepare()
    if clonable_now and template.serve():
        return
    if clonable_now and invoked():
        runtime.run_hooks(runtime.after_restore(), b"Runtime.AfterRestoreError", 65)
    randoms.unwatch()
    if template.native is not None:
        template.native.leave_pages()
        template.native.confine()


def invoked():
    """Whether what waits on the channel is an event, not the end."""
    import _socket

    channel = _socket.socket(fileno=CHANNEL)
    try:
        return channel.recv(5, _socket.MSG_PEEK)[4:] == bytes([INVOKE])
    finally:
        channel.detach()
