"""to_json: a handler's answer as JSON, as AWS's runtime writes it.

Why      awslambdaric uses simplejson, whose ideas differ from the standard library's: a Decimal keeps
         its digits, bytes are UTF-8 text, a named tuple is an object. The C encoder of the standard
         library is there everywhere and fast, so it does the work and only what it does not know is
         put in its terms.
Errors   As simplejson words them: TypeError, ValueError, UnicodeDecodeError, RecursionError.
"""

import json.encoder
import os
import re
import sys

_PLAIN = frozenset((str, int, float, bool, type(None)))
_MARK = "decimal-" + os.urandom(8).hex() + "-"
_MARKED = re.compile('"%s([0-9]+)"' % _MARK)


class _Encoder:
    def __init__(self):
        self._decimals = []
        self._seen = {}  # the encoder's own notes against circles
        # Since 3.12 AWS leaves text that is not ASCII as it is.
        ascii_only = sys.version_info < (3, 12)
        maker = json.encoder.c_make_encoder
        self.pieces = None  # the C encoder: (value, 0) to a tuple of text
        if maker is None:
            self._encode = json.JSONEncoder(ensure_ascii=ascii_only, default=self._default).encode
            return
        # JSONEncoder would make this object anew for each answer.
        text = json.encoder.encode_basestring_ascii if ascii_only else json.encoder.encode_basestring
        self.pieces = maker(self._seen, self._default, text, None, ": ", ", ", False, False, True)
        pieces = self.pieces
        self._encode = lambda value: "".join(pieces(value, 0))

    def __call__(self, value):
        kind = type(value)
        if kind not in _PLAIN and _has_named(value):
            value = _plain(value)
        try:
            try:
                text = self._encode(value)
            except TypeError as error:
                if not str(error).startswith("keys must be"):
                    raise
                self._decimals.clear()
                self._seen.clear()
                text = self._encode(_plain(value))
            if self._decimals:
                text = _MARKED.sub(lambda found: self._decimals[int(found[1])], text)
            return text
        finally:
            if self._decimals:
                self._decimals.clear()
            if self._seen:
                self._seen.clear()

    def _default(self, value):
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(value, decimal.Decimal):
            if value.is_nan():
                return float("nan")
            self._decimals.append(str(value))
            return "%s%d" % (_MARK, len(self._decimals) - 1)
        if isinstance(value, bytes):
            return value.decode()
        as_dict = getattr(value, "_asdict", None)
        if callable(as_dict) and not isinstance(value, type):
            return _plain(as_dict())
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _has_named(value, depth=0):
    """Whether a named tuple is in it: the C encoder would take it for a list."""
    if isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, (list, tuple)):
        if hasattr(value, "_asdict"):
            return True
        inside = value
    else:
        return False
    if depth > 200:
        return False  # a circle, perhaps; the encoder says so
    for item in inside:
        if type(item) not in _PLAIN and _has_named(item, depth + 1):
            return True
    return False


def _key(key):
    if isinstance(key, bytes):
        return key.decode()
    if isinstance(key, (str, int, float)) or key is None:
        return key
    raise TypeError(
        "keys must be str, int, float, bool or None, not %s" % type(key).__name__
    )


def _plain(value):
    """A copy with named tuples as dicts and text for keys of bytes."""
    if isinstance(value, (dict, list, tuple)):
        as_dict = getattr(value, "_asdict", None)
        if callable(as_dict):
            value = as_dict()
        if isinstance(value, dict):
            return {_key(key): _plain(item) for key, item in value.items()}
        return [_plain(item) for item in value]
    return value


to_json = _Encoder()
