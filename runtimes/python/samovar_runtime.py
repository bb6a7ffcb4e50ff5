"""Samovar's Python runtime: the process inside a sandbox that runs a Python function.

Why      Faster than the Lambda Runtime API over HTTP: one read and one write a call.
How      Speaks docs/formats/channel.md over descriptor 3. What a handler sees and what its errors
         look like is AWS's own runtime client's (PyPI awslambdaric), which tests compare it with.
Errors   A fault of the user's code is an ERROR or INIT_ERROR frame with a line in the log; SystemExit
         and the like end the process, as on Lambda. A broken channel ends it too.
Units    Deadlines are Unix milliseconds.
Needs    CPython 3.9 or newer and its standard library only.
"""

import json
import logging
import os
import sys
import time
from decimal import Decimal
from struct import Struct

CHANNEL = 3
INVOKE, SHUTDOWN = 1, 2
READY, INIT_ERROR, RESPONSE, ERROR, STREAM_BEGIN, STREAM_CHUNK, STREAM_END = range(16, 23)
HEAD = Struct("<IBBH")  # length after this field, type, flags, length of meta
JSON_LOGS = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"

request_id = ""  # of the invocation that runs; log records carry it


class Fault(Exception):
    """An error that the runtime names itself, such as Runtime.ImportModuleError."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace


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
        view = memoryview(whole)
        while have < end:
            got = os.readv(CHANNEL, [view[have:]])
            if not got:
                return None
            have += got
        view.release()
        return bytes(whole)


# ---- JSON as AWS's runtime writes it -----------------------------------------------------------


class Encoder:
    """json.dumps, but a Decimal keeps its digits (a NaN becomes NaN)."""

    def __init__(self):
        # Since 3.12 AWS leaves non-ASCII text as it is.
        self._mark = "decimal-" + os.urandom(8).hex() + "-"
        self._decimals = []
        self._encode = json.JSONEncoder(
            ensure_ascii=sys.version_info < (3, 12), default=self._default
        ).encode

    def _default(self, value):
        if isinstance(value, Decimal):
            if value.is_nan():
                return float("nan")
            self._decimals.append(str(value))
            return "%s%d" % (self._mark, len(self._decimals) - 1)
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)

    def __call__(self, value):
        try:
            text = self._encode(value)
            for index in range(len(self._decimals) - 1, -1, -1):
                text = text.replace('"%s%d"' % (self._mark, index), self._decimals[index])
            return text
        finally:
            if self._decimals:
                self._decimals = []


to_json = Encoder()


# ---- the context object ------------------------------------------------------------------------


class _Record:
    """A plain object with given attributes, None where the source has none."""

    _fields = ()

    def __init__(self, values):
        for name in self._fields:
            setattr(self, name, values.get(name))

    def __repr__(self):
        inside = ",".join("%s=%s" % (name, getattr(self, name)) for name in self._fields)
        return "%s([%s])" % (type(self).__name__, inside)


class CognitoIdentity(_Record):
    _fields = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Record):
    _fields = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Record):
    _fields = ("custom", "env", "client")


_environ = os.environ.get
_FIXED = {
    "log_group_name": _environ("AWS_LAMBDA_LOG_GROUP_NAME"),
    "log_stream_name": _environ("AWS_LAMBDA_LOG_STREAM_NAME"),
    "function_name": _environ("AWS_LAMBDA_FUNCTION_NAME"),
    "memory_limit_in_mb": _environ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    "function_version": _environ("AWS_LAMBDA_FUNCTION_VERSION"),
}


class LambdaContext:
    """What a handler gets as its second argument; the attributes are AWS's."""

    def __init__(self, invoke_id, deadline_ms, arn, client_context, identity, tenant_id):
        self.__dict__.update(_FIXED)
        self.aws_request_id = invoke_id
        self.invoked_function_arn = arn
        self.tenant_id = tenant_id or None
        self._epoch_deadline_time_in_ms = deadline_ms
        self.client_context = None
        if client_context:
            self.client_context = ClientContext(_parse("Client Context", client_context))
            if self.client_context.client is not None:
                self.client_context.client = Client(self.client_context.client)
        values = _parse("Cognito Identity", identity) if identity else {}
        self.identity = CognitoIdentity(
            {
                "cognito_identity_id": values.get("cognitoIdentityId"),
                "cognito_identity_pool_id": values.get("cognitoIdentityPoolId"),
            }
        )

    def get_remaining_time_in_millis(self):
        left = self._epoch_deadline_time_in_ms - int(time.time() * 1000)
        return left if left > 0 else 0

    def log(self, msg):
        sys.stdout.write(str(msg))

    def __repr__(self):
        return "LambdaContext([%s])" % ",".join("%s=%s" % item for item in vars(self).items())


def _parse(what, text):
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("expected an object")
        return values
    except Exception as error:
        raise Fault(
            "Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (what, error)
        )


# ---- logging -----------------------------------------------------------------------------------


class _WithRequestId(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with the members that Lambda writes."""

    _own = frozenset(vars(logging.makeLogRecord({}))) | {"aws_request_id", "message", "asctime"}

    def format(self, record):
        error = record.exc_info or (None, None, None)
        plain = isinstance(record.msg, dict) and not record.args
        out = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
        }
        if error[0] is not None:
            import traceback

            out["stackTrace"] = traceback.format_tb(error[2])
            out["errorType"] = error[0].__name__
            out["errorMessage"] = str(error[1])
            out["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
        if request_id:
            out["requestId"] = request_id
        for name, value in vars(record).items():
            if name not in self._own and name not in out:
                out[name] = value
        return json.dumps(out, ensure_ascii=False, default=str)


def set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    if JSON_LOGS:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
                "%Y-%m-%dT%H:%M:%S",
            )
        )
    handler.addFilter(_WithRequestId())
    root = logging.getLogger()
    root.addHandler(handler)
    level = _environ("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    if level in ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"):
        root.setLevel({"WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level))


def log_error(error):
    """Writes an error document the way Lambda's log shows it."""
    if JSON_LOGS:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sys.stdout.write(to_json({"timestamp": stamp, "level": "ERROR", **error}) + "\n")
        return
    lines = ["[ERROR] %s: %s" % (error["errorType"], error["errorMessage"])]
    lines.append("Traceback (most recent call last):")
    for entry in error["stackTrace"]:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    sys.stdout.write("\n".join(lines) + "\n")


# ---- errors ------------------------------------------------------------------------------------


def describe(error, invoke_id=""):
    """The error document of an exception: Lambda's errorMessage, errorType, requestId, stackTrace."""
    if isinstance(error, Fault):
        kind, message, trace = error.error_type, error.message, error.trace or []
    else:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        for first, frame in enumerate(frames):
            if frame.filename != __file__ and not frame.filename.startswith("<frozen importlib"):
                frames = frames[first:]
                break
        kind, message = type(error).__name__, str(error)
        # As tuples: newer Pythons would add lines of carets that AWS's runtime does not send.
        plain = [(f.filename, f.lineno, f.name, f.line) for f in frames]
        trace = traceback.format_list(plain)
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": invoke_id,
        "stackTrace": trace,
    }


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
    """sys.path as on Lambda: the code, the layers, then the interpreter's own."""
    own = os.path.dirname(os.path.abspath(__file__))
    task = _environ("LAMBDA_TASK_ROOT", "/var/task")
    site = "python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    layers = []
    for opt in _environ("SAMOVAR_LAYERS", "/opt").split(":"):
        layers += ["%s/%s" % (opt, site), "%s/python" % opt]
    sys.path[:] = [task] + layers + [entry for entry in sys.path if entry not in (own, task, "")]


def send_stream(chunks):
    """A generator's pieces as a streamed answer."""
    send(STREAM_BEGIN, b"application/octet-stream")
    try:
        for chunk in chunks:
            if isinstance(chunk, str):
                chunk = chunk.encode()
            if chunk:
                send(STREAM_CHUNK, b"", chunk)
    except Exception as error:
        document = describe(error, request_id)
        log_error(document)
        sys.stdout.flush()
        send(STREAM_END, document["errorType"].encode(), to_json(document).encode())
        return
    sys.stdout.flush()
    send(STREAM_END)


def answer(handler, meta, payload):
    """Runs the handler on one event and sends what came of it."""
    global request_id
    fields = meta.decode().split("\0")
    request_id, deadline, arn, trace_id, client_context, identity, mode, tenant_id = fields[:8]
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        context = LambdaContext(
            request_id, int(deadline), arn, client_context, identity, tenant_id
        )
        try:
            event = json.loads(payload)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handler(event, context)
        if mode == "streaming" and hasattr(result, "__next__"):
            send_stream(result)
            return
        if isinstance(result, bytes):
            content_type, body = b"application/unknown", result
        else:
            content_type = b""
            try:
                body = to_json(result).encode("utf-8", "surrogatepass")
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
    except Exception as error:
        document = describe(error, request_id)
        log_error(document)
        sys.stdout.flush()
        sys.stderr.flush()
        send(ERROR, document["errorType"].encode(), to_json(document).encode())
        return
    sys.stdout.flush()
    sys.stderr.flush()
    send(RESPONSE, content_type, body)


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    set_up_path()
    set_up_logging()
    try:
        handler = find_handler(_environ("_HANDLER", ""))
    except Exception as error:
        document = describe(error)
        log_error(document)
        sys.stdout.flush()
        send(INIT_ERROR, document["errorType"].encode(), to_json(document).encode())
        sys.exit(1)
    sys.stdout.flush()
    frames = Frames()
    send(READY, ("python%d.%d.%d" % sys.version_info[:3]).encode())
    while True:
        frame = frames.next()
        if frame is None or frame[0] == SHUTDOWN:
            sys.exit(0)
        if frame[0] != INVOKE:
            sys.exit("samovar: unexpected frame %d" % frame[0])
        answer(handler, frame[1], frame[2])


if __name__ == "__main__":
    main()
