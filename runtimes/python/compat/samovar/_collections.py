"""Live collections, read in place: rows (id, vector, attributes) in memory that all instances share.

Why      A function that needs a million embeddings loads nothing: collection("movies") takes microseconds,
         and a write that anybody made is there at the next call.
How      Over the C library libsamovar_collections (samovar_collections.h). Each call of a Collection looks
         at the newest generation; `with movies.snapshot() as s:` gives several that agree. Writes go to the
         server and come back once they are on disk and every reader sees them.
Shapes   vector: float32 of shape (dimension,). matrix: (rows, dimension), read-only, of the storage's type (i8: steps of a
         scale that each row has of its own; get() applies it);
         ids has one entry a row of it, None where the row is gone.
Errors   NotFound: no such collection or it may not be seen. Expired: a snapshot that was held too long.
         ReadOnly: the function's tag gives it no writes. CollectionError is their base; by itself it means
         that the server did not answer. ValueError: an argument is wrong; nothing was done.
Needs    CPython 3.9 or newer. NumPy only for matrix() and vectors that are arrays.
"""

import base64
import ctypes
import json
import operator
import os
import struct
from ctypes import byref, c_float, c_size_t, c_uint8, c_uint64, c_void_p
from typing import NamedTuple

from ._library import Acknowledged as _Ack, Error as _Error, Matrix as _Matrix, SearchOptions as _Search
from ._library import CollectionError, Expired, NotFound, ReadOnly, check as _check, library as _c

METRICS, STORAGES = ("cosine", "dot", "l2"), ("f32", "f16", "i8")
MAX_HITS = 10_000


class Hit(NamedTuple):
    """One row that a search found; score is the cosine, the dot product or the Euclidean distance."""

    id: str
    score: float
    attributes: dict


class Row(NamedTuple):
    """One row; vector has `dimension` floats, also where it is stored as f16 or i8."""

    id: str
    vector: list
    attributes: dict


class Ack(NamedTuple):
    """What a batch did, and the generation that has it. missing: how many ids it did not find."""

    generation: int
    put: int
    updated: int
    deleted: int
    missing: int


def _name(id):
    if not isinstance(id, str):
        raise ValueError(f"id: expected text, got {type(id).__name__}")
    return id


def _whole(value, name, least, most):
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if least <= number <= most:
        return number
    raise ValueError(f"{name}: expected a number from {least} to {most}")


def _plain(value):
    """What NumPy's values are as JSON."""
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return value.tolist()
    raise ValueError(f"{type(value).__name__} is not JSON")


def _json(value, what):
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what}: {error}") from None


def _floats(vector):
    """A vector as C floats, and how many."""
    if hasattr(vector, "__array_interface__"):
        import numpy

        array = numpy.ascontiguousarray(vector, dtype=numpy.float32)
        if array.ndim != 1:
            raise ValueError(f"vector: expected one dimension, got the shape {array.shape}")
        return array, array.ctypes.data, array.size
    try:
        array = (c_float * len(vector))(*vector)
    except TypeError as error:
        raise ValueError(f"vector: expected numbers: {error}") from None
    return array, ctypes.addressof(array), len(vector)


class _Held:
    """The C library's snapshot, as long as a Snapshot or an array on its memory has it."""

    def __init__(self, handle):
        self.handle, self.close = handle, _c().samovar_snapshot_close

    def __del__(self):
        self.close(self.handle)


class Snapshot:
    """A collection as one generation has it. Ends with close(), its `with` block or its last reference."""

    def __init__(self, owner, handle):
        self._owner, self._held, self._ids = owner, _Held(handle), None
        self.generation = _c().samovar_snapshot_generation(handle)

    def close(self):
        """Lets go of the generation; an array that matrix() gave stays good."""
        self._held = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open(self):
        if self._held is None:
            raise CollectionError("the snapshot is closed")
        return self._held.handle

    def check(self):
        """Raises Expired where what was read of this snapshot may be wrong, as it was held too long."""
        error = _Error()
        _check(_c().samovar_snapshot_check(self._open(), byref(error)), error)

    def _text(self, what, row):
        data, size, error = c_void_p(), c_size_t(), _Error()
        _check(what(self._open(), row, byref(data), byref(size), byref(error)), error)
        return ctypes.string_at(data.value, size.value).decode() if size.value else ""

    def _attributes(self, row):
        return json.loads(self._text(_c().samovar_snapshot_attributes, row) or "{}")

    def search(self, vector, k=10, filter=None, exact=False, candidates=0):
        """The k nearest rows, best first: [Hit(id, score, attributes)]. exact: every vector is compared. candidates:
        rows that a search keeps on its way; more find more, 0 is what suits k."""
        k = _whole(k, "k", 1, MAX_HITS)
        how = _Search(exact=bool(exact), candidates=_whole(candidates, "candidates", 0, MAX_HITS))
        kept, address, size = _floats(vector)
        text = None if filter is None else _json(filter, "filter").encode()
        rows, scores, count, error = (c_uint64 * k)(), (c_float * k)(), c_size_t(), _Error()
        _check(_c().samovar_snapshot_search_with(self._open(), address, size, k, text, len(text or b""), byref(how), rows,
                                                 scores, byref(count), byref(error)), error)
        del kept
        name = _c().samovar_snapshot_id
        hits = [Hit(self._text(name, rows[i]), scores[i], self._attributes(rows[i])) for i in range(count.value)]
        self.check()
        return hits

    def get(self, id, default=None):
        """Row(id, vector, attributes), or the default where there is none."""
        name, row, error = _name(id).encode(), c_uint64(), _Error()
        code = _c().samovar_snapshot_find(self._open(), name, len(name), byref(row), byref(error))
        if code == 2:
            return default
        _check(code, error)
        vector = (c_float * self._owner.dimension)()
        _check(_c().samovar_snapshot_vector(self._open(), row, vector, byref(error)), error)
        found = Row(id, list(vector), self._attributes(row))
        self.check()
        return found

    def _mask(self):
        mask = (c_uint8 * _c().samovar_snapshot_rows(self._open()))()
        return mask, _c().samovar_snapshot_mask(self._open(), mask)

    def __len__(self):
        return self._mask()[1]

    def __contains__(self, id):
        return self.get(id) is not None

    @property
    def ids(self):
        """Ids in the order of the matrix's rows; None where the row is gone."""
        if self._ids is None:
            name = _c().samovar_snapshot_id
            self._ids = [self._text(name, i) if alive else None for i, alive in enumerate(self._mask()[0])]
            self.check()
        return self._ids

    def matrix(self):
        """All vectors as stored: a read-only array (rows, dimension) on the shared memory itself. The rows of
        ids that are None are not part of the collection. It is good as long as it lives, also after close()."""
        import numpy

        found, error = _Matrix(), _Error()
        _check(_c().samovar_snapshot_matrix(self._open(), byref(found), byref(error)), error)
        kind = numpy.dtype(("float32", "float16", "int8")[found.storage])
        size = found.rows * found.row_bytes
        if size == 0:
            return numpy.zeros((0, found.columns), kind)
        memory = (c_uint8 * size).from_address(found.data)
        memory.held = self._held
        # From a buffer that is read-only itself, so that NumPy lets nobody set it writeable, which would end in SIGSEGV.
        flat = numpy.frombuffer(memoryview(memory).toreadonly(), numpy.uint8)
        return numpy.ndarray((found.rows, found.columns), kind, flat, strides=(found.row_bytes, kind.itemsize))


class Batch:
    """Changes that are made together or not at all, when the `with` block ends well; .ack tells what they did."""

    def __init__(self, owner):
        self._owner, self._changes, self.ack = owner, [], None

    def put(self, id, vector, attributes=None):
        """The row with this id, new or in place of the one before."""
        about = {} if attributes is None else {"attributes": attributes}
        self._add({"op": "put", "id": _name(id), "vector": _packed(vector), **about})

    upsert = put

    def update(self, id, attributes):
        """Members of `attributes` replace those of the row, None takes one away; its vector stays."""
        self._add({"op": "update", "id": _name(id), "attributes": attributes})

    def delete(self, id):
        """Takes the row away; one that is not there is counted in the Ack's `missing`."""
        self._add({"op": "delete", "id": _name(id)})

    def _add(self, change):  # as text already: what is wrong is said where it is said, and later changes to it are not ours
        self._changes.append(_json(change, f"changes[{len(self._changes)}]"))

    def __len__(self):
        return len(self._changes)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self._changes:
            self.ack = self._owner._write(self._changes)


def _packed(vector):
    """A vector as base64 of f32, little-endian."""
    if hasattr(vector, "__array_interface__"):
        import numpy

        if numpy.ndim(vector) != 1:
            raise ValueError(f"vector: expected one dimension, got the shape {numpy.shape(vector)}")
        return base64.b64encode(numpy.asarray(vector, dtype="<f4").tobytes()).decode()
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError, TypeError) as error:
        raise ValueError(f"vector: expected numbers: {error}") from None


class Collection:
    """A collection by name. What is read of it is the newest generation."""

    def __init__(self, name, folder=None):
        handle, error = c_void_p(), _Error()
        self._handle = None
        if not isinstance(name, str):
            raise ValueError(f"name: expected text, got {type(name).__name__}")
        if "\0" in name:  # where C would stop reading
            raise NotFound("there is no such collection: its name has a NUL")
        _check(_c().samovar_collection_open(folder and os.fsencode(folder), name.encode(), byref(handle),
                                            byref(error)), error)
        self._handle, self.name = handle, name
        self.dimension = _c().samovar_collection_dimension(handle)
        self.metric = METRICS[_c().samovar_collection_metric(handle)]
        self.storage = STORAGES[_c().samovar_collection_storage(handle)]
        self._last = None  # the newest snapshot whose ids and matrix were asked for

    def __del__(self):
        if self._handle is not None:
            _c().samovar_collection_close(self._handle)

    def snapshot(self, min_generation=0, wait=5.0):
        """The newest generation, at least min_generation: waits so many seconds for that one."""
        least = _whole(min_generation, "min_generation", 0, 2**64 - 1)
        try:
            patience = min(max(int((wait + 0.0) * 1000), 0), 2**32 - 1)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("wait: expected a number of seconds") from None
        handle, error = c_void_p(), _Error()
        code = _c().samovar_snapshot_open(self._handle, least, patience, byref(handle), byref(error))
        if code == 2 and _opened.get(self.name) is self:
            del _opened[self.name]  # it was deleted: the next collection(name) looks for another
        _check(code, error)
        return Snapshot(self, handle)

    def _write(self, changes):
        text, ack, error = f"[{','.join(changes)}]".encode(), _Ack(), _Error()
        _check(_c().samovar_collection_write(self._handle, text, len(text), byref(ack), byref(error)), error)
        return Ack(*(getattr(ack, name) for name in Ack._fields))

    def batch(self):
        """`with movies.batch() as b: b.put(...); b.delete(...)`: all of it becomes one generation."""
        return Batch(self)

    def put(self, id, vector, attributes=None):
        """The row with this id, new or in place of the one before; answers an Ack. Every later read has it."""
        with self.batch() as one:
            one.put(id, vector, attributes)
        return one.ack

    upsert = put

    def update(self, id, attributes):
        """Changes attributes of a row, None takes one away."""
        with self.batch() as one:
            one.update(id, attributes)
        return one.ack

    def delete(self, id):
        """Takes the row away; where there is none, the Ack's `missing` is 1."""
        with self.batch() as one:
            one.delete(id)
        return one.ack

    @property
    def generation(self):
        """The newest generation: how many batches there were."""
        with self.snapshot() as now:
            return now.generation

    def search(self, vector, k=10, filter=None, min_generation=0, exact=False, candidates=0):
        """The k nearest rows (1 to 10,000), best first: [Hit(id, score, attributes)].

        vector: `dimension` numbers, a list or an array. filter: on attributes, e.g. {"range": {"year": {"gte": 1990}}}.
        min_generation: of a write whose effect must be seen; waits 5 seconds for it. exact: every vector is compared.
        candidates: rows that a search keeps on its way; more find more, 0 is what suits k."""
        with self.snapshot(min_generation) as now:
            return now.search(vector, k, filter, exact, candidates)

    def get(self, id, default=None, min_generation=0):
        """Row(id, vector, attributes), or the default where there is none; min_generation as search() has it."""
        with self.snapshot(min_generation) as now:
            return now.get(id, default)

    def __contains__(self, id):
        return self.get(id) is not None

    def __len__(self):
        with self.snapshot() as now:
            return len(now)

    def matrix(self):
        """The newest generation's vectors; .ids is then of the same generation, until matrix() is asked again."""
        self._last = self.snapshot()
        return self._last.matrix()

    @property
    def ids(self):
        """Ids in the order of the rows of matrix(), as it was asked last; None where the row is gone."""
        return (self._last or self.snapshot()).ids


_opened = {}


def collection(name):
    """The collection of that name, opened once a process: microseconds at any size. NotFound where there is none, or the
    function's tag does not name it."""
    found = _opened.get(name)
    if found is None:
        found = _opened[name] = Collection(name)
    return found
