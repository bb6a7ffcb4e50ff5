"""Samovar's Python runtime: the process inside a sandbox that runs a Python function.

Why      Faster than the Lambda Runtime API over HTTP: one read and one write a call.
How      Speaks docs/formats/channel.md over descriptor 3. What a handler sees and what its errors
         look like is AWS's own runtime client's (PyPI awslambdaric), which tests compare it with.
Errors   A fault of the user's code is an ERROR or INIT_ERROR frame with a line in the log; SystemExit
         and the like end the process, as on Lambda. A broken channel ends it too.
Units    Deadlines are Unix milliseconds.
Needs    CPython 3.9 or newer and its standard library. The extension _samovar_native is built with the
         server; an interpreter that cannot load it is served all the same, slower.
"""

import gc
import json
import os
import sys
from struct import Struct

try:
    import _samovar_native as native
except ImportError:
    native = None

import _samovar_log as log
from _samovar_context import CognitoIdentity, LambdaContext, context_fields
from _samovar_json import to_json
from _samovar_log import Fault, describe, log_error

template = None
if os.environ.get("SAMOVAR_TEMPLATE") == "1":
    import _samovar_template as template

CHANNEL = 3
MAX_FRAME = 256 << 20
INVOKE, SHUTDOWN = 1, 2
READY, INIT_ERROR, RESPONSE, ERROR, STREAM_BEGIN, STREAM_CHUNK, STREAM_END = range(16, 23)
HEAD = Struct("<IBBH")  # length after this field, type, flags, length of meta
HTTP_PRELUDE = b"application/vnd.awslambda.http-integration-response"


# ---- the channel -------------------------------------------------------------------------------


def send(kind, meta=b"", payload=b""):
    """Writes one frame. `meta` and `payload` are bytes."""
    head = HEAD.pack(4 + len(meta) + len(payload), kind, 0, len(meta)) + meta
    total = len(head) + len(payload)
    sent = os.writev(CHANNEL, (head, payload))
    if sent == total:
        return
    rest = memoryview(head + payload)[sent:]
    while rest:
        rest = rest[os.write(CHANNEL, rest) :]


class Frames:
    """Reads frames. next() answers (type, meta, payload), or None when the server has gone."""

    def __init__(self):
        self.kept = b""  # read beyond the last frame

    def next(self):
        data = self.kept or os.read(CHANNEL, 65536)
        while len(data) < 8:
            more = os.read(CHANNEL, 65536)
            if not more:
                return None
            data += more
        length, kind, _, meta = HEAD.unpack_from(data)
        end = 4 + length
        if length < 4 + meta or length > MAX_FRAME:
            sys.exit("samovar: a frame of %d bytes" % length)
        if len(data) < end:
            data = self._fill(data, end)
            if data is None:
                return None
        self.kept = data[end:]
        return kind, data[8 : 8 + meta], data[8 + meta : end]

    @staticmethod
    def _fill(data, end):
        whole = bytearray(end)
        have = len(data)
        whole[:have] = data
        with memoryview(whole) as view:
            while have < end:
                got = os.readv(CHANNEL, [view[have:]])
                if not got:
                    return None
                have += got
        return bytes(whole)


def flush():
    """What the handler wrote goes out before its answer does. It may have put anything there."""
    try:
        sys.stdout.flush()
    except Exception:
        pass
    try:
        sys.stderr.flush()
    except Exception:
        pass


def send_error(kind, error):
    """Tells log and server of an exception of the user's."""
    document = describe(error, log.request_id or "")
    log_error(document)
    flush()
    name = document["errorType"].encode("utf-8", "replace").replace(b"\0", b"")[:1024]
    send(kind, name, to_json(document).encode("utf-8", "replace"))


# ---- the handler -------------------------------------------------------------------------------


def find_handler(name):
    """The function that `_HANDLER` names; raises Fault with Lambda's own wording."""
    import importlib

    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, error))
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module %s as a handler module" % module_name,
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)
        )
    except SyntaxError as error:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module '%s': %s" % (module_name, error),
            ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)],
        )
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound",
            "Handler '%s' missing on module '%s'" % (function_name, module_name),
        )


def set_up_path():
    """sys.path as on Lambda: the code, the layers, the interpreter's own, and what Lambda has."""
    own = os.path.dirname(os.path.abspath(__file__))
    task = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    site = "python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    layers = []
    for opt in os.environ.get("SAMOVAR_LAYERS", "/opt").split(":"):
        layers += ["%s/%s" % (opt, site), "%s/python" % opt]
    rest = [entry for entry in sys.path if entry not in (own, task, "")]
    sys.path[:] = [task, *layers, *rest, own + "/compat"]


def chunk_bytes(chunk):
    """One piece of a streamed answer."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    return chunk.encode() if isinstance(chunk, str) else to_json(chunk).encode()


def send_stream(chunks):
    """An iterator's pieces as a streamed answer; a dict as the first piece is an HTTP answer's head."""
    begun = False
    try:
        for chunk in chunks:
            if not begun:
                prelude = isinstance(chunk, dict)
                piece = to_json(chunk).encode() + bytes(8) if prelude else chunk_bytes(chunk)
                send(STREAM_BEGIN, HTTP_PRELUDE if prelude else b"application/octet-stream")
                begun = True
            else:
                piece = chunk_bytes(chunk)
            if piece:
                send(STREAM_CHUNK, b"", piece)
    except Exception as error:
        send_error(STREAM_END if begun else ERROR, error)
        return
    flush()
    if not begun:
        send(STREAM_BEGIN, b"application/octet-stream")
    send(STREAM_END)


def marshal(result):
    """The content type and the bytes of an answer."""
    if isinstance(result, bytes):
        return b"application/unknown", result
    try:
        return b"", to_json(result).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)


def send_handler_error(error):
    """What a handler raised that C code called."""
    if error.__traceback__ is None:  # it was never entered: it takes other arguments, say
        try:
            raise error
        except Exception:
            pass
    send_error(ERROR, error)


def send_answer(result):
    """What a handler returned, whatever it is."""
    try:
        content_type, body = marshal(result)
    except Exception as error:
        send_error(ERROR, error)
        return
    flush()
    send(RESPONSE, content_type, body)


def answer(handler, meta, payload):
    """Runs the handler on one event and sends what came of it."""
    invoke_id, deadline, arn, trace_id, client, identity, mode, tenant_id = meta.decode().split("\0")[:8]
    log.request_id, log.tenant_id = invoke_id, tenant_id or None
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        context = LambdaContext(invoke_id, int(deadline), arn, client, identity, tenant_id)
        try:
            event = json.loads(payload)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handler(event, context)
        if mode == "streaming" and hasattr(result, "__next__"):
            send_stream(result)
            return
    except Exception as error:
        send_error(ERROR, error)
        return
    send_answer(result)


def before_snapshot():
    """The function's hooks, last registered first; taken away, as AWS's client does."""
    hooks = sys.modules.get("snapshot_restore_py")
    found = hooks.get_before_snapshot() if hooks else []
    while found:
        yield found.pop()


def after_restore():
    hooks = sys.modules.get("snapshot_restore_py")
    yield from list(hooks.get_after_restore()) if hooks else []


def run_hooks(hooks, name, code):
    for function, args, kwargs in hooks:
        try:
            function(*args, **kwargs)
        except BaseException as error:  # SystemExit too, as AWS's client has it
            document = describe(error)
            log_error(document)
            flush()
            send(INIT_ERROR, name, to_json(document).encode("utf-8", "replace"))
            sys.exit(code)


def main():
    os.set_inheritable(CHANNEL, False)  # a program that the handler starts does not get it
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    set_up_path()
    log.set_up()
    try:
        handler = find_handler(os.environ.get("_HANDLER", ""))
    except Exception as error:
        send_error(INIT_ERROR, error)
        sys.exit(1)
    if template is not None:
        template.become(sys.modules[__name__])  # goes on in each clone
    else:
        run_hooks(before_snapshot(), b"Runtime.BeforeSnapshotError", 64)
        run_hooks(after_restore(), b"Runtime.AfterRestoreError", 65)
        gc.freeze()  # what is there now stays; the collector need not walk it again
        flush()
        say_ready()
    serve(handler)


def say_ready():
    send(READY, ("python%d.%d.%d" % sys.version_info[:3]).encode())


def serve_one(frames, handler):
    frame = frames.next()
    if frame is None or frame[0] == SHUTDOWN:
        sys.exit(0)
    if frame[0] != INVOKE:
        sys.exit("samovar: unexpected frame %d" % frame[0])
    answer(handler, frame[1], frame[2])


def serve(handler):
    """Answers events until the server has no more."""
    if native is not None and to_json.pieces is not None:
        hooks = {
            "handler": handler,
            "context_type": LambdaContext,
            "context_fixed": context_fields(),
            "identity_type": CognitoIdentity,
            "scan": json.decoder.JSONDecoder().scan_once,
            "encode": to_json.pieces,
            "slow": lambda meta, payload: answer(handler, meta, payload),
            "failed": send_handler_error,
            "marshal": send_answer,
            "log_dict": vars(log),
            "environ": os.environ._data,
        }
        native.serve(CHANNEL, hooks)
        sys.exit(0)
    if native is not None:
        native.leave_pages()
    frames = Frames()
    while True:
        serve_one(frames, handler)


if __name__ == "__main__":
    main()
