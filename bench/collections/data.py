"""Clustered vectors, the same in every run: centres and noise of one size, so that clusters overlap."""

import base64
import json
import time

import numpy
import urllib3

DIMENSION = 128
GRAPH_ROWS = 10_000  # a segment with fewer gets no graph, and is compared row by row (src/collections/collection.h)
HTTP = urllib3.PoolManager(maxsize=4, retries=False, timeout=600)


def points(count, seed):
    centres = numpy.random.default_rng(1).standard_normal((2000, DIMENSION), dtype=numpy.float32)
    chance = numpy.random.default_rng(seed)
    rows = chance.standard_normal((count, DIMENSION), dtype=numpy.float32)
    rows += centres[chance.integers(0, len(centres), count)]
    return rows


def nearest(rows, queries, k=10):
    """Row numbers of the k with the largest cosine, exactly."""
    unit = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    found = []
    for start in range(0, len(queries), 20):
        ranks = queries[start:start + 20] @ unit.T
        for rank in ranks:
            best = numpy.argpartition(-rank, k)[:k]
            found.append(best[numpy.argsort(-rank[best])].tolist())
    return found


def batch(ids, rows):
    """The body of one batch."""
    changes = [{"op": "put", "id": str(i), "vector": base64.b64encode(row.tobytes()).decode()} for i, row in zip(ids, rows)]
    return json.dumps({"changes": changes})


def put(endpoint, name, ids, rows):
    reply = HTTP.request("POST", f"{endpoint}/samovar/v1/collections/{name}/batch", body=batch(ids, rows))
    if reply.status != 200:
        raise SystemExit(f"a batch was refused: {reply.status} {reply.data[:300]}")
    return json.loads(reply.data)


def ask(endpoint, method, path, body=None):
    reply = HTTP.request(method, f"{endpoint}/samovar/v1/collections{path}", body=json.dumps(body) if body else None)
    if reply.status >= 300:
        raise SystemExit(f"{method} {path}: {reply.status} {reply.data[:300]}")
    return json.loads(reply.data) if reply.data else None


def settled(endpoint, name, rows, seconds):
    """Waits until few segments are left, with graphs over nearly all rows where there are enough for one. None, or the stats
    that it had when the time was over."""
    end = time.monotonic() + seconds
    while True:
        stats = ask(endpoint, "GET", f"/{name}")["stats"]
        if stats["segments"] <= 3 and (rows < GRAPH_ROWS or stats["graph_rows"] >= 0.98 * rows):
            return None
        if time.monotonic() > end:
            return stats
        time.sleep(0.2)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
