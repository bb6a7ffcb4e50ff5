"""Runs inside a function: searches for so many seconds through the C library, one after the other.

Each search takes a snapshot of its own, as Collection.search does. Every `check`-th one is made again exactly, on the
same snapshot and outside what is measured. Answers times in microseconds.
"""

import base64
import ctypes
import time

from samovar import _collections as library
from samovar import collection

K = 10


def handler(event, context):
    began = time.perf_counter_ns()
    films = collection(event["name"])
    opened = (time.perf_counter_ns() - began) / 1000
    raw = base64.b64decode(event["queries"])
    queries = (ctypes.c_float * (len(raw) // 4)).from_buffer_copy(raw)
    count = len(queries) // films.dimension
    c, error = library._c(), library._Error()
    rows, scores, found = (ctypes.c_uint64 * K)(), (ctypes.c_float * K)(), ctypes.c_size_t()
    truth, true_scores = (ctypes.c_uint64 * K)(), (ctypes.c_float * K)()
    plain, exact = library._Search(candidates=event.get("candidates", 0)), library._Search(exact=1)
    handle = ctypes.c_void_p()
    times, right, checked = [], 0, 0

    def search(how, rows, scores, at):
        library._check(c.samovar_snapshot_search_with(handle, at, films.dimension, K, None, 0, ctypes.byref(how), rows, scores,
                                                      ctypes.byref(found), ctypes.byref(error)), error)

    end = time.perf_counter() + event["seconds"]
    number = 0
    while number < event.get("least", 0) or time.perf_counter() < end:
        at = ctypes.addressof(queries) + (number % count) * films.dimension * 4
        start = time.perf_counter_ns()
        library._check(c.samovar_snapshot_open(films._handle, 0, 0, ctypes.byref(handle), ctypes.byref(error)), error)
        search(plain, rows, scores, at)
        if number % event["check"]:
            c.samovar_snapshot_close(handle)
        times.append((time.perf_counter_ns() - start) / 1000)
        if number % event["check"] == 0:
            search(exact, truth, true_scores, at)
            right += len(set(rows) & set(truth))
            checked += K
            c.samovar_snapshot_close(handle)
        number += 1
    times.sort()
    return {"searches": number, "mean": sum(times) / number, "p50": times[number // 2], "p99": times[number * 99 // 100],
            "qps": 1e6 * number / sum(times), "recall": right / max(1, checked), "opened": opened}
