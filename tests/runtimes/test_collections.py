"""`from samovar import collection`, on the shared memory of a real server: what functions get, without a sandbox."""

import json
import os
import pathlib
import random
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.path.insert(0, str(ROOT / "build/release/runtimes/python/compat"))

from harness import Server  # noqa: E402
import samovar  # noqa: E402

API = "/samovar/v1/collections"


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def films(server, request):
    name = "films-" + request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")[:40].replace("_", "-")
    yield Films(server, name)
    server.raw("DELETE", f"{API}/{name}")


class Films:
    """Writes over HTTP; `collection` reads the shared memory."""

    def __init__(self, server, name):
        self.server, self.name, self.folder = server, name, server.data_dir / "collections/live"
        self.dimension = None

    def make(self, dimension=4, metric="l2", storage="f32"):
        self.post("", {"name": self.name, "dimension": dimension, "metric": metric, "storage": storage}, 201)
        return samovar.Collection(self.name, self.folder)

    def post(self, path, body, status=200):
        reply = self.server.raw("POST", API + path, json.dumps(body).encode())
        assert reply.status == status, reply.data
        return json.loads(reply.data)

    def put(self, rows):
        return self.post(f"/{self.name}/batch", {"changes": [
            {"op": "put", "id": id, "vector": vector, "attributes": attributes} for id, vector, attributes in rows]})

    def change(self, *changes):
        return self.post(f"/{self.name}/batch", {"changes": list(changes)})["generation"]


def test_reads_see_what_was_written_at_once(films):
    movies = films.make()
    assert (movies.dimension, movies.metric, movies.storage, len(movies)) == (4, "l2", "f32", 0)
    generation = films.put([("heat", [1, 0, 0, 0], {"year": 1995}), ("alien", [0, 1, 0, 0], {"year": 1979})])["generation"]
    assert movies.generation == generation
    assert movies.get("heat") == ("heat", [1, 0, 0, 0], {"year": 1995}) and movies.get("nobody") is None
    assert "alien" in movies and "nobody" not in movies and len(movies) == 2
    hits = movies.search([1, 0, 0, 0.5], k=2)
    assert [(h.id, h.score, h.attributes["year"]) for h in hits] == [("heat", 0.5, 1995), ("alien", 1.5, 1979)]
    assert [h.id for h in movies.search([1, 0, 0, 0], filter={"range": {"year": {"lt": 1990}}})] == ["alien"]
    films.change({"op": "update", "id": "heat", "attributes": {"seen": True}}, {"op": "delete", "id": "alien"})
    assert movies.get("heat").attributes == {"year": 1995, "seen": True} and "alien" not in movies
    films.put([("alien", [5, 5, 5, 5], {})])
    assert movies.get("alien").vector == [5, 5, 5, 5]


def test_a_snapshot_stays_as_it_was(films):
    movies = films.make()
    films.put([(str(i), [i, 0, 0, 0], {"batch": 1}) for i in range(50)])
    with movies.snapshot() as then:
        for batch in range(2, 60):  # enough for segments to be sealed and merged meanwhile
            films.put([(str(i), [i, batch, 0, 0], {"batch": batch}) for i in range(50)])
        assert {then.get(str(i)).attributes["batch"] for i in range(50)} == {1} and len(then) == 50
        assert movies.get("7").vector == [7, 59, 0, 0] and movies.generation == then.generation + 58
    with pytest.raises(samovar.CollectionError, match="closed"):
        then.search([0, 0, 0, 0])
    assert movies.snapshot(min_generation=59).generation == 59
    with pytest.raises(samovar.CollectionError, match="did not come in time"):
        movies.snapshot(min_generation=1000, wait=0.01)


@pytest.mark.parametrize("storage", ["f32", "f16", "i8"])
def test_the_matrix_is_the_shared_memory(films, libraries, storage, monkeypatch):
    monkeypatch.syspath_prepend(str(libraries))
    import numpy

    movies = films.make(dimension=5, metric="dot", storage=storage)
    chance, wanted = random.Random(1), {}
    for batch in range(30):
        rows = {str(chance.randrange(400)): [chance.randrange(-127, 128) for _ in range(4)] + [127] for _ in range(100)}
        films.put([(id, vector, {}) for id, vector in rows.items()])
        wanted.update(rows)
    with movies.snapshot() as now:
        matrix, ids = now.matrix(), now.ids
    assert matrix.shape == (len(ids), 5) and not matrix.flags.writeable and not matrix.flags.owndata
    assert matrix.dtype == {"f32": "float32", "f16": "float16", "i8": "int8"}[storage]
    found = {id: row.tolist() for id, row in zip(ids, matrix) if id is not None}
    assert found == wanted and len(found) == sum(id is not None for id in ids)
    with pytest.raises(ValueError):
        matrix[0, 0] = 1
    for array in (matrix, matrix[1:], matrix.T):
        with pytest.raises(ValueError):
            array.flags.writeable = True
    query = numpy.array([1, 2, 3, 4, 5], numpy.float32)
    scores = matrix.astype(numpy.float32) @ query
    best = max(score for score, id in zip(scores, ids) if id is not None)
    assert movies.search(query, k=1)[0].score == pytest.approx(best)


def test_values_of_numpy_are_taken_as_json(films, libraries, monkeypatch):
    monkeypatch.syspath_prepend(str(libraries))
    import numpy

    movies = films.make()
    films.put([("a", [1, 0, 0, 0], {"year": 1995}), ("b", [0, 1, 0, 0], {"year": 1996})])
    for filter in ({"eq": {"year": numpy.int64(1996)}}, {"in": {"year": numpy.array([1996, 7])}}, {"range": {"year": {"gt": numpy.float32(1995)}}}):
        assert [h.id for h in movies.search(numpy.ones(4), numpy.int64(5), filter, candidates=numpy.uint8(9))] == ["b"]
    batch = movies.batch()
    batch.put("c", numpy.ones(4), {"share": numpy.float32(0.5), "on": numpy.bool_(True), "list": numpy.arange(3)})
    (change,) = batch._changes
    assert json.loads(change)["attributes"] == {"share": 0.5, "on": True, "list": [0, 1, 2]}


def test_new_generations_are_seen_after_a_fork(films):
    movies = films.make()
    films.put([("a", [1, 0, 0, 0], {})])
    assert "a" in movies
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(to_child[0], 1)
        os.write(from_child[1], b"yes" if movies.get("b") and movies.get("a").vector == [2, 0, 0, 0] else b"no ")
        os._exit(0)
    films.put([("b", [1, 1, 1, 1], {}), ("a", [2, 0, 0, 0], {})])
    os.write(to_child[1], b"x")
    assert os.read(from_child[0], 3) == b"yes"
    os.waitpid(child, 0)
    for end in (*to_child, *from_child):
        os.close(end)


def test_errors_say_what_is_wrong(films):
    movies = films.make()
    for call, message in [(lambda: movies.search([1, 2]), "vector: expected 4 numbers, got 2"),
                          (lambda: movies.search([1, 2, 3, 4], k=0), "k: expected a number from 1 to 10000"),
                          (lambda: movies.search([1, 2, 3, float("nan")]), "not finite"),
                          (lambda: movies.search([1, 2, 3, 4], filter={"like": {}}), "filter: there is no like"),
                          (lambda: movies.search([1, 2, 3, 4], k="3"), "k: expected a number from 1 to 10000"),
                          (lambda: movies.search([1, 2, 3, 4], k=1.5), "k: expected a number from 1 to 10000"),
                          (lambda: movies.search([1, 2, 3, 4], candidates="x"), "candidates: expected a number from 0 to 10000"),
                          (lambda: movies.search([1, 2, 3, 4], candidates=-1), "candidates: expected a number from 0 to 10000"),
                          (lambda: movies.get("a", min_generation=-1), "min_generation: expected a number from 0"),
                          (lambda: movies.snapshot(wait="5"), "wait: expected a number of seconds"),
                          (lambda: samovar.Collection(7, films.folder), "name: expected text, got int"),
                          (lambda: movies.search("heat"), "vector: expected numbers"),
                          (lambda: movies.search([1, 2, 3, 4], filter={"eq": {"a": {1}}}), "filter: set is not JSON"),
                          (lambda: movies.get(5), "id: expected text, got int"),
                          (lambda: movies.batch().put(5, [1, 2, 3, 4]), "id: expected text, got int"),
                          (lambda: movies.batch().update("a", {"x": float("inf")}), r"changes\[0\]: Out of range"),
                          (lambda: samovar.Collection("../kept", films.folder), "name: expected")]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(samovar.NotFound, match="there is no collection nobody"):
        samovar.Collection("nobody", films.folder)
    films.server.raw("DELETE", f"{API}/{films.name}")
    with pytest.raises(samovar.NotFound):
        movies.get("a")
