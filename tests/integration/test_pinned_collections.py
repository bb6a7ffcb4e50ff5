"""One alias for code, model and data: versions that keep a generation of a collection, through restarts."""

import json

import pytest

from harness import unique, until

ROOT_PATH = "/samovar/v1/collections"
READER = """
from samovar import collection
def handler(event, context):
    films = collection("films")
    row = films.get(event["id"])
    return [films.generation, row and row.vector[0], [h.id for h in films.search([0.0, 0.0], k=3)]]
"""
NODE = """
const { collection } = require('samovar');
exports.handler = async ({ id, write }) => {
  const films = collection('films');
  if (write) return films.put(id, [1, 1]);
  return (await films.get(id)).vector[0];
};
"""


class Films:
    def __init__(self, server, name="films"):
        self.server, self.name = server, name
        self.ask("POST", "", {"name": name, "dimension": 2, "metric": "l2"}, 201)

    def ask(self, method, path, body=None, status=200):
        reply = self.server.raw(method, ROOT_PATH + path, b"" if body is None else json.dumps(body).encode())
        assert reply.status == status, reply.data
        return json.loads(reply.data) if reply.data else None

    def put(self, **rows):
        changes = [{"op": "put", "id": id, "vector": [value, 0], "attributes": {"n": value}} for id, value in rows.items()]
        return self.ask("POST", f"/{self.name}/batch", {"changes": changes})["generation"]

    def names(self):
        return [one["name"] for one in self.ask("GET", "")["collections"]]


def value(server, name, qualifier=None, id="a"):
    more = {"Qualifier": qualifier} if qualifier else {}
    answer = server.invoke(name, {"id": id}, **more)
    assert not answer.error, answer.payload
    return answer.payload[1]


def test_an_alias_moves_code_and_data_together_and_back(fresh):
    server = fresh()
    films, lam = Films(server), server.client()
    first = films.put(a=1, b=10)
    server.create(READER, name="reader", Tags={"samovar:collections": "films:r@pinned"})
    assert lam.publish_version(FunctionName="reader")["Version"] == "1"
    lam.create_alias(FunctionName="reader", Name="live", FunctionVersion="1")
    second = films.put(a=2, c=0)
    assert lam.publish_version(FunctionName="reader")["Version"] == "2"  # the same code, newer data
    assert lam.publish_version(FunctionName="reader")["Version"] == "2"  # nothing is newer
    films.put(a=3)

    def check():
        assert [value(server, "reader", q) for q in ("1", "2", "live", None)] == [1, 2, 1, 3]
        assert server.invoke("reader", {"id": "a"}, Qualifier="1").payload == [first, 1, ["a", "b"]]
        assert server.invoke("reader", {"id": "a"}, Qualifier="2").payload == [second, 2, ["c", "a", "b"]]
        assert set(films.names()) == {"films", f"films@{first}", f"films@{second}"}

    check()
    lam.update_alias(FunctionName="reader", Name="live", FunctionVersion="2")
    assert value(server, "reader", "live") == 2
    lam.update_alias(FunctionName="reader", Name="live", FunctionVersion="1")
    check()
    for batch in range(60):  # so that segments are sealed and merged, and their files replaced
        films.put(**{f"x{i}": 5000 + batch for i in range(100)})
    films.put(a=3)
    check()
    server.kill9()
    server.start()
    check()
    lam.update_alias(FunctionName="reader", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert {value(server, "reader", "live") for _ in range(60)} == {1, 2}
    # What no version names goes at the next start, and with it nothing else.
    lam.update_alias(FunctionName="reader", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    lam.delete_function(FunctionName="reader", Qualifier="1")
    server.stop()
    server.start()
    assert set(films.names()) == {"films", f"films@{second}"}
    assert value(server, "reader", "live") == 2 and value(server, "reader") == 3
    # It outlives the collection that it was taken of.
    films.ask("DELETE", "/films", status=204)
    assert value(server, "reader", "2") == 2
    server.stop()
    server.start()
    assert value(server, "reader", "2") == 2 and value(server, "reader", "2", "b") == 10


def test_every_way_to_publish_keeps_a_generation(fresh):
    server = fresh()
    films, lam = Films(server), server.client()
    films.put(a=1)
    server.create(READER, name="one", Tags={"samovar:collections": "films:r@pinned"}, Publish=True)
    films.put(a=2)
    assert (value(server, "one", "1"), value(server, "one")) == (1, 2)
    from harness import pack
    lam.update_function_code(FunctionName="one", ZipFile=pack({"app.py": READER + "# changed\n"}), Publish=True)
    server.updated("one")
    films.put(a=3)
    assert [value(server, "one", q) for q in ("1", "2", None)] == [1, 2, 3]
    resource = lam.get_function(FunctionName="one")["Configuration"]["FunctionArn"]
    lam.tag_resource(Resource=resource, Tags={"samovar:collections": "films:r"})  # all follow the newest
    assert [value(server, "one", q) for q in ("1", "2", None)] == [3, 3, 3]
    lam.tag_resource(Resource=resource, Tags={"samovar:collections": "films:r@pinned"})  # and back
    assert [value(server, "one", q) for q in ("1", "2", None)] == [1, 2, 3]
    lam.tag_resource(Resource=resource, Tags={"samovar:collections": "films:r@1"})  # all read one that is kept
    assert [value(server, "one", q) for q in ("1", "2", None)] == [1, 1, 1]


def test_node_reads_what_is_pinned_and_nobody_writes_it(fresh):
    server = fresh()
    films, lam = Films(server), server.client()
    kept = films.put(a=1)
    server.create({"index.js": NODE}, name="node", runtime=server.runtime("nodejs"), handler="index.handler",
                  Tags={"samovar:collections": "films:r@pinned"})
    lam.publish_version(FunctionName="node")
    films.put(a=2)
    assert server.invoke("node", {"id": "a"}, Qualifier="1").payload == 1
    assert server.invoke("node", {"id": "a"}).payload == 2
    refused = server.invoke("node", {"id": "a", "write": True}, Qualifier="1")
    assert refused.payload["errorType"] == "CollectionError" and "films:rw" in refused.payload["errorMessage"]
    change = {"changes": [{"op": "delete", "id": "a"}]}
    answer = films.ask("POST", f"/films@{kept}/batch", change, 409)
    assert "can be read, not written" in answer["error"]
    assert "goes with it" in films.ask("DELETE", f"/films@{kept}", status=409)["error"]
    assert films.ask("GET", f"/films@{kept}/rows/a")["vector"] == [1, 0]


def test_new_embeddings_get_a_share_of_the_calls_and_one_command_goes_back(fresh):
    """As docs/collections.md tells it: the command shows who keeps what, boto3 shifts an alias, and back."""
    server = fresh("collections.keep_unnamed=200ms")
    films, lam = Films(server), server.client()
    old = films.put(a=1)
    server.create(READER, name="recommend", Tags={"samovar:collections": "films:r@pinned"})
    lam.publish_version(FunctionName="recommend")
    lam.create_alias(FunctionName="recommend", Name="live", FunctionVersion="1")
    new = films.put(a=2)
    lam.publish_version(FunctionName="recommend")
    lam.update_alias(FunctionName="recommend", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    seen = [value(server, "recommend", "live") for _ in range(150)]
    assert 1 <= seen.count(2) <= 45 and seen.count(1) + seen.count(2) == 150, seen.count(2)
    shown = server.samovar("show", "recommend").out
    assert f"films@{old}" in shown and f"films@{new}" in shown and "version 2: 10 %" in shown, shown
    assert json.loads(server.samovar("show", "recommend", "--json").out)["pins"] == {"1": f"films@{old}", "2": f"films@{new}"}
    stats = server.samovar("collections", "stats", "films").out
    assert f"pinned       films@{old} by recommend:1\npinned       films@{new} by recommend:2\n" in stats, stats
    assert films.ask("GET", f"/films@{new}")["pinned_by"] == ["recommend:2"]
    # One command goes back: all calls to version 1 and its data.
    server.aws("lambda", "update-alias", "--function-name", "recommend", "--name", "live", "--routing-config",
               "AdditionalVersionWeights={}")
    assert {value(server, "recommend", "live") for _ in range(60)} == {1}
    # And forward for good; what nobody names any more goes by itself, without a restart or another change.
    lam.update_alias(FunctionName="recommend", Name="live", FunctionVersion="2")
    lam.delete_function(FunctionName="recommend", Qualifier="1")
    until(lambda: set(films.names()) == {"films", f"films@{new}"}, 60, "the end of what nobody names")
    assert value(server, "recommend", "live") == 2
    lam.delete_function(FunctionName="recommend")
    until(lambda: films.names() == ["films"], 60, "the end of what nobody names")


@pytest.mark.parametrize("tag, message", [
    ("films:rw@pinned", "can be read, not written"), ("films:r@0", "expected names"), ("films:r@x", "expected names"),
    ("films@pinned@3", "expected names")])
def test_a_tag_that_pins_wrongly_is_refused(server, tag, message):
    lam = server.client()
    with pytest.raises(lam.exceptions.InvalidParameterValueException, match=message):
        server.create(READER, name=unique(), Tags={"samovar:collections": tag})


def test_what_is_not_there_cannot_be_pinned(server):
    name, lam = unique(), server.client()
    server.create(READER, name=name, Tags={"samovar:collections": "nowhere-to-be-found:r@pinned"})
    with pytest.raises(lam.exceptions.InvalidParameterValueException, match="there is no collection nowhere-to-be-found"):
        lam.publish_version(FunctionName=name)
    assert [v["Version"] for v in lam.list_versions_by_function(FunctionName=name)["Versions"]] == ["$LATEST"]


EARLY = """
from samovar import collection, NotFound
def handler(event, context):
    try:
        return collection(event["of"]).get("a").vector[0]
    except NotFound as missing:
        return str(missing)
"""


def test_a_tag_may_come_before_its_collection(fresh):
    """As a template makes both in any order: what needs the collection says so by name, and then finds it."""
    server = fresh()
    lam, tag = server.client(), "samovar:collections"
    arn = server.create(EARLY, name="early", Tags={tag: "films:r@pinned,users"})["FunctionArn"]
    lam.tag_resource(Resource=arn, Tags={tag: "films:r@pinned,users:rw"})
    with pytest.raises(lam.exceptions.InvalidParameterValueException, match="expected names as films:rw"):
        lam.tag_resource(Resource=arn, Tags={tag: "Films"})
    missing = "films:r@pinned: there is no collection films: a version can keep a generation of it once it is made"
    for publish in (lambda: lam.publish_version(FunctionName="early"),
                    lambda: server.create(EARLY, name="other", Publish=True, Tags={tag: "films:r@pinned"})):
        with pytest.raises(lam.exceptions.InvalidParameterValueException, match=missing):
            publish()
    assert [f["FunctionName"] for f in lam.list_functions()["Functions"]] == ["early"]
    for of in ("films", "users"):
        said = server.invoke("early", {"of": of}).payload
        assert f"there is no collection {of}" in said and "names it, but it has not been made" in said
    assert "the tag samovar:collections does not name it" in server.invoke("early", {"of": "ads"}).payload
    for of in ("films", "users"):
        Films(server, of).put(a=7)
        assert server.invoke("early", {"of": of}).payload == 7
    assert lam.publish_version(FunctionName="early")["Version"] == "1"
    lam.untag_resource(Resource=arn, TagKeys=[tag])
    assert server.invoke("early", {"of": "films"}).payload == 7  # without a tag all may be read
    assert lam.publish_version(FunctionName="early")["Version"] == "2"  # and nothing is kept
    assert [one["name"] for one in json.loads(server.samovar("collections", "stats", "films", "--json").out)["pins"]] == ["films@1"]
