"""One library in a process of its own: libraries.py NAME ROWS QUERIES SECONDS. Prints JSON.

Searches one after the other, from one thread and from each of two, with the smallest width that finds 0.95 of the ten nearest.
"""

import concurrent.futures
import json
import sys
import time

import numpy
from data import DIMENSION, nearest, points

K = 10


def make_hnswlib(rows):
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=DIMENSION)
    index.init_index(max_elements=len(rows), M=16, ef_construction=100)
    index.add_items(rows, num_threads=2)
    index.set_num_threads(1)
    return index.set_ef, lambda query: index.knn_query(query, k=K)[0][0]


def make_usearch(rows):
    from usearch.index import Index

    index = Index(ndim=DIMENSION, metric="cos", dtype="f32", connectivity=16, expansion_add=100)
    index.add(numpy.arange(len(rows)), rows, threads=2)

    def width(value):
        index.expansion_search = value
    return width, lambda query: index.search(query, K, threads=1).keys


def make_faiss(rows):
    import faiss

    faiss.omp_set_num_threads(2)
    index = faiss.IndexHNSWFlat(DIMENSION, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    unit = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    index.add(unit)
    faiss.omp_set_num_threads(1)

    def width(value):
        index.hnsw.efSearch = value
    return width, lambda query: index.search(query[None], K)[1][0]


def searching(search, queries, seconds):
    """How long each search took, in microseconds."""
    times, end, number = [], time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        query = queries[number % len(queries)]
        start = time.perf_counter_ns()
        search(query)
        times.append((time.perf_counter_ns() - start) / 1000)
        number += 1
    return sorted(times)


def main():
    name, count, asked, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    rows, queries = points(count, 2), points(asked, 3)
    truth = nearest(rows, queries[:200])
    began = time.perf_counter()
    set_width, search = {"hnswlib": make_hnswlib, "usearch": make_usearch, "faiss": make_faiss}[name](rows)
    built = time.perf_counter() - began
    for width in (16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 512):
        set_width(width)
        right = sum(len(set(map(int, search(q))) & set(t)) for q, t in zip(queries, truth))
        recall = right / (K * len(truth))
        if recall >= 0.95:
            break
    times = searching(search, queries, seconds)
    number = len(times)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        two = list(pool.map(lambda _: searching(search, queries, seconds), range(2)))
    print(json.dumps({"name": name, "built_s": built, "width": width, "recall": recall, "qps": 1e6 * number / sum(times),
                      "qps_two": sum(1e6 * len(its) / sum(its) for its in two), "p50": times[number // 2],
                      "p99": times[number * 99 // 100]}))


if __name__ == "__main__":
    main()
