"""Collections written from inside functions: by whom, what it gives back, and what a hostile one gets."""

import json
import pathlib
import subprocess
import threading

import pytest

from harness import unique

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOT_PATH = "/samovar/v1/collections"

WRITER = """
import json, os, samovar
from samovar import collection

def handler(event, context):
    event = json.loads(json.dumps(event).replace('"nan"', "NaN"))
    do = event.pop("do")
    films = collection(event.pop("name"))
    if do == "batch":
        with films.batch() as b:
            for change in event["changes"]:
                getattr(b, change.pop("op"))(**change)
        ack = b.ack
    else:
        ack = getattr(films, do)(**event)
    seen = films.snapshot(min_generation=ack.generation, wait=0)
    return [ack._asdict(), seen.generation, len(seen)]
"""

NODE = """
const { collection } = require('samovar');
exports.handler = async ({ name, id, vector, k }) => {
  const films = collection(name);
  if (!vector) return { found: await films.get(id) };
  const ack = await films.put(id, vector, { by: 'node' });
  const hits = await films.search(Float32Array.from(vector), { k, minGeneration: ack.generation });
  return { ack, hits, row: await films.get(id), all: (await films.describe()).stats.rows };
};
"""

# The socket itself, without our library.
RAW = """
import json, os, socket

def ask(text):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(os.environ["SAMOVAR_COLLECTIONS_DOOR"])
    s.sendall(text)
    out = b""
    while piece := s.recv(65536):
        out += piece
    return out.decode(errors="replace")

def http(method, path, body=""):
    answer = ask(f"{method} {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n"
                 f"Content-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
    return int(answer.split()[1]), answer.split("\\r\\n\\r\\n", 1)[1]

def handler(event, context):
    if "raw" in event:
        return ask(event["raw"].encode() * event.get("times", 1))
    if "hold" in event:
        kept = []
        for _ in range(event["hold"]):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            try:
                s.connect(os.environ["SAMOVAR_COLLECTIONS_DOOR"])
                s.sendall(b"POST /samovar/v1/collections/x/batch HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 9999\\r\\n\\r\\n{")
            except OSError:
                pass
            kept.append(s)
        globals()["kept"] = kept
        return len(kept)
    return http(*event["http"])
"""


class Films:
    def __init__(self, server, dimension=3):
        self.server, self.name = server, unique("films")
        self.ask("POST", "", {"name": self.name, "dimension": dimension, "metric": "l2"}, 201)

    def ask(self, method, path, body=None, status=200):
        reply = self.server.raw(method, ROOT_PATH + path, b"" if body is None else json.dumps(body).encode())
        assert reply.status == status, reply.data
        return json.loads(reply.data) if reply.data else None

    def row(self, id):
        return self.ask("GET", f"/{self.name}/rows/{id}")

    @property
    def generation(self):
        return self.ask("GET", "/" + self.name)["stats"]["generation"]

    def writer(self, code=WRITER, rights="rw", **more):
        name = unique("writer")
        self.server.create(code, name=name, Tags={"samovar:collections": f"{self.name}:{rights}"}, **more)
        return name


@pytest.fixture
def films(server):
    made = Films(server)
    yield made
    made.ask("DELETE", "/" + made.name, status=204)


def test_a_function_writes_and_sees_it_at_once(server, films):
    name = films.writer()

    def write(do, **event):
        answer = server.invoke(name, {"do": do, "name": films.name, **event})
        assert not answer.error, answer.payload
        return answer.payload

    zero = {"generation": 0, "put": 0, "updated": 0, "deleted": 0, "missing": 0}
    assert write("put", id="heat", vector=[1, 2, 3], attributes={"year": 1995}) == [{**zero, "generation": 1, "put": 1}, 1, 1]
    assert films.row("heat")["vector"] == [1, 2, 3]
    assert write("upsert", id="heat", vector=[0.5, 2, 3], attributes={"year": 1996}) == [{**zero, "generation": 2, "put": 1}, 2, 1]
    assert write("update", id="heat", attributes={"seen": True})[0] == {**zero, "generation": 3, "updated": 1}
    assert films.row("heat") == {"id": "heat", "vector": [0.5, 2, 3], "attributes": {"year": 1996, "seen": True}, "generation": 3}
    assert write("delete", id="nobody")[0] == {**zero, "generation": 4, "missing": 1}
    changes = [{"op": "put", "id": str(i), "vector": [i, i, i]} for i in range(100)] + [{"op": "delete", "id": "heat"}]
    assert write("batch", changes=changes) == [{**zero, "generation": 5, "put": 100, "deleted": 1}, 5, 100]


@pytest.mark.parametrize("do, event, kind, message", [
    ("put", {"id": "a", "vector": [1, 2]}, "ValueError", "vector: expected 3 numbers, got 2"),
    ("put", {"id": "a", "vector": [1, 2, "x"]}, "ValueError", "vector: expected numbers"),
    ("put", {"id": "", "vector": [1, 2, 3]}, "ValueError", "id: expected 1 to 512 bytes"),
    ("put", {"id": "a", "vector": [1, 2, 3], "attributes": [1]}, "ValueError", "attributes: expected a JSON object"),
    ("put", {"id": "a\0b", "vector": [1, 2, 3]}, "ValueError", "id: "),
    ("put", {"id": "a", "vector": [1, 2, 3], "attributes": {"x": "nan"}}, "ValueError", "changes[0]: Out of range float values"),
    ("put", {"id": 7, "vector": [1, 2, 3]}, "ValueError", "id: expected text, got int"),
    ("delete", {"id": None}, "ValueError", "id: expected text, got NoneType"),
    ("update", {"id": "a", "attributes": {"x": "y" * 70000}}, "ValueError", "attributes: "),
    ("batch", {"changes": [{"op": "put", "id": "a", "vector": [1, 2, 3]}, {"op": "put", "id": "b", "vector": []}]},
     "ValueError", "changes[1]: vector: expected 3 numbers, got 0"),
])
def test_what_is_wrong_is_named_and_nothing_is_done(server, films, do, event, kind, message):
    name = films.writer()
    answer = server.invoke(name, {"do": do, "name": films.name, **event})
    assert answer.payload["errorType"] == kind and message in answer.payload["errorMessage"], answer.payload
    assert films.generation == 0


def test_clones_write_side_by_side(server, films):
    """Instances that are clones of one process, which had opened the collection, each with writes of its own."""
    opened = f"FILMS = collection({films.name!r})\nFILMS.get('x')\n"
    name = films.writer(WRITER.replace("def handler", opened + "def handler"))
    answers = []

    def call(thread):
        for i in range(5):
            answers.append(server.invoke(name, {"do": "put", "name": films.name, "id": f"{thread}-{i}", "vector": [i, 0, 0]}))

    threads = [threading.Thread(target=call, args=(t,)) for t in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.payload for a in answers if a.error] == []
    assert sorted(a.payload[0]["generation"] for a in answers) == list(range(1, 31))
    (made,) = [t for t in server.get("/samovar/v1/instances")["templates"] if t["function"] == name]
    assert made["stage"] == "clonable", made
    assert films.ask("GET", "/" + films.name)["stats"]["rows"] == 30


@pytest.mark.parametrize("rights", ["r", None])
def test_without_rw_a_function_gets_a_clear_error(server, films, rights):
    if rights:
        name = films.writer(rights=rights)
        wanted = f"its tag samovar:collections has to say {films.name}:rw"
    else:
        name = unique("untagged")
        server.create(WRITER, name=name)
        wanted = "its tag samovar:collections has to name the collection with rw"
    answer = server.invoke(name, {"do": "put", "name": films.name, "id": "a", "vector": [1, 2, 3]})
    assert answer.payload["errorType"] == "ReadOnly" and wanted in answer.payload["errorMessage"], answer.payload
    assert films.generation == 0
    resource = server.client().get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    server.client().tag_resource(Resource=resource, Tags={"samovar:collections": films.name + ":rw"})
    answer = server.invoke(name, {"do": "put", "name": films.name, "id": "a", "vector": [1, 2, 3]})
    assert not answer.error and answer.payload[1:] == [1, 1], answer.payload


def test_node_writes_and_reads(server, films):
    node = dict(runtime=server.runtime("nodejs"), handler="index.handler")
    name = films.writer({"index.js": NODE}, **node)
    for i in range(1, 4):  # the later ones in processes that were booted ahead
        event = {"name": films.name, "id": f"n{i}", "vector": [i, 0.5, 0], "k": 1}
        answer = server.invoke(name, event)
        assert not answer.error, answer.payload
        got = answer.payload
        assert got["ack"] == {"generation": i, "put": 1, "updated": 0, "deleted": 0, "missing": []}
        assert got["hits"] == [{"id": f"n{i}", "score": 0, "attributes": {"by": "node"}}]
        assert got["row"]["vector"] == [i, 0.5, 0] and got["all"] == i
        server.client().update_function_configuration(FunctionName=name, Description=str(i))
    reader = unique("reader")  # without a tag it reads all, and writes none
    server.create({"index.js": NODE}, name=reader, **node)
    assert server.invoke(reader, {"name": films.name, "id": "n1"}).payload["found"]["vector"] == [1, 0.5, 0]
    assert server.invoke(reader, {"name": films.name, "id": "zz"}).payload == {"found": None}
    refused = server.invoke(reader, {"name": films.name, "id": "n1", "vector": [1, 2, 3]})
    assert refused.payload["errorType"] == "CollectionError" and "may read" in refused.payload["errorMessage"]
    wrong = server.invoke(name, {"name": films.name, "id": "n1", "vector": [1, 2]})
    assert "vector: expected 3 numbers, got 2" in wrong.payload["errorMessage"]


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    """A package of a program in C and the C library beside it, nothing else."""
    library = ROOT / "build/release/runtimes/python/compat/samovar/libsamovar_collections.so"
    program = tmp_path_factory.mktemp("c") / "bootstrap"
    subprocess.run(["clang-19", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I", ROOT / "sdk/c/include", "-o", program,
                    ROOT / "tests/bootstraps/writes.c", library, "-Wl,-rpath,$ORIGIN"], check=True)
    return {"bootstrap*": program.read_bytes(), "libsamovar_collections.so": library.read_bytes()}


def test_a_function_in_c_writes_by_the_c_library(server, films, in_c):
    def made(rights):
        return films.writer(in_c, rights=rights, runtime="provided.al2023", handler="bootstrap",
                            Environment={"Variables": {"FILMS": films.name}})

    def write(name, *changes):
        answer = server.invoke(name, list(changes))
        assert not answer.error, answer.payload
        return answer.payload

    name = made("rw")
    put = [{"op": "put", "id": str(i), "vector": [i, 0.5, 0], "attributes": {"n": i}} for i in range(100)]
    done = {"code": 0, "message": ""}
    assert write(name, *put) == {**done, "ack": [1, 100, 0, 0, 0], "seen": 1, "rows": 100}
    assert films.row("7") == {"id": "7", "vector": [7, 0.5, 0], "attributes": {"n": 7}, "generation": 1}
    changes = [{"op": "update", "id": "7", "attributes": {"seen": True}}, {"op": "delete", "id": "8"}, {"op": "delete", "id": "x"}]
    assert write(name, *changes) == {**done, "ack": [2, 0, 1, 1, 1], "seen": 2, "rows": 99}
    assert films.row("7")["attributes"] == {"n": 7, "seen": True}
    wrong = write(name, {"op": "put", "id": "a", "vector": [1, 2, 3]}, {"op": "put", "id": "b", "vector": [1]})
    assert wrong["code"] == 1 and "changes[1]: vector: expected 3 numbers, got 1" in wrong["message"], wrong
    refused = write(made("r"), put[0])
    assert refused["code"] == 6 and f"{films.name}:rw" in refused["message"], refused
    assert films.generation == 2


def test_the_socket_gives_a_function_its_collections_and_nothing_else(server, films):
    other = Films(server)
    name = films.writer(RAW)

    def http(*what):
        answer = server.invoke(name, {"http": what})
        assert not answer.error, answer.payload
        return answer.payload[0], json.loads(answer.payload[1])

    put = json.dumps({"changes": [{"op": "put", "id": "a", "vector": [1, 2, 3]}]})
    assert http("POST", f"{ROOT_PATH}/{films.name}/batch", put)[0] == 200
    assert http("GET", ROOT_PATH)[1]["collections"][0]["name"] == films.name
    assert len(http("GET", ROOT_PATH)[1]["collections"]) == 1
    assert http("GET", ROOT_PATH + "?limit=1") == (200, http("GET", ROOT_PATH)[1])  # no mark of those it may not see
    for method, path, body in [("POST", f"{ROOT_PATH}/{other.name}/batch", put), ("GET", f"{ROOT_PATH}/{other.name}", ""),
                               ("POST", f"{ROOT_PATH}/{other.name}/search", '{"vector": [1, 2, 3]}'),
                               ("GET", f"{ROOT_PATH}/{other.name}/export", ""), ("DELETE", f"{ROOT_PATH}/{other.name}", "")]:
        status, answer = http(method, path, body)
        assert (status, answer["code"]) == (404, "NoSuchCollection"), (method, path)
    for method, path, body in [("DELETE", f"{ROOT_PATH}/{films.name}", ""),
                               ("POST", ROOT_PATH, '{"name": "mine", "dimension": 3}')]:
        assert http(method, path, body)[0] == 403, (method, path)
    for path in ["/2015-03-31/functions/", "/samovar/v1/instances", "/samovar/v1/health", "/ping", "/", "/../x",
                 "/samovar/v1/collectionsx", f"{ROOT_PATH}/..%2f{other.name}"]:
        assert http("GET", path)[0] == 404, path
    other.ask("DELETE", "/" + other.name, status=204)
    assert films.generation == 1


def test_nonsense_on_the_socket_harms_nobody(server, films):
    name, good = films.writer(RAW), films.writer()
    huge = f"POST {ROOT_PATH}/{films.name}/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n"
    assert " 413 " in server.invoke(name, {"raw": huge}).payload.split("\n")[0]
    for raw, times in [("\0\1\2", 1), ("x" * 1000, 100), (f"POST {ROOT_PATH}/{films.name}/batch HTTP/1.1\r\n\r\n", 1),
                       (huge.replace("99999999", "-1"), 1), (huge.replace("99999999", "5") + "{}}}}", 3)]:  # those without an end would wait for the server's bound
        server.invoke(name, {"raw": raw, "times": times})
    assert server.invoke(name, {"hold": 900}).payload == 900  # all its places and more, each with half a request
    answer = server.invoke(good, {"do": "put", "name": films.name, "id": "a", "vector": [1, 2, 3]})
    assert not answer.error and films.generation == 1, answer.payload
    assert films.row("a")["vector"] == [1, 2, 3]
