"""libsamovar_collections by ctypes: its calls (samovar_collections.h), and its errors as exceptions."""

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p


class CollectionError(Exception):
    """Base of these errors. By itself: the server did not answer; a batch may have been made, and making it again does
    no harm."""


class NotFound(CollectionError, KeyError):
    """There is no such collection, or the function may not see it."""

    __str__ = Exception.__str__


class Expired(CollectionError):
    """The snapshot was held for more than 15 minutes: take another."""


class ReadOnly(CollectionError):
    """The function's tag gives it no writes to this collection; nothing was done."""


class Error(ctypes.Structure):
    _fields_ = [("message", c_char * 256)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("rows", c_uint64), ("row_bytes", c_uint64), ("columns", c_uint32),
                ("storage", c_int32)]


class Acknowledged(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in ("generation", "put", "updated", "deleted", "missing")]


class SearchOptions(ctypes.Structure):
    _fields_ = [("exact", c_int32), ("candidates", c_uint32), ("reserved", c_uint64 * 4)]


def _load(path):
    calls = ctypes.CDLL(path)
    error, handle = POINTER(Error), c_void_p
    shapes = {
        "collection_open": (c_int, [c_char_p, c_char_p, POINTER(handle), error]),
        "collection_close": (None, [handle]),
        "collection_dimension": (c_uint32, [handle]),
        "collection_metric": (c_int, [handle]),
        "collection_storage": (c_int, [handle]),
        "collection_write": (c_int, [handle, c_char_p, c_size_t, POINTER(Acknowledged), error]),
        "snapshot_open": (c_int, [handle, c_uint64, c_uint32, POINTER(handle), error]),
        "snapshot_close": (None, [handle]),
        "snapshot_generation": (c_uint64, [handle]),
        "snapshot_check": (c_int, [handle, error]),
        "snapshot_rows": (c_uint64, [handle]),
        "snapshot_mask": (c_uint64, [handle, POINTER(c_uint8)]),
        "snapshot_find": (c_int, [handle, c_char_p, c_size_t, POINTER(c_uint64), error]),
        "snapshot_id": (c_int, [handle, c_uint64, POINTER(c_void_p), POINTER(c_size_t), error]),
        "snapshot_attributes": (c_int, [handle, c_uint64, POINTER(c_void_p), POINTER(c_size_t), error]),
        "snapshot_vector": (c_int, [handle, c_uint64, POINTER(c_float), error]),
        "snapshot_search_with": (c_int, [handle, c_void_p, c_size_t, c_size_t, c_char_p, c_size_t, POINTER(SearchOptions),
                                         POINTER(c_uint64), POINTER(c_float), POINTER(c_size_t), error]),
        "snapshot_matrix": (c_int, [handle, POINTER(Matrix), error]),
    }
    for name, (result, arguments) in shapes.items():
        function = getattr(calls, "samovar_" + name)
        function.restype, function.argtypes = result, arguments
    return calls


_library = None


def library():
    global _library
    if _library is None:
        here = os.path.dirname(os.path.abspath(__file__))
        _library = _load(os.environ.get("SAMOVAR_COLLECTIONS_LIBRARY") or os.path.join(here, "libsamovar_collections.so"))
    return _library


def check(code, error):
    if code == 0:
        return
    text = error.message.decode(errors="replace")
    raise {1: ValueError, 2: NotFound, 3: Expired, 6: ReadOnly}.get(code, CollectionError)(text)
