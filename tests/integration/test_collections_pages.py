"""The list of collections, a page at a time."""

import json

from harness import unique
from openapi import OpenApi

PATH = "/samovar/v1/collections"
API = OpenApi("collections.yaml")


def page(server, query):
    reply = server.raw("GET", f"{PATH}?{query}")
    answer = json.loads(reply.data)
    schema = API.resolve(API.operation("GET", PATH)["responses"][str(reply.status)])["content"]["application/json"]["schema"]
    API.check(answer, schema)
    return answer


def test_collections_are_listed_in_pages(server):
    start = unique("page")
    names = [f"{start}-{i}" for i in range(5)]
    for name in names:
        assert server.raw("POST", PATH, json.dumps({"name": name, "dimension": 1}).encode()).status == 201
    found, marker, pages = [], start, 0
    while marker:
        answer = page(server, f"limit=2&marker={marker}")
        assert 1 <= len(answer["collections"]) <= 2
        found += [one["name"] for one in answer["collections"]]
        marker, pages = answer.get("next_marker"), pages + 1
    assert found[:5] == names and found == sorted(found) and pages == (len(found) + 1) // 2
    assert "next_marker" not in page(server, "limit=1000")
    for limit in ("0", "1001", "-1", "two", ""):
        assert page(server, f"limit={limit}")["error"] == "limit: expected a number from 1 to 1000"
    listed = server.samovar("collections", "list").out
    assert all(name in listed for name in names)
