"""What searches find of what is nearest, by NumPy's own count: with filters, in every storage, over HTTP and in a function."""

import base64
import json
import threading

import numpy
import pytest

from harness import unique, until

ROOT_PATH = "/samovar/v1/collections"
ROWS, DIMENSION, K = 15_000, 32, 10


def points(count, seed):
    """As embeddings are: most of it in fewer dimensions than they have numbers."""
    chance, plane = numpy.random.default_rng(seed), numpy.random.default_rng(0).standard_normal((12, DIMENSION))
    inner = chance.standard_normal((count, 12)) @ plane
    return (inner + 0.3 * chance.standard_normal((count, DIMENSION))).astype(numpy.float32)


SEARCH = """
from samovar import collection
def handler(event, context):
    films = collection(event["name"])
    return [[hit.id for hit in films.search(query, k=10, filter=event["filter"])] for query in event["queries"]]
"""
# One row of a hundred and one of ten, half of them, and what joins them.
FILTERS = [
    (None, lambda n: n >= 0),
    ({"eq": {"hundredth": 7}}, lambda n: n % 100 == 7),
    ({"range": {"n": {"gte": 3000, "lt": 4500}}}, lambda n: (3000 <= n) & (n < 4500)),
    ({"in": {"tenth": ["t1", "t3", "t4", "t7", "t9"]}}, lambda n: numpy.isin(n % 10, [1, 3, 4, 7, 9])),
    ({"eq": {"kinds": "even"}}, lambda n: n % 2 == 0),
    ({"and": [{"eq": {"kinds": "even"}}, {"range": {"n": {"gt": 5000}}}]}, lambda n: (n % 2 == 0) & (n > 5000)),
    ({"or": [{"eq": {"hundredth": 3}}, {"eq": {"hundredth": 4}}]}, lambda n: numpy.isin(n % 100, [3, 4])),
    ({"not": {"eq": {"tenth": "t0"}}}, lambda n: n % 10 != 0),
]


class Films:
    def __init__(self, server, storage):
        self.server, self.name = server, unique(storage)
        server.samovar("collections", "create", self.name, "--dimension", DIMENSION, "--storage", storage)
        self.rows = points(ROWS, 1)
        for start in range(0, ROWS, 2500):
            self.ask("POST", "/batch", {"changes": [
                {"op": "put", "id": str(n), "vector": base64.b64encode(self.rows[n].tobytes()).decode(), "attributes": {
                    "n": n, "hundredth": n % 100, "tenth": f"t{n % 10}", "kinds": ["odd", "x"] if n % 2 else ["even", "x"]}}
                for n in range(start, start + 2500)]})
        until(lambda: self.stats()["graph_rows"] >= 0.9 * ROWS, 200, "a graph")

    def ask(self, method, path="", body=None):
        reply = self.server.raw(method, f"{ROOT_PATH}/{self.name}{path}", b"" if body is None else json.dumps(body).encode())
        assert reply.status == 200, reply.data
        return json.loads(reply.data)

    def stats(self):
        return self.ask("GET")["stats"]

    def nearest(self, query, fits):
        """Ids of the K with the largest cosine among those that fit, by what was written."""
        scores = self.rows @ query / numpy.linalg.norm(self.rows, axis=1)
        scores[~fits(numpy.arange(ROWS))] = -numpy.inf
        return {str(n) for n in numpy.argsort(-scores)[:K]}


@pytest.fixture(scope="module", params=["f32", "f16", "i8"])
def films(request, session_server):
    return Films(session_server, request.param)


@pytest.fixture(scope="module")
def function(session_server):
    name = unique("search")
    session_server.create(SEARCH, name=name, Timeout=60)
    return name


@pytest.mark.parametrize("filter, fits", FILTERS, ids=[next(iter(f or {"all": 0})) + str(i) for i, (f, _) in enumerate(FILTERS)])
def test_a_search_finds_what_is_nearest_with_filters_and_in_every_storage(films, function, filter, fits):
    queries = points(40, 2)
    truth = [films.nearest(query, fits) for query in queries]
    asked = {} if filter is None else {"filter": filter}
    over_http = [films.ask("POST", "/search", {"vector": query.tolist(), "k": K, **asked})["hits"] for query in queries]
    inside = films.server.invoke(function, {"name": films.name, "queries": queries.tolist(), "filter": filter})
    assert not inside.error, inside.payload
    for found in ([{hit["id"] for hit in hits} for hits in over_http], [set(ids) for ids in inside.payload]):
        assert all(fits(numpy.array([int(id) for id in ids])).all() for ids in found)
        recall = sum(len(a & b) for a, b in zip(truth, found)) / (K * len(truth))
        assert recall >= 0.95, recall


def test_attributes_alone_leave_vectors_and_graph_as_they_are(films):
    live = films.server.data_dir / "collections/live" / films.name
    files = {path.name for path in live.iterdir() if path.name.startswith(("segment", "graph"))}
    before, row = films.stats(), films.ask("GET", "/rows/77")
    ack = films.ask("POST", "/batch", {"changes": [
        {"op": "update", "id": str(n), "attributes": {"fresh": True}} for n in range(50, 250)]})
    assert ack["updated"] == 200
    after = films.stats()
    assert [after[n] for n in ("rows", "stored_rows", "graph_rows", "segments")] == [
        before[n] for n in ("rows", "stored_rows", "graph_rows", "segments")]
    assert {path.name for path in live.iterdir() if path.name.startswith(("segment", "graph"))} == files
    now = films.ask("GET", "/rows/77")
    assert now["vector"] == row["vector"] and now["attributes"] == {**row["attributes"], "fresh": True}
    query = films.rows[77]
    hits = films.ask("POST", "/search", {"vector": query.tolist(), "k": K, "filter": {"eq": {"fresh": True}}})["hits"]
    assert len({hit["id"] for hit in hits} & films.nearest(query, lambda n: (50 <= n) & (n < 250))) >= 0.9 * K


def test_a_search_answers_the_same_whether_the_loop_or_the_pool_makes_it(films):
    """Without a filter and vectors it is short work, and made at once; with them it is handed on."""
    everything = {"not": {"eq": {"nothing": 1}}}
    for query in points(10, 3).tolist():
        quick = films.ask("POST", "/search", {"vector": query, "k": K, "candidates": 200})
        filtered = films.ask("POST", "/search", {"vector": query, "k": K, "candidates": 200, "filter": everything})
        vectors = films.ask("POST", "/search", {"vector": query, "k": K, "candidates": 200, "include_vectors": True})
        assert len(quick["hits"]) == K and quick == filtered
        for hit in vectors["hits"]:
            assert len(hit.pop("vector")) == DIMENSION
        assert quick == vectors


def test_many_search_while_one_of_them_takes_long(films):
    queries, failures, stop = points(8, 4).tolist(), [], threading.Event()
    alone = [films.ask("POST", "/search", {"vector": query, "k": K}) for query in queries]
    long = films.ask("POST", "/search", {"vector": queries[0], "k": 10_000, "exact": True, "include_vectors": True})

    def search(query, answer):
        while not stop.is_set() and not failures:
            if films.ask("POST", "/search", {"vector": query, "k": K}) != answer:
                failures.append(query)

    threads = [threading.Thread(target=search, args=pair) for pair in zip(queries, alone)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert films.ask("POST", "/search", {"vector": queries[0], "k": 10_000, "exact": True, "include_vectors": True}) == long
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
