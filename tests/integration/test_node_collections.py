"""Collections in Node.js functions, read in place: the same answers as elsewhere, in memory that is everybody's."""

import json
import random

import pytest

from harness import unique

ROOT_PATH = "/samovar/v1/collections"
ROWS, DIMENSION = 300, 8

CODE = """
const { collection, CollectionError } = require('samovar');
const kept = {};

const doings = {
  async search(films, { vector, ...how }) { return films.search(Float32Array.from(vector), how); },
  async get(films, { id }) { return films.get(id); },
  async put(films, { id, vector }) { return films.put(id, vector); },
  async matrix(films) {
    const now = await films.snapshot();
    const matrix = now.matrix();
    const rows = now.ids.flatMap((id, i) => (id === null ? [] : [[id, Array.from(matrix.row(i))]]));
    const out = { kind: matrix.data.constructor.name, storage: matrix.storage, columns: matrix.columns, rows, length: now.length };
    now.close();
    out.after = Array.from(matrix.row(0));  // good as long as it lives
    return out;
  },
  async spoil(films) {  // a write is the writer's own
    const now = await films.snapshot();
    now.matrix().data.fill(7);
    return Array.from(now.matrix().row(0));
  },
  async agree(films, { put }) {
    const before = await films.snapshot();
    const ack = await films.put(put, new Array(before.matrix().columns).fill(1));
    const after = await films.snapshot({ minGeneration: ack.generation });
    return { before: before.get(put), after: after.get(put).id, generations: [before.generation, after.generation, ack.generation] };
  },
  async hold(films) { kept.one = await films.snapshot(); return kept.one.generation; },
  async held(films, { id }) { return { generation: kept.one.generation, row: kept.one.get(id) }; },
  async closed(films) { const now = await films.snapshot(); now.close(); return now.length; },
  async late(films) { return (await films.snapshot({ minGeneration: 1e9, wait: 20 })).generation; },
  async nan(films) { return films.put('nan', new Array(8).fill(1), { x: [NaN] }); },
  async big(films) { return films.update('r0', { x: 1n }); },
  async odd(films, { of }) {
    const circle = {};
    circle.own = circle;
    const attributes = { map: { tags: new Map([[1, 2]]) }, whole: new Map(), set: { tags: [1, new Set([1])] }, circle,
      typed: { tags: new Float32Array(2) }, promise: { tags: films.get('r0') }, call: { tags: () => 1 } };
    return films.update('r0', attributes[of]);
  },
  async nanFilter(films, { vector }) { return films.search(vector, { filter: { eq: { x: NaN } } }); },
  async forever(films) { return films.snapshot({ minGeneration: 1e9, wait: 'x' }); },
  async rowBefore(films) { return (await films.snapshot()).matrix().row(-1); },
  async noBatch(films) { return films.batch('x'); },
  async upsert(films, { id, vector }) { return films.upsert(id, vector, { by: 'upsert' }); },
  async how() { return Object.keys(require.cache).filter((path) => path.endsWith('.node')).length; },
};

exports.handler = async ({ name, do: what, door, ...rest }) => {
  const mapped = process.env.SAMOVAR_COLLECTIONS;
  if (door) delete process.env.SAMOVAR_COLLECTIONS;
  try {
    return await doings[what](collection(name), rest);
  } catch (error) {
    if (!(error instanceof CollectionError)) throw error;
    return { code: error.code, message: error.message };
  } finally {
    if (door) process.env.SAMOVAR_COLLECTIONS = mapped;
  }
};
"""


class Films:
    def __init__(self, server, storage, rights="rw"):
        self.server, self.name, self.storage = server, unique("films"), storage
        self.make()
        self.function = unique("node")
        server.create({"index.js": CODE}, name=self.function, runtime=server.runtime("nodejs"), handler="index.handler",
                      Tags={"samovar:collections": f"{self.name}:{rights}"})

    def make(self, marks=1):
        dice = random.Random(4)
        self.rows = [{"op": "put", "id": f"r{i}", "vector": [dice.randint(-100, 100) / 4 for _ in range(DIMENSION)],
                      "attributes": {"even": i % 2 == 0, "marks": marks}} for i in range(ROWS)]
        self.ask("POST", "", {"name": self.name, "dimension": DIMENSION, "metric": "l2", "storage": self.storage})
        self.ask("POST", f"/{self.name}/batch", {"changes": self.rows})

    def ask(self, method, path, body=None):
        reply = self.server.raw(method, ROOT_PATH + path, b"" if body is None else json.dumps(body).encode())
        assert reply.status < 300, reply.data
        return json.loads(reply.data) if reply.data else None

    def node(self, do, **event):
        answer = self.server.invoke(self.function, {"name": self.name, "do": do, **event})
        assert not answer.error, answer.payload
        return answer.payload


@pytest.fixture(scope="module", params=["f32", "f16", "i8"])
def films(session_server, request):
    made = Films(session_server, request.param)
    yield made
    made.ask("DELETE", "/" + made.name)


def test_it_is_read_in_place(films):
    assert films.node("how") == 1


@pytest.mark.parametrize("how", [{}, {"exact": True}, {"candidates": 200}, {"filter": {"eq": {"even": True}}}])
def test_a_search_finds_what_the_rest_api_finds(films, how):
    for row in films.rows[::60]:
        wanted = films.ask("POST", f"/{films.name}/search", {"vector": row["vector"], "k": 5, **how})["hits"]
        assert len(wanted) == 5
        found = films.node("search", vector=row["vector"], k=5, **how)
        assert [(hit["id"], hit["attributes"]) for hit in found] == [(hit["id"], hit["attributes"]) for hit in wanted]
        assert [hit["score"] for hit in found] == pytest.approx([hit["score"] for hit in wanted])
        assert films.node("search", vector=row["vector"], k=5, door=True, **how) == wanted


def test_the_matrix_is_the_rows(films):
    found = films.node("matrix")
    assert found["storage"] == films.storage and found["columns"] == DIMENSION and found["length"] == len(found["rows"])
    assert {id for id, _ in found["rows"]} >= {row["id"] for row in films.rows}
    assert found["after"] == found["rows"][0][1]
    if films.storage == "f32":
        assert found["kind"] == "Float32Array"
        vectors = dict(found["rows"])
        assert all(vectors[row["id"]] == row["vector"] for row in films.rows)


def test_what_a_function_writes_into_the_matrix_is_its_own(films):
    before = films.node("get", id="r0")
    assert set(films.node("spoil")) == {7}
    assert films.ask("GET", f"/{films.name}/rows/r0")["vector"] == before["vector"]
    assert films.node("get", id="r0") == before
    assert films.node("matrix")["rows"][0][1] != [7] * DIMENSION


def test_a_snapshot_stays_and_reads_of_it_agree(films):
    found = films.node("agree", put="new")
    assert found["before"] is None and found["after"] == "new"
    before, after, written = found["generations"]
    assert before < after == written
    generation = films.node("hold")
    films.ask("POST", f"/{films.name}/batch", {"changes": [{"op": "delete", "id": "new"}]})
    held = films.node("held", id="new")
    assert held["generation"] == generation and held["row"]["id"] == "new"
    assert films.node("get", id="new") is None


@pytest.mark.parametrize("do, event, code, message", [
    ("search", {"vector": [1, 2]}, "Invalid", f"vector: expected {DIMENSION} numbers, got 2"),
    ("search", {"vector": [1] * DIMENSION, "k": 0}, "Invalid", "k: expected"),
    ("search", {"vector": [1] * DIMENSION, "filter": {"like": {}}}, "Invalid", "like"),
    ("search", {"vector": [1] * DIMENSION, "k": "3"}, "Invalid", "k: expected a number from 1 to 10000"),
    ("search", {"vector": [1] * DIMENSION, "k": 1.5}, "Invalid", "k: expected a number from 1 to 10000"),
    ("search", {"vector": [1] * DIMENSION, "candidates": "x"}, "Invalid", "candidates: expected a number from 0 to 10000"),
    ("search", {"vector": [1] * DIMENSION, "exact": "yes"}, "Invalid", "exact: expected true or false"),
    ("search", {"vector": [1] * DIMENSION, "kk": 1}, "Invalid", "kk: there is no such option; there are k, filter"),
    ("search", {"vector": [1] * DIMENSION, "minGeneration": "x"}, "Invalid", "minGeneration: expected a number from 0"),
    ("search", {"vector": [1] * DIMENSION, "k": "3", "door": True}, "Invalid", "k: expected a number from 1 to 10000"),
    ("nanFilter", {"vector": [1] * DIMENSION}, "Invalid", "filter: x: NaN is not JSON"),
    ("nan", {}, "Invalid", "changes[0]: attributes: 0: NaN is not JSON"),
    ("big", {}, "Invalid", "changes[0]: attributes: x: a BigInt is not JSON"),
    ("odd", {"of": "map"}, "Invalid", "changes[0]: attributes: tags: a Map is not JSON"),
    ("odd", {"of": "whole"}, "Invalid", "changes[0]: attributes: a Map is not JSON"),
    ("odd", {"of": "set"}, "Invalid", "changes[0]: attributes: 1: a Set is not JSON"),
    ("odd", {"of": "typed"}, "Invalid", "changes[0]: attributes: tags: a Float32Array is not JSON"),
    ("odd", {"of": "promise"}, "Invalid", "changes[0]: attributes: tags: a Promise is not JSON"),
    ("odd", {"of": "call"}, "Invalid", "changes[0]: attributes: tags: a function is not JSON"),
    ("odd", {"of": "circle"}, "Invalid", "changes[0]: attributes: Converting circular structure to JSON"),
    ("forever", {}, "Invalid", "wait: expected a number from 0"),
    ("rowBefore", {}, "Invalid", "row: expected a number from 0 to "),
    ("noBatch", {}, "Invalid", "changes: expected an array"),
    ("get", {"id": 7}, "Invalid", "id: expected text, got number"),
    ("get", {"name": 7, "id": "x"}, "Invalid", "name: expected text, got number"),
    ("closed", {}, "Invalid", "the snapshot is closed"),
    ("late", {}, "Timeout", ""),
    ("hold", {"door": True}, "NoSuchCollection", "there is no collection films-"),
    ("get", {"name": "no-such", "id": "x"}, "NoSuchCollection", "no-such"),
    ("get", {"name": "a\0b", "id": "x"}, "NoSuchCollection", "NUL"),
])
def test_what_is_wrong_is_named(films, do, event, code, message):
    answer = films.server.invoke(films.function, {"name": films.name, "do": do, **event})
    assert answer.payload["code"] == code and message in answer.payload["message"], answer.payload


def test_an_upsert_is_a_put(films):
    assert films.node("upsert", id="up", vector=[1] * DIMENSION)["put"] == 1
    assert films.node("get", id="up")["attributes"] == {"by": "upsert"}
    films.ask("POST", f"/{films.name}/batch", {"changes": [{"op": "delete", "id": "up"}]})


def test_one_that_is_made_anew_is_found_again(server):
    films = Films(server, "f32")
    assert films.node("get", id="r1")["attributes"]["marks"] == 1
    films.ask("DELETE", "/" + films.name)
    assert films.node("get", id="r1")["code"] == "NoSuchCollection"
    films.make(marks=2)
    assert films.node("get", id="r1")["attributes"]["marks"] == 2
    films.ask("DELETE", "/" + films.name)


def test_without_rights_no_collection_is_there(fresh):
    server = fresh("collections.default_access=none")
    server.create({"index.js": CODE}, name="plain", runtime=server.runtime("nodejs"), handler="index.handler")
    for do in ("hold", "matrix", "late", "get", "upsert"):
        told = server.invoke("plain", {"name": "films", "do": do, "id": "a", "vector": [1] * DIMENSION}).payload
        assert told == {"code": "NoSuchCollection", "message": "there is no collection films that may be seen here (this function may see none)"}
