"""The part of OpenAPI that docs/openapi uses: which operation a call is, and whether JSON fits a schema."""

import re

import yaml

from harness import ROOT

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


class OpenApi:
    def __init__(self, name):
        self.document = yaml.safe_load((ROOT / "docs/openapi" / name).read_text())

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def operations(self):
        return {op["operationId"] for path in self.document["paths"].values()
                for method, op in path.items() if method != "parameters"}

    def named(self, operation):
        """Its path, method and description."""
        return next((path, method.upper(), op) for path, item in self.document["paths"].items()
                    for method, op in item.items() if method != "parameters" and op["operationId"] == operation)

    def operation(self, method, path):
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path) and method.lower() in item:
                return item[method.lower()]
        raise AssertionError(f"{method} {path} is not documented")

    def check(self, value, schema, where="body"):
        schema = self.resolve(schema)
        if "oneOf" in schema:
            fits = [s for s in schema["oneOf"] if isinstance(value, TYPES[s["type"]])]
            assert fits, f"{where}: {value!r}"
            return self.check(value, fits[0], where)
        kind = schema["type"]
        assert isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool), f"{where}: {value!r}"
        assert value in schema.get("enum", [value]), f"{where}: {value!r}"
        if kind == "array":
            for i, element in enumerate(value):
                self.check(element, schema["items"], f"{where}[{i}]")
        if kind == "object":
            known = schema.get("properties", {})
            missing = set(schema.get("required", [])) - set(value)
            more = set(value) - set(known) if schema.get("additionalProperties") is False else set()
            assert not missing and not more, f"{where}: missing {missing}, unknown {more}"
            for name in set(known) & set(value):
                self.check(value[name], known[name], f"{where}.{name}")
        return None
