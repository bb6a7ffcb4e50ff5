#!/usr/bin/env python3
"""Writes the seeds under tests/fuzz/corpus: a few good inputs for each target, to start from."""

import base64
import io
import json
import pathlib
import struct
import subprocess
import tarfile
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
    seed("collection_log", "checkpoint", b"\2SMVCHK02" + struct.pack("<10Q", 5, 3, 1, 4, 1, 2, 1, 0, 0, 0))
    seed("collection_log", "manifest", b"\3SMVMAN01" + struct.pack("<QQQQQQ", 1, 1, 1, 1, 0, 0))
    row = json.dumps({"title": "a \"b\"", "year": 1999, "genres": ["x", "y"], "n": None, "deep": {"a": [1]}})
    for i, asked in enumerate([{"eq": {"year": 1999}}, {"in": {"genres": ["y", 1.5]}}, {"not": {"eq": {"n": None}}},
                               {"and": [{"range": {"year": {"gte": 1, "lt": 2e3}}}, {"or": []}]}]):
        seed("collection_filter", f"filter-{i}", "\n".join([json.dumps(asked), row, '{"year": null, "z": [true]}']))


def elasticsearch():
    field = {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}
    fits = {"bool": {"must": {"term": {"a.keyword": {"value": 1}}}, "should": [{"terms": {"b": ["x"]}}, {"match_all": {}}],
                     "must_not": {"range": {"a": {"gte": 1, "lt": 2}}}, "minimum_should_match": 1}}
    knn = {"field": "v", "query_vector": [1, 2.5], "k": 2, "num_candidates": 9, "filter": [fits], "similarity": 0.5, "boost": 2}
    for i, body in enumerate([{"mappings": {"properties": {"v": field, "t": {"type": "text"}}}, "settings": {}},
                              {"knn": knn, "size": 3, "from": 1, "_source": {"includes": ["a*"], "excludes": ["v"]}},
                              {"query": {"constant_score": {"filter": fits}}, "_source": ["a", "b.c"]},
                              {"query": {"ids": {"values": ["1"]}}, "_source": False}, {"retriever": {"knn": knn}}]):
        seed("elasticsearch", f"body-{i}", json.dumps(body))


def elf_file():
    """A library with a needed one, versions and an ISA note, as small as the linker makes it."""
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "fast.so"
        subprocess.run(["gcc", "-shared", "-nostartfiles", "-s", "-o", made, "-Wl,-z,x86-64-v2,-z,noseparate-code",
                        "-Wl,--build-id=none,-soname,fast.so,-rpath,$ORIGIN/lib", "-xc", "-"], check=True, text=True,
                       input="int puts(const char*); void* PyInit_fast(void) { puts(\"\"); return 0; }\n")
        seed("elf_file", "library", made.read_bytes())


def model_payload():
    """One byte for the model, a content type, an Accept, the payload."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}
    binary = json.dumps({"inputs": [{**{k: tensor[k] for k in ("name", "datatype", "shape")}, "parameters": {"binary_data_size": 8}}],
                         "parameters": {"binary_data_output": True}})
    npy = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n"
    seeds = {"instances": (0, "", "", b'{"instances": [[1, 2e3], [-0.5, null]], "outputs": ["x"]}'),
             "objects": (3, "", "", b'{"instances": [{"x": [1], "n": [2, 3]}]}'),
             "rows": (3, "", "text/csv", b'{"instances": [[1, 2, 3]]}'),
             "inputs": (2, "application/json", "", b'{"inputs": {"x": [["a", "b\\u00e9"]]}}'),
             "complex": (4, "", "", b'{"inputs": {"x": [[1, 2], [3, "NaN"]]}}'),
             "small": (5, "", "application/x-npy", b'{"inputs": {"x": [[-8, 7]]}}'),
             "large": (1, "", "", b'{"instances": [18446744073709551616, 1e3, 9223372036854775807]}'),
             "scalar": (6, "", "", b'{"inputs": {"x": [[true, 0], [1, false]], "h": 0.5}}'),
             "sequence": (7, "", "", b'{"inputs": {"s": [[1], [], [2, 3]]}}'),
             "v2": (0, "", "", json.dumps({"id": "1", "inputs": [tensor], "outputs": [{"name": "x"}]}).encode()),
             "binary": (0, f"application/octet-stream; inference-header-content-length={len(binary)}", "",
                        binary.encode() + struct.pack("<ff", 1, 2)),
             "url": (0, "", "", json.dumps({"requestContext": {"http": {}}, "body": json.dumps({"instances": [[1, 2]]})}).encode()),
             "csv": (0, "text/csv; header=present", "", b'a,"b"\n1, 2\r\n,"3"\n'),
             "npy": (0, "application/x-npy", "*/*", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(npy)) + npy + struct.pack("<ff", 1, 2))}
    for name, (model, kind, accept, payload) in seeds.items():
        seed("model_payload", name, bytes([model]) + f"{kind}\n{accept}\n".encode() + payload)


def model_forest():
    """A model of one tree, in the fields of onnx.proto."""
    def field(number, value):
        if isinstance(value, int):
            return bytes([number << 3, value])
        data = value if isinstance(value, bytes) else value.encode()
        assert len(data) < 1 << 14
        return bytes([number << 3 | 2]) + (
            bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 0x7F | 0x80, len(data) >> 7])) + data

    def column(name, number, values):
        return field(5, field(1, name) + b"".join(
            bytes([number << 3 | 5]) + struct.pack("<f", v) if isinstance(v, float) else field(number, v) for v in values))

    labels = field(2, "z") + column("classlabels_strings", 9, ["a", "b"]) + field(5, field(1, "post_transform") + field(4, "LOGISTIC"))
    for name, targets, more in (("regressor", 1, b""), ("targets", 2, column("nodes_missing_value_tracks_true", 8, [1, 0, 0])),
                                ("classifier", 2, labels)):
        kind, leaf = ("Classifier", "class") if name == "classifier" else ("Regressor", "target")
        leaves = [(node, target) for node in (1, 2) for target in range(targets)]
        node = (field(1, "x") + field(2, "y") + field(4, f"TreeEnsemble{kind}") + field(7, "ai.onnx.ml") + more
                + column("nodes_treeids", 8, [0, 0, 0]) + column("nodes_nodeids", 8, [0, 1, 2]) + column("nodes_featureids", 8, [1, 0, 0])
                + column("nodes_values", 7, [0.5, 0.0, 0.0]) + column("nodes_modes", 9, ["BRANCH_LEQ", "LEAF", "LEAF"])
                + column("nodes_truenodeids", 8, [1, 0, 0]) + column("nodes_falsenodeids", 8, [2, 0, 0])
                + column(f"{leaf}_treeids", 8, [0] * len(leaves)) + column(f"{leaf}_nodeids", 8, [n for n, _ in leaves])
                + column(f"{leaf}_ids", 8, [t for _, t in leaves]) + column(f"{leaf}_weights", 7, [0.25] * len(leaves))
                + (b"" if name == "classifier" else field(5, field(1, "n_targets") + field(3, targets))))
        seed("model_forest", name, field(1, 8) + field(7, field(1, node)) + field(8, field(2, 17)))
    tensor = lambda name, kind, data: field(5, field(1, name) + field(5, field(1, 2) + field(2, kind) + field(9, data)))  # noqa: E731
    node = (field(1, "x") + field(2, "y") + field(4, "TreeEnsemble") + field(7, "ai.onnx.ml") + column("tree_roots", 8, [0])
            + tensor("nodes_splits", 1, struct.pack("<2f", 0.5, 1)) + tensor("nodes_modes", 2, bytes([0, 3])) + column("nodes_featureids", 8, [1, 0])
            + column("nodes_truenodeids", 8, [1, 0]) + column("nodes_trueleafs", 8, [0, 1]) + column("nodes_falsenodeids", 8, [1, 2])
            + column("nodes_falseleafs", 8, [1, 1]) + column("leaf_targetids", 8, [0, 0, 0])
            + tensor("leaf_weights", 1, struct.pack("<3f", 0.25, 0.5, 1)) + field(5, field(1, "n_targets") + field(3, 1)))
    seed("model_forest", "newer", field(1, 8) + field(7, field(1, node)) + field(8, field(2, 21)))


def a_layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link in (("a/b", tarfile.REGTYPE, ""), ("a/.wh.c", tarfile.REGTYPE, ""),
                                 ("d/.wh..wh..opq", tarfile.REGTYPE, ""), ("e", tarfile.SYMTYPE, "/a"),
                                 ("f", tarfile.LNKTYPE, "a/b"), ("dev/null", tarfile.CHRTYPE, "")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            tar.addfile(entry)
    return out.getvalue()


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
    seed("image_layer", "good", a_layer())
    seed("http_event", "url", json.dumps({
        "version": "2.0", "rawPath": "/a b", "rawQueryString": "x=1", "cookies": ["a=1"], "headers": {"x-own": "1"},
        "requestContext": {"http": {"method": "POST", "path": "/a b"}}, "body": "aGk=", "isBase64Encoded": True}))
    seed("http_event", "rest", json.dumps({"httpMethod": "GET", "path": "/p", "multiValueHeaders": {"a": ["1", "2"]},
                                           "multiValueQueryStringParameters": {"q": ["1", "x y"]}}))
    for i, name in enumerate(["f", "f:live", "000000000000:function:f", "us-east-1:000000000000:function:f:1",
                              "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                              "arn:aws:lambda:us-east-1:000000000000:layer:l:3"]):
        seed("function_ref", f"name-{i}", name)
    template_report()
    collections()
    elasticsearch()
    elf_file()
    model_payload()
    model_forest()


if __name__ == "__main__":
    main()
