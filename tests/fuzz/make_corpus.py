#!/usr/bin/env python3
"""Writes the seeds under tests/fuzz/corpus: a few good inputs for each target, to start from."""

import base64
import io
import json
import pathlib
import struct
import subprocess
import tempfile
import zipfile

OUT = pathlib.Path(__file__).resolve().parent / "corpus"
CASES = OUT.parent.parent / "cases/wire"


def seed(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def request(method, path, query="", headers=(), body=""):
    lines = [method, path, query] + [f"{name}: {value}" for name, value in headers] + ["", body]
    return "\n".join(lines)


def frame(kind, meta, payload=b""):
    return struct.pack("<IBBH", 4 + len(meta) + len(payload), kind, 0, len(meta)) + meta + payload


def template_report():
    seed("template_report", "clonable", json.dumps({"clonable": True, "reasons": [], "private_bytes": 4096, "threads": 1}))
    reason = {"problem": "libx.so has started 4 threads \u00e9", "remedy": "set X = 1"}
    seed("template_report", "threads", json.dumps({"clonable": False, "reasons": [reason], "private_bytes": -1}))


def collections():
    """A log needs real checksums: its seeds are heads that miss them, the records are found from there."""
    seed("collection_log", "head", b"\0SMVLOG01" + struct.pack("<QQ", 1, 0) + b"SREC" + struct.pack("<IQQQ", 8, 1, 0, 0))
    put = struct.pack("<BBHIff", 1, 0, 2, 9, 1.0, 0.5) + bytes(32) + b'{"a":"b"}' + b"id"
    change = struct.pack("<BBHIff", 2, 0, 2, 0, 0, 0) + b"id"
    seed("collection_log", "batch", b"\3" + put + change)
    seed("collection_log", "checkpoint", b"\2SMVCHK01" + struct.pack("<QQQQQQQQ", 5, 3, 1, 2, 1, 0, 0, 0))
    seed("collection_log", "manifest", b"\3SMVMAN01" + struct.pack("<QQQQQQ", 1, 1, 1, 1, 0, 0))
    row = json.dumps({"title": "a \"b\"", "year": 1999, "genres": ["x", "y"], "n": None, "deep": {"a": [1]}})
    for i, asked in enumerate([{"eq": {"year": 1999}}, {"in": {"genres": ["y", 1.5]}}, {"not": {"eq": {"n": None}}},
                               {"and": [{"range": {"year": {"gte": 1, "lt": 2e3}}}, {"or": []}]}]):
        seed("collection_filter", f"filter-{i}", "\n".join([json.dumps(asked), row, '{"year": null, "z": [true]}']))


def elf_file():
    """A library with a needed one, versions and an ISA note, as small as the linker makes it."""
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "fast.so"
        subprocess.run(["gcc", "-shared", "-nostartfiles", "-s", "-o", made, "-Wl,-z,x86-64-v2,-z,noseparate-code",
                        "-Wl,--build-id=none,-soname,fast.so,-rpath,$ORIGIN/lib", "-xc", "-"], check=True, text=True,
                       input="int puts(const char*); void* PyInit_fast(void) { puts(\"\"); return 0; }\n")
        seed("elf_file", "library", made.read_bytes())


def a_zip():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return event\n")
        archive.writestr("lib/", "")
        archive.writestr("lib/x.txt", "x" * 1000)
        link = zipfile.ZipInfo("lib/link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "x.txt")
    return data.getvalue()


def main():
    functions = "/2015-03-31/functions"
    create = {"FunctionName": "f", "Runtime": "python3.11", "Handler": "app.handler", "MemorySize": 128,
              "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": "UEsFBgA="}, "Layers": [],
              "Environment": {"Variables": {"AB": "c"}}, "Tags": {"a": "b"}, "Architectures": ["x86_64"],
              "VpcConfig": {"SubnetIds": ["subnet-1"]}, "FileSystemConfigs": [{"Arn": "x"}]}
    seed("lambda_input", "create", request("POST", functions, body=json.dumps(create)))
    seed("lambda_input", "invoke", request("POST", f"{functions}/f%3Alive/invocations", "Qualifier=1", [
        ("X-Amz-Invocation-Type", "Event"), ("X-Amz-Log-Type", "Tail"), ("X-Amz-Client-Context", "e30=")], "{}"))
    seed("lambda_input", "alias", request("PUT", f"{functions}/f/aliases/a", body=json.dumps(
        {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}}})))
    seed("lambda_input", "tags", request("DELETE", "/2017-03-31/tags/arn%3Aaws", "tagKeys=a&tagKeys=b"))
    seed("lambda_input", "layers", request("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=x"))
    seed("lambda_input", "mapping", request("POST", "/2015-03-31/event-source-mappings", body=json.dumps(
        {"FunctionName": "f", "BatchSize": 10, "StartingPositionTimestamp": 1.5, "Topics": ["t"],
         "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["a:1"]}}})))
    for i, case in enumerate(json.loads((CASES / "sigv4.json").read_text())["cases"]):
        if i % 8 == 0:
            seed("sigv4", f"case-{i}", request(case["method"], case["path"], case["query"], case["headers"]))
    seed("frame_channel", "session", b"\x10" + frame(16, b"python3.11.7") + frame(18, b"", b'{"a":1}')
         + frame(20, b"text/plain") + frame(21, b"", b"abc") + frame(22, b""))
    seed("frame_channel", "invoke", b"\x01" + frame(1, b"id\x001800000000123\x00arn\x00\x00{}\x00\x00buffered\x00", b"{}"))
    for i, case in enumerate(json.loads((CASES / "event_stream.json").read_text())["cases"]):
        seed("event_stream", f"case-{i}", b"\x20" + base64.b64decode(case["bytes"]))
    seed("function_url", "post", request("POST", "/a%20b", "q=1&q=2&x=%2F", [
        ("Host", "h"), ("Cookie", "a=1; b=2"), ("Content-Type", "application/json"),
        ("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")], "{}"))
    answer = {"statusCode": 200, "headers": {"Content-Type": "text/plain", "X-N": 1}, "cookies": ["a=1"],
              "body": "YWJj", "isBase64Encoded": True}
    seed("url_answer", "http", json.dumps(answer))
    seed("url_answer", "value", '{"a": "x \\" y", "n": [1, 2.5, null]}')
    seed("url_answer", "error", '{"errorType": "ValueError", "errorMessage": "m"}')
    seed("stream_prelude", "head", b"\x07" + json.dumps(answer).encode() + b"\0" * 8 + b"body")
    seed("zip_field", "create", b"\x05" + json.dumps(create).encode())
    seed("zip_field", "escapes", b"\x01" + rb'{"Code":{"ZipFile":"\/\/8=","S3Bucket":"\u00e9\n"},"N":-1.5e3}')
    seed("zip_package", "good", a_zip())
    seed("manifest", "good", f"f {'ab' * 32} 12 app.py\nl app.py link\nx {'cd' * 32} 3 tool%20box\n")
    for i, name in enumerate(["f", "f:live", "000000000000:function:f", "us-east-1:000000000000:function:f:1",
                              "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                              "arn:aws:lambda:us-east-1:000000000000:layer:l:3"]):
        seed("function_ref", f"name-{i}", name)
    template_report()
    collections()
    elf_file()


if __name__ == "__main__":
    main()
