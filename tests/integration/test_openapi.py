"""The documents of docs/openapi are OpenAPI: what clients are generated from. (What they say is tested by each API's tests.)"""

import json

import pytest
import yaml
from openapi_spec_validator import validate

from harness import ROOT, unique
from openapi import OpenApi


@pytest.mark.parametrize("document", sorted((ROOT / "docs/openapi").glob("*.yaml")), ids=lambda path: path.name)
def test_a_document_is_valid_openapi(document):
    validate(yaml.safe_load(document.read_text()))


@pytest.mark.parametrize("document", sorted((ROOT / "docs/openapi").glob("*.yaml")), ids=lambda path: path.name)
def test_what_common_linters_ask_for_is_there(document):
    api = yaml.safe_load(document.read_text())
    assert api["servers"] and api["security"] and api["info"]["license"]
    for path in api["paths"].values():
        for operation in (value for method, value in path.items() if method != "parameters"):
            assert operation["summary"], operation
            assert "requestBody" not in operation or operation["requestBody"]["content"]["application/json"]["example"], operation


def test_the_examples_work_as_they_stand(server):
    api, name = OpenApi("collections.yaml"), unique("films")

    def send(operation):
        path, method, found = api.named(operation)
        body = {**found["requestBody"]["content"]["application/json"]["example"]}
        if operation == "createCollection":
            body["name"] = name
        reply = server.raw(method, path.replace("{name}", name), json.dumps(body).encode())
        answer = json.loads(reply.data)
        api.check(answer, found["responses"][str(reply.status)]["content"]["application/json"]["schema"])
        return answer

    assert send("createCollection")["name"] == name
    assert send("writeBatch") == {"generation": 1, "put": 1, "updated": 1, "deleted": 0, "missing": []}
    assert [hit["id"] for hit in send("search")["hits"]] == ["heat"]
    got = send("getRows")
    assert got["rows"][0]["attributes"] == {"year": 1995, "seen": True} and got["missing"] == ["alien"]
    assert send("measureRecall")["recall"] == 1
    assert server.raw("DELETE", f"/samovar/v1/collections/{name}").status == 204
