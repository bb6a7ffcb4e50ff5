"""Log records and errors in the forms of Lambda's Python runtime (Source: PyPI awslambdaric).

Left out on purpose: its LAMBDA_WARNING line after a failed start, which speaks of AWS changing the
runtime under a function; here nobody does.
"""

import json
import logging
import os
import sys
import time

from _samovar_json import to_json

request_id = None  # of the invocation that runs; log records carry it
tenant_id = None
JSON_LOGS = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Fault(Exception):
    """An error that the runtime names itself, such as Runtime.ImportModuleError."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace


# ---- log records -------------------------------------------------------------------------------


class _OfThisCall(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id or ""
        record.tenant_id = tenant_id
        return True


class _ToStdout(logging.Handler):
    """Writes to what sys.stdout is at that moment, as print does."""

    def emit(self, record):
        try:
            sys.stdout.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with the members that Lambda writes, in its order."""

    _own = frozenset(vars(logging.makeLogRecord({}))) - {"taskName"} | {"aws_request_id", "tenant_id"}

    def format(self, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        record.levelno, record.levelname = level, logging.getLevelName(level)
        plain = isinstance(record.msg, dict) and not record.args
        out = {
            "timestamp": self.formatTime(record, STAMP),
            "level": record.levelname,
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            import traceback

            kind, value, trace = record.exc_info
            out["stackTrace"] = traceback.format_tb(trace)
            out["errorType"] = kind.__name__ if kind else None
            out["errorMessage"] = str(value)
        out["requestId"] = record.aws_request_id
        if record.exc_info:
            out["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
        if record.tenant_id is not None:
            out["tenantId"] = record.tenant_id
        for name, value in vars(record).items():
            if name not in self._own and name not in out:
                out[name] = value
        out = {name: value for name, value in out.items() if value is not None}
        return json.dumps(out, ensure_ascii=False, default=str)


def set_up():
    """Gives the root logger Lambda's handler."""
    logging.Formatter.converter = time.gmtime
    handler = _ToStdout()
    if JSON_LOGS:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
                "%Y-%m-%dT%H:%M:%S",
            )
        )
    handler.addFilter(_OfThisCall())
    root = logging.getLogger()
    root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG"}.get(level, level)
    if level in logging._nameToLevel:
        root.setLevel(level)


# ---- errors ------------------------------------------------------------------------------------


def log_error(error):
    """Writes an error document the way Lambda's log shows it."""
    if JSON_LOGS:
        stamp = time.strftime(STAMP, time.gmtime())
        text = to_json({"timestamp": stamp, "level": "ERROR", **error})
    else:
        title = "[ERROR] " + error["errorType"]
        if error["errorMessage"]:
            title += ": " + error["errorMessage"]
        lines = [title, "Traceback (most recent call last):"]
        for entry in error["stackTrace"]:
            for line in entry.splitlines() or [""]:
                text = line.lstrip(" ")
                lines.append("\u00a0" * (len(line) - len(text)) + text)
        text = "\n".join(lines)
    try:
        sys.stdout.write(text + "\n")
    except Exception:
        pass  # the handler has closed it


def _frames(error):
    """The traceback from the first frame that is not ours, as AWS cuts its own."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    for first, frame in enumerate(frames):
        if not frame.filename.startswith(OWN):
            frames = frames[first:]
            break
    # As tuples: newer Pythons would add lines of carets that AWS's runtime does not send.
    return traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])


def describe(error, invoke_id=""):
    """The error document of an exception: errorMessage, errorType, requestId, stackTrace."""
    if isinstance(error, Fault):
        kind, message, trace = error.error_type, error.message, error.trace or []
    else:
        kind, trace = type(error).__name__, _frames(error)
        try:
            message = str(error)
        except Exception:
            message = "<unprintable %s object>" % kind
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": invoke_id,
        "stackTrace": trace,
    }
