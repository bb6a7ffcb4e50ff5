"""Collections over HTTP and the command: what docs/openapi/collections.yaml promises, through kill -9."""

import base64
import json
import random
import struct
import threading

import pytest

from harness import HTTP, unique
from openapi import OpenApi

API = OpenApi("collections.yaml")
ROOT_PATH = "/samovar/v1/collections"


class Api:
    """Calls that are checked against the document, both ways."""

    def __init__(self, server):
        self.server, self.seen = server, set()

    def __call__(self, method, path="", body=None, status=200, valid=True):
        operation = API.operation(method, ROOT_PATH + path.split("?")[0])
        self.seen.add(operation["operationId"])
        if body is not None and valid:
            API.check(body, operation["requestBody"]["content"]["application/json"]["schema"])
        reply = self.server.raw(method, ROOT_PATH + path, b"" if body is None else json.dumps(body).encode())
        assert reply.status == status, (reply.status, reply.data)
        answer = API.resolve(operation["responses"][str(status)]).get("content")
        if not answer:
            assert not reply.data
            return None
        if "application/json" not in answer:
            return reply
        assert reply.headers["content-type"] == "application/json"
        value = json.loads(reply.data)
        API.check(value, answer["application/json"]["schema"])
        return value


def put(id, vector, **attributes):
    return {"op": "put", "id": id, "vector": vector, "attributes": attributes}


@pytest.fixture
def api(server):
    return Api(server)


@pytest.fixture
def films(api):
    name = unique("films")
    api("POST", body={"name": name, "dimension": 3, "metric": "l2"}, status=201)
    yield name
    api("DELETE", "/" + name, status=204)


def test_every_documented_operation_does_what_the_document_says(api):
    name = unique("all")
    made = api("POST", body={"name": name, "dimension": 2, "metric": "dot", "storage": "f16"}, status=201)
    assert (made["dimension"], made["metric"], made["storage"]) == (2, "dot", "f16")
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1)).decode()
    ack = api("POST", f"/{name}/batch", {"changes": [
        put("a", [1, 2], year=1999, genres=["x", "y"]), {"op": "put", "id": "b/1", "vector": packed},
        {"op": "update", "id": "a", "attributes": {"year": 2000, "seen": True}}, {"op": "delete", "id": "nobody"}]})
    assert ack == {"generation": 1, "put": 2, "updated": 1, "deleted": 0, "missing": ["nobody"]}
    row = api("GET", f"/{name}/rows/b%2F1?min_generation=1")
    assert row == {"id": "b/1", "vector": [0.5, -1], "attributes": {}, "generation": 1}
    rows = api("POST", f"/{name}/get", {"ids": ["a", "c"]})
    assert rows["missing"] == ["c"] and rows["rows"][0]["attributes"] == {"year": 2000, "genres": ["x", "y"], "seen": True}
    hits = api("POST", f"/{name}/search", {"vector": [1, 1], "k": 5, "min_generation": 1})["hits"]
    assert [(h["id"], h["score"]) for h in hits] == [("a", 3), ("b/1", -0.5)]
    found = api("POST", f"/{name}/search", {"vector": [1, 1], "filter": {"eq": {"genres": "y"}}, "include_vectors": True})
    assert [h["vector"] for h in found["hits"]] == [[1, 2]]
    assert api("POST", f"/{name}/recall", {"k": 2}) == {"recall": 1, "queries": 2, "k": 2, "generation": 1}
    export = api("GET", f"/{name}/export")
    assert export.headers["x-samovar-generation"] == "1"
    assert {json.loads(line)["id"] for line in export.data.splitlines()} == {"a", "b/1"}
    assert api("DELETE", f"/{name}/rows/a")["deleted"] == 1
    described = api("GET", f"/{name}")
    assert described["stats"]["rows"] == 1 and described["stats"]["generation"] == 2
    assert name in [c["name"] for c in api("GET")["collections"]]
    api("DELETE", f"/{name}", status=204)
    assert api("GET", f"/{name}", status=404)["code"] == "NoSuchCollection"
    assert api.seen == API.operations()


@pytest.mark.parametrize("path, body, status, message", [
    ("", {"name": "Films", "dimension": 3}, 400, "name: expected 1 to 64"),
    ("", {"name": "x", "dimension": 0}, 400, "dimension: expected a number from 1 to 16384"),
    ("", {"name": "x", "dimension": 3, "metric": "near"}, 400, "metric: expected cosine, dot or l2"),
    ("", {"name": "x", "dimension": 3, "size": 1}, 400, "size: there is no such member"),
    ("/F/batch", {"changes": []}, 400, "changes: expected an array with at least one change"),
    ("/F/batch", {"changes": [put("a", [1, 2, 3]), put("b", [1, 2])]}, 400, "changes[1]: vector: expected 3 numbers, got 2"),
    ("/F/batch", {"changes": [put("a", [1, 2, "x"])]}, 400, "changes[0]: vector: expected numbers"),
    ("/F/batch", {"changes": [put("", [1, 2, 3])]}, 400, "changes[0]: id: expected 1 to 512 bytes"),
    ("/F/batch", {"changes": [{"op": "grow", "id": "a"}]}, 400, "changes[0]: op: expected put, update or delete"),
    ("/F/batch", {"changes": [{"op": "update", "id": "a", "vector": [1, 2, 3], "attributes": {}}]}, 400,
     "changes[0]: vector: update is of attributes alone; use put"),
    ("/F/batch", {"changes": [{"op": "delete", "id": "a", "attributes": {}}]}, 400, "changes[0]: delete: there is nothing to say"),
    ("/F/search", {"vector": [1, 2]}, 400, "vector: expected 3 numbers, got 2"),
    ("/F/search", {"vector": [1, 2, 3], "k": 0}, 400, "k: expected a number from 1 to 10000"),
    ("/F/search", {"vector": [1, 2, 3], "filter": {"like": {}}}, 400, "filter: there is no like"),
    ("/F/search", {"vector": [1, 2, 3], "exact": 1}, 400, "exact: expected true or false"),
    ("/F/search", {"vector": [1, 2, 3], "candidates": 10001}, 400, "candidates: expected a number up to 10000"),
    ("/F/recall", {"queries": 0}, 400, "queries: expected a number from 1 to 1000"),
    ("/F/search", {"vector": [1, 2, 3], "min_generation": 99}, 412, "min_generation: the newest generation is 0"),
    ("/nobody/search", {"vector": [1]}, 404, "there is no collection nobody"),
])
def test_what_is_wrong_is_named_and_changes_nothing(api, films, path, body, status, message):
    answer = api("POST", path.replace("/F", "/" + films), body, status, valid=False)
    assert answer["error"].startswith(message), answer
    assert api("GET", "/" + films)["stats"]["generation"] == 0


@pytest.mark.parametrize("body, message", [
    (b'{"changes": [{"op": "put", "id": "a", "vector": [1, NaN, 3]}]}', "the body is not JSON: syntax error at byte 52"),
    (b'{"changes": ', "the body is not JSON: incomplete JSON"),
    (b'{"changes": []} {}', "the body is not JSON from byte 16 on"),
    (b"[]", "the body is not a JSON object"),
    (b'{"a": ' * 40 + b"1" + b"}" * 40, "the body is not JSON: too deep")])
def test_a_body_that_is_no_json_says_why(server, films, body, message):
    reply = server.raw("POST", f"{ROOT_PATH}/{films}/batch", body)
    assert reply.status == 400 and message in json.loads(reply.data)["error"], reply.data


@pytest.mark.parametrize("path", ["/samovar/v1/collections/%ff/search", "/samovar/v1/logs/%ff", "/elasticsearch/%ff/_search"])
def test_an_error_is_json_whatever_it_quotes(server, path):
    reply = server.raw("GET" if "logs" in path else "POST", path, b"{}")
    assert reply.status in (400, 404) and "error" in json.loads(reply.data.decode()), reply.data


def test_a_name_is_there_once(api, films):
    answer = api("POST", body={"name": films, "dimension": 3}, status=409)
    assert answer["code"] == "CollectionExists"


def test_what_was_acknowledged_is_read_at_once_by_everybody(api, films):
    """Read your writes, with many writers: the generation of the answer is there in every later read."""
    failures = []

    def write(thread):
        try:
            for i in range(25):
                ack = api("POST", f"/{films}/batch", {"changes": [put(f"{thread}-{i}", [thread, i, 0])]})
                row = api("GET", f"/{films}/rows/{thread}-{i}?min_generation={ack['generation']}")
                assert row["vector"] == [thread, i, 0]
                hits = api("POST", f"/{films}/search", {"vector": [thread, i, 0], "k": 1,
                                                        "min_generation": ack["generation"]})["hits"]
                assert hits[0]["id"] == f"{thread}-{i}" and hits[0]["score"] == 0
        except Exception as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(t,)) for t in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    stats = api("GET", "/" + films)["stats"]
    assert (stats["rows"], stats["generation"]) == (150, 150)


def test_kill_9_under_load_loses_nothing_acknowledged(fresh):
    """Each batch replaces ten rows; after every kill they are those of the last batch acknowledged, or one later."""
    server = fresh()
    api = Api(server)
    api("POST", body={"name": "films", "dimension": 3}, status=201)
    acknowledged, number, chance = 0, 0, random.Random(4)
    for _ in range(4):
        stop = threading.Event()

        def load():
            nonlocal acknowledged, number
            while not stop.is_set():
                number += 1
                changes = [put(f"row-{i}", [number, 1, 1], number=number) for i in range(10)]
                body = json.dumps({"changes": changes}).encode()
                try:
                    reply = server.raw("POST", ROOT_PATH + "/films/batch", body)
                except Exception:  # noqa: BLE001  it was killed
                    return
                if reply.status == 200:
                    acknowledged = number

        writer = threading.Thread(target=load)
        writer.start()
        wanted = acknowledged + chance.randint(20, 120)
        while acknowledged < wanted and writer.is_alive():
            api("GET", "/films")
        server.kill9()
        stop.set()
        writer.join()
        server.start()
        rows = api("POST", "/films/get", {"ids": [f"row-{i}" for i in range(10)]})["rows"]
        numbers = {row["attributes"]["number"] for row in rows}
        assert len(rows) == 10 and len(numbers) == 1, numbers
        assert acknowledged <= numbers.pop() <= acknowledged + 1
    assert "collection films: 10 rows at generation" in server.log()


def test_collections_need_the_key_that_all_need(fresh):
    server = fresh()
    key = json.loads(server.samovar("keys", "create", "--json").out)
    assert server.raw("GET", ROOT_PATH).status == 403
    body = json.dumps({"name": "films", "dimension": 2}).encode()
    url = server.endpoint + ROOT_PATH
    signed = server.sign("POST", url, body, key=key["access_key_id"], secret=key["secret_access_key"])
    assert HTTP.request("POST", url, body=body, headers=signed).status == 201
    forged = server.sign("POST", url, body, key=key["access_key_id"], secret="wrong")
    assert HTTP.request("POST", url, body=body, headers=forged).status == 403


def npy(rows):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + b"".join(struct.pack(f"<{len(r)}f", *r) for r in rows)


def test_the_command_makes_loads_searches_and_exports(server, tmp_path):
    name = unique("cli")
    server.samovar("collections", "create", name, "--dimension", 2, "--metric", "l2")
    lines = [{"id": f"j{i}", "vector": [i, 0], "attributes": {"year": 1990 + i}} for i in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "rows.csv").write_text('id,vector,title,year\nc0,"[0, 1]","a ""b"", c",1980\nc1,0 2,,\n')
    (tmp_path / "wide.csv").write_text("id,vector_0,vector_1\nw0,7,7\n")
    (tmp_path / "m.npy").write_bytes(npy([[0, 3], [0, 4]]))
    (tmp_path / "ids.txt").write_text("m0\nm1\n")
    for file, count, more in [("rows.jsonl", 5, []), ("rows.csv", 2, []), ("wide.csv", 1, []),
                              ("m.npy", 2, ["--ids", tmp_path / "ids.txt"])]:
        loaded = json.loads(server.samovar("collections", "load", name, tmp_path / file, *more, "--json").out)
        assert loaded["rows"] == count, file
    found = json.loads(server.samovar("collections", "search", name, "--vector", "[0, 3.1]", "-k", 2, "--json").out)
    assert [h["id"] for h in found["hits"]] == ["m0", "m1"]
    text = server.samovar("collections", "search", name, "--id", "c0", "-k", 1, "--filter", '{"eq": {"year": 1980}}').out
    assert "c0" in text and "0.0000" in text
    server.samovar("collections", "put", name, "c1", "--attributes", '{"year": 1981}')
    server.samovar("collections", "put", name, "n", "--vector", "[9, 9]")
    server.samovar("collections", "delete", name, "j0")
    rows = {r["id"]: r for r in map(json.loads, server.samovar("collections", "export", name).out.splitlines())}
    assert set(rows) == {"j1", "j2", "j3", "j4", "c0", "c1", "w0", "m0", "m1", "n"}
    assert rows["c0"]["attributes"] == {"title": 'a "b", c', "year": 1980} and rows["c1"]["attributes"] == {"year": 1981}
    assert rows["w0"]["vector"] == [7, 7] and rows["j3"]["attributes"] == {"year": 1993}
    stats = server.samovar("collections", "stats", name, "--recall").out
    assert "rows         10" in stats and "recall@10    1.0000 of 10 searches" in stats
    assert name in server.samovar("collections", "list").out
    for arguments, code, message in [
            (["load", name, tmp_path / "ids.txt"], 2, "expected a .jsonl, .csv, .parquet or .npy file"),
            (["load", name, tmp_path / "m.npy", "--ids", tmp_path / "wide.csv"], 0, ""),
            (["delete", name, "nobody"], 4, "there is no row nobody"),
            (["put", name, "nobody", "--attributes", "{}"], 4, "there is no row nobody"),
            (["search", name], 2, "give --vector or --id"),
            (["stats", "nobody"], 4, "there is no collection nobody")]:
        done = server.samovar("collections", *arguments, check=False)
        assert done.returncode == code and message in done.err, (arguments, done.err)
    server.samovar("collections", "delete", name)
    assert name not in server.samovar("collections", "list").out


READER = """
from samovar import collection
import os
def handler(event, context):
    if event["do"] == "search":
        return [[h.id, h.score] for h in collection(event["name"]).search(event["vector"], k=3)]
    if event["do"] == "get":
        row = collection(event["name"]).get(event["id"])
        return row and [row.vector, row.attributes]
    if event["do"] == "list":
        everything = [name for base, folders, files in os.walk("/var/samovar") for name in folders]
        return [sorted(everything), os.environ.get("SAMOVAR_COLLECTION_NAMES")]
    if event["do"] == "harm":
        tried = {}
        for base, folders, files in os.walk("/var/samovar"):
            for name in files + ["new"]:
                for mode in ("r+b", "ab", "wb"):
                    try:
                        open(os.path.join(base, name), mode).close()
                        tried[name + " " + mode] = "opened"
                    except OSError as error:
                        tried[name + " " + mode] = error.strerror
                for change in (os.unlink, lambda path: os.truncate(path, 0), lambda path: os.chmod(path, 0o777)):
                    try:
                        change(os.path.join(base, name))
                        tried[name] = "changed"
                    except OSError as error:
                        tried[name] = error.strerror
        return tried
"""


def test_a_function_sees_every_write_at_its_next_call(server, api, films):
    name = unique("reader")
    server.create(READER, name=name)
    first = server.invoke(name, {"do": "get", "name": films, "id": "a"})
    assert first.error == "" and first.payload is None, first.payload
    for i in range(1, 20):
        api("POST", f"/{films}/batch", {"changes": [put("a", [i, 0, 0], i=i), put(f"b{i}", [0, i, 0])]})
        assert server.invoke(name, {"do": "get", "name": films, "id": "a"}).payload == [[i, 0, 0], {"i": i}]
    hits = server.invoke(name, {"do": "search", "name": films, "vector": [19, 0, 0]}).payload
    assert hits[0] == ["a", 0]
    late = unique("late")  # made while the instance runs
    api("POST", body={"name": late, "dimension": 2}, status=201)
    api("POST", f"/{late}/batch", {"changes": [put("x", [1, 1])]})
    assert server.invoke(name, {"do": "get", "name": late, "id": "x"}).payload == [[1, 1], {}]
    api("DELETE", "/" + late, status=204)
    gone = server.invoke(name, {"do": "get", "name": late, "id": "x"})
    assert gone.error and gone.payload["errorType"] == "NotFound"


def test_clones_see_every_write_too(server, api, films):
    """Instances that are clones of one process: the mapping survives, and so does seeing what is new."""
    name = unique("clones")
    server.create(READER.replace("def handler", f"movies = collection('{films}'); movies.get('a')\ndef handler"), name=name)
    for i in range(1, 9):
        api("POST", f"/{films}/batch", {"changes": [put("a", [i, 0, 0])]})
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            server.invoke(name, {"do": "get", "name": films, "id": "a"}).payload)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [[[i, 0, 0], {}]] * 3


def test_a_clone_sees_what_was_written_after_its_template_opened_the_collection(server, api, films, name):
    server.create(f"from samovar import collection\nFILMS = collection({films!r})\n"
                  "def handler(event, context):\n    return [len(FILMS), [h.id for h in FILMS.search([1, 2, 3], k=2)]]\n",
                  name=name)
    assert server.invoke(name, {}).payload == [0, []]
    (made,) = [t for t in server.get("/samovar/v1/instances")["templates"] if t["function"] == name]
    assert made["stage"] == "clonable", made
    api("POST", f"/{films}/batch", {"changes": [put("a", [1, 2, 3]), put("b", [9, 9, 9])]})
    assert server.invoke(name, {}).payload == [2, ["a", "b"]]


def test_clones_go_on_where_a_merge_removed_what_their_template_mapped(fresh):
    server = fresh("keep_alive.policy=fixed", "keep_alive.fixed=0s", "clones.max_spares=0")
    api = Api(server)
    api("POST", body={"name": "films", "dimension": 3, "metric": "l2"}, status=201)
    api("POST", "/films/batch", {"changes": [put("a", [1, 2, 3])]})
    server.create("from samovar import collection\nFILMS = collection('films')\nKEPT = FILMS.snapshot()\n"
                  "def handler(event, context):\n    return [len(KEPT), len(FILMS), KEPT.get('a').vector]\n", name="early")
    assert server.invoke("early").payload == [1, 1, [1, 2, 3]]
    assert [t["stage"] for t in server.get("/samovar/v1/instances")["templates"]] == ["clonable"]
    live = server.data_dir / "collections/live/films"
    mapped = {path.name for path in live.glob("segment-*")}
    api("POST", "/films/batch", {"changes": [put("b", [9, 9, 9])]})
    server.create(name="pins", Tags={"samovar:collections": "films:r@pinned"}, Publish=True)  # which seals what is open
    assert mapped.isdisjoint(path.name for path in live.glob("segment-*"))
    for _ in range(3):
        answer = server.invoke("early")
        assert answer.payload == [1, 2, [1, 2, 3]], answer.payload


def test_a_tag_says_which_collections_a_function_sees(server, api, films):
    name, other = unique("tagged"), unique("other")
    api("POST", body={"name": other, "dimension": 2}, status=201)
    server.create(READER, name=name, Tags={"samovar:collections": f"{films}:r"})
    api("POST", f"/{films}/batch", {"changes": [put("a", [1, 2, 3])]})
    folders, names = server.invoke(name, {"do": "list"}).payload
    assert names == films and not {films, other} & set(folders), folders
    assert server.invoke(name, {"do": "get", "name": films, "id": "a"}).payload == [[1, 2, 3], {}]
    hidden = server.invoke(name, {"do": "get", "name": other, "id": "a"})
    assert hidden.payload["errorType"] == "NotFound" and "there is no collection" in hidden.payload["errorMessage"]
    lam, resource = server.client(), server.client().get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    lam.tag_resource(Resource=resource, Tags={"samovar:collections": other})
    folders, names = server.invoke(name, {"do": "list"}).payload
    assert names == other and not {films, other} & set(folders), folders
    assert server.invoke(name, {"do": "get", "name": films, "id": "a"}).payload["errorType"] == "NotFound"
    lam.untag_resource(Resource=resource, TagKeys=["samovar:collections"])
    folders, names = server.invoke(name, {"do": "list"}).payload
    assert names is None and {films, other} <= set(folders)
    with pytest.raises(lam.exceptions.InvalidParameterValueException, match="samovar:collections: expected names"):
        lam.tag_resource(Resource=resource, Tags={"samovar:collections": "../kept"})
    api("DELETE", "/" + other, status=204)


def test_without_a_tag_a_function_sees_none_where_that_is_configured(fresh):
    server = fresh("collections.default_access=none")
    Api(server)("POST", body={"name": "films", "dimension": 3}, status=201)
    server.create(READER, name="plain")
    server.create(READER, name="named", Tags={"samovar:collections": "films"})
    assert "films" not in server.invoke("plain", {"do": "list"}).payload[0]
    assert server.invoke("plain", {"do": "get", "name": "films", "id": "a"}).payload["errorType"] == "NotFound"
    assert server.invoke("named", {"do": "list"}).payload[1] == "films"
    assert server.invoke("named", {"do": "get", "name": "films", "id": "a"}).payload is None


def test_a_hostile_function_cannot_change_what_it_reads(server, api, films):
    name = unique("hostile")
    server.create(READER, name=name)
    api("POST", f"/{films}/batch", {"changes": [put("a", [1, 2, 3])]})
    tried = server.invoke(name, {"do": "harm"}).payload
    assert any(key.startswith("control") for key in tried) and any(key.startswith("segment") for key in tried)
    assert set(tried.values()) <= {"Read-only file system", "Permission denied", "Operation not permitted",
                                   "No such file or directory"}, tried
    assert api("GET", f"/{films}/rows/a")["vector"] == [1, 2, 3]
