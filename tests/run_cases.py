#!/usr/bin/env python3
"""Runs the cases of tests/cases against a server: SAMOVAR_ENDPOINT (default http://127.0.0.1:4566).

tests/cases/README.md describes the format. Only Python's standard library is used.
"""

import base64
import hashlib
import http.client
import io
import json
import os
import pathlib
import re
import secrets
import sys
import time
import urllib.parse
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent
HEADER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*): ?(.*)$")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(?::(\d+))?\}")
ECHO = "def handler(event, context):\n    return event\n"
REGION, ACCOUNT = "us-east-1", "000000000000"


class Broken(Exception):
    """A reply that is not the one expected, or a case that cannot be read."""


def package(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("app.py", (2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, text)
    return out.getvalue()


class Server:
    def __init__(self, endpoint):
        url = urllib.parse.urlsplit(endpoint)
        self.host, self.port = url.hostname, url.port or 80

    def call(self, method, target, headers, body):
        if target.startswith("http://"):  # a function URL: its name goes into Host
            url = urllib.parse.urlsplit(target)
            headers = {"Host": url.netloc, **headers}
            target = url.path + ("?" + url.query if url.query else "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            data = body.encode() if body is not None else None
            if data is None and method in ("POST", "PUT"):
                data = b""
            connection.request(method, target, body=data, headers=headers)
            reply = connection.getresponse()
            fields = {}
            for name, value in reply.getheaders():
                fields.setdefault(name.lower(), value)
            return reply.status, fields, reply.read().decode("utf-8", "surrogateescape")
        finally:
            connection.close()


def parse(path):
    """Yields (line number, title, steps); a step is ("call", request, reply) or ("do", words)."""
    cases = []
    steps, block = None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{number}"
        if line.startswith("#"):
            continue
        if line.startswith("== "):
            steps, block = [], None
            cases.append((number, line[3:], steps))
        elif steps is None:
            if line.strip():
                raise Broken(f"{where}: text before the first case")
        elif line.startswith("> "):
            method, target = line[2:].split(" ", 1)
            block = {"start": where, "method": method, "target": target, "headers": [], "body": []}
            steps.append(["call", block, None])
        elif line.startswith("< "):
            words = line[2:].split()
            within = float(words[2].rstrip("s")) if words[1:2] == ["within"] else 0
            block = {"start": where, "status": int(words[0]), "within": within,
                     "headers": [], "body": []}
            steps[-1][2] = block
        elif line.startswith("! "):
            block = None
            steps.append(["do", line[2:].split(), where])
        elif block is not None:
            header = HEADER.match(line)
            if header and not block["body"]:
                block["headers"].append(header.groups())
            elif line.strip() or block["body"]:
                block["body"].append(line)
        elif line.strip():
            raise Broken(f"{where}: what is this?")
    for _, title, steps in cases:
        for step in steps:
            if step[0] == "call" and step[2] is None:
                raise Broken(f"{step[1]['start']}: no reply is given ({title})")
    return cases


def match_value(expected, actual, at):
    if isinstance(expected, str) and expected.startswith("<"):
        if expected == "<any>":
            return
        if expected == "<string>" and isinstance(actual, str):
            return
        if expected == "<number>" and isinstance(actual, (int, float)) and actual is not True:
            return
        if expected.startswith("<re>") and isinstance(actual, str):
            if re.fullmatch(expected[4:], actual, re.S):
                return
        raise Broken(f"{at}: expected {expected}, got {actual!r}")
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            raise Broken(f"{at}: expected an object, got {actual!r}")
        for key, value in expected.items():
            if value == "<absent>":
                if key in actual:
                    raise Broken(f"{at}.{key}: must not be there, is {actual[key]!r}")
            elif key not in actual:
                raise Broken(f"{at}.{key}: is not there")
            else:
                match_value(value, actual[key], f"{at}.{key}")
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            raise Broken(f"{at}: expected {len(expected)} elements, got {actual!r}")
        for i, value in enumerate(expected):
            match_value(value, actual[i], f"{at}[{i}]")
    elif expected != actual or isinstance(expected, bool) != isinstance(actual, bool):
        raise Broken(f"{at}: expected {expected!r}, got {actual!r}")


class Case:
    def __init__(self, server, runtime):
        self.server = server
        one, two = package(ECHO), package("# second\n" + ECHO)
        digest = lambda data: base64.b64encode(hashlib.sha256(data).digest()).decode()
        name = "case-" + secrets.token_hex(6)
        self.values = {
            "name": name,
            "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
            "role": f"arn:aws:iam::{ACCOUNT}:role/case",
            "runtime": runtime,
            "zip": base64.b64encode(one).decode(),
            "zip2": base64.b64encode(two).decode(),
            "sha": digest(one),
            "sha2": digest(two),
            "region": REGION,
            "account": ACCOUNT,
        }
        self.reply = None

    def fill(self, text, where):
        def value(found):
            name, number = found.groups()
            if name == "spaces" and number:
                return " " * int(number)
            if name not in self.values:
                raise Broken(f"{where}: nothing is called {{{name}}}")
            return self.values[name]
        return PLACEHOLDER.sub(value, text)

    def call(self, request):
        where = request["start"]
        headers = {name: self.fill(value, where) for name, value in request["headers"]}
        body = self.fill("\n".join(request["body"]).rstrip("\n"), where) if request["body"] else None
        target = self.fill(request["target"], where)
        self.reply = self.server.call(request["method"], target, headers, body)

    def check(self, expected):
        status, fields, body = self.reply
        where = expected["start"]
        if status != expected["status"]:
            raise Broken(f"{where}: status {status}, body {body[:400]}")
        for name, value in expected["headers"]:
            value = self.fill(value, where)
            actual = fields.get(name.lower())
            if value == "(absent)":
                if actual is not None:
                    raise Broken(f"{where}: header {name} is {actual!r}")
            elif value.startswith("~ "):
                if actual is None or not re.search(value[2:], actual):
                    raise Broken(f"{where}: header {name} is {actual!r}")
            elif actual != value:
                raise Broken(f"{where}: header {name} is {actual!r}, expected {value!r}")
        self.check_body(expected, body)

    def check_body(self, expected, body):
        where = expected["start"]
        lines = expected["body"]
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        as_json = []
        for line in lines:
            line = self.fill(line, where)
            if line == "=" or line.startswith("= "):
                if body != line[2:]:
                    raise Broken(f"{where}: body {body[:400]!r}")
            elif line.startswith("~ "):
                if not re.search(line[2:], body, re.S):
                    raise Broken(f"{where}: no {line[2:]!r} in {body[:400]!r}")
            else:
                as_json.append(line)
        if not as_json:
            return
        try:
            wanted = json.loads("\n".join(as_json))
        except ValueError as error:
            raise Broken(f"{where}: the expected body is no JSON: {error}")
        try:
            actual = json.loads(body)
        except ValueError:
            raise Broken(f"{where}: the body is no JSON: {body[:400]!r}")
        match_value(wanted, actual, f"{where}: body")

    def do(self, words, where):
        if words[0] == "create":
            request = {
                "FunctionName": "{name}", "Runtime": "{runtime}", "Role": "{role}",
                "Handler": "app.handler", "Code": {"ZipFile": "{zip}"}}
            self.call({"start": where, "method": "POST", "target": "/2015-03-31/functions",
                       "headers": [], "body": [json.dumps(request)]})
            self.check({"start": where, "status": 201, "headers": [], "body": []})
            self.wait_active(where)
        elif words[0] == "save" and len(words) == 3:
            value = json.loads(self.reply[2])
            for part in words[2].split("."):
                value = value[int(part)] if part.isdigit() else value[part]
            self.values[words[1]] = str(value)
        else:
            raise Broken(f"{where}: unknown: {' '.join(words)}")

    def wait_active(self, where):
        end = time.monotonic() + 30
        while True:
            self.call({"start": where, "method": "GET", "headers": [], "body": [],
                       "target": "/2015-03-31/functions/{name}/configuration"})
            state = json.loads(self.reply[2])
            if state.get("State") == "Active" and state.get("LastUpdateStatus") == "Successful":
                return
            if time.monotonic() > end:
                raise Broken(f"{where}: the function did not become active: {state}")
            time.sleep(0.02)

    def run(self, steps):
        try:
            for step in steps:
                if step[0] == "do":
                    self.do(step[1], step[2])
                    continue
                end = time.monotonic() + step[2]["within"]
                while True:
                    self.call(step[1])
                    try:
                        self.check(step[2])
                        break
                    except Broken:
                        if time.monotonic() >= end:
                            raise
                        time.sleep(0.05)
        finally:
            path = "/2015-03-31/functions/" + self.values["name"]
            self.server.call("DELETE", path, {}, None)


def newest_python(server):
    status, _, body = server.call("GET", "/samovar/v1/runtimes", {}, None)
    if status != 200:
        raise Broken(f"the server answers {status} to GET /samovar/v1/runtimes: {body}")
    names = [r["name"] for r in json.loads(body)["runtimes"] if r["name"].startswith("python3.")]
    supported = [n for n in names if 9 <= int(n.split(".")[1]) <= 13]
    return max(supported, key=lambda n: int(n.split(".")[1]), default="python3.11")


def main():
    server = Server(os.environ.get("SAMOVAR_ENDPOINT", "http://127.0.0.1:4566"))
    files = [pathlib.Path(a) for a in sys.argv[1:]]
    files = files or sorted((ROOT / "cases").glob("*/*.case"))
    runtime = newest_python(server)
    passed, failed = 0, []
    for path in files:
        for number, title, steps in parse(path):
            try:
                Case(server, runtime).run(steps)
                passed += 1
            except (Broken, OSError, ValueError, KeyError, http.client.HTTPException) as error:
                failed.append(f"{path}:{number}: {title}\n    {error}")
                print("FAILED", failed[-1], flush=True)
    print(f"{passed} cases passed, {len(failed)} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
