#!/usr/bin/env python3
"""Writes tests/cases/wire/*.json: what botocore signs and what its decoder of event streams reads.

    python3 tools/gen_wire_vectors.py

sigv4.json        requests with the Authorization header, or the presigned query, that botocore.auth
                  makes for them, beside the `get-vanilla` case of AWS's published suite
event_stream.json messages with their bytes, put together here and read back by botocore.eventstream
The tests of src/wire read them.
"""

import base64
import binascii
import datetime
import json
import pathlib
import struct
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import botocore.eventstream
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/cases/wire"
NOW = datetime.datetime(2026, 11, 24, 15, 21, 16, tzinfo=datetime.timezone.utc)
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "localhost:4566"
ARN = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aecho%3Alive"

# name, method, path and query as sent, headers, body
REQUESTS = [
    ("plain get", "GET", "/2015-03-31/functions/", {}, b""),
    ("empty path", "GET", "", {}, b""),
    ("invoke", "POST", "/2015-03-31/functions/echo/invocations", {"X-Amz-Invocation-Type": "Event"}, b'{"a": 1}'),
    ("arn in the path", "POST", f"/2015-03-31/functions/{ARN}/invocations", {}, b"{}"),
    ("tilde and dots in the path", "GET", "/~a/b.c/-_/%7E", {}, b""),
    ("spaces in the path", "GET", "/a%20b/c%2Fd", {}, b""),
    ("unicode in the path", "GET", "/%E1%88%B4", {}, b""),
    ("dot segments", "GET", "/a/./b/../c//d/", {}, b""),
    ("query in order", "GET", "/?Param2=value2&Param1=value1", {}, b""),
    ("query same name", "GET", "/?p=b&p=a&p=", {}, b""),
    ("query without a value", "GET", "/?find=LayerVersion&empty=&Arn=x", {}, b""),
    ("query encoded", "GET", "/?Qualifier=%24LATEST&x=a%20b%2Bc%2F%3D&y=%E1%88%B4", {}, b""),
    ("query sorted by encoded bytes", "GET", "/?a-b=1&a=2&aB=3&ab=4&A=5", {}, b""),
    ("spaces in a header", "GET", "/", {"X-Spaced": "  a   b  c "}, b""),
    ("header of one value with commas", "GET", "/", {"X-List": "b, a,c"}, b""),
    ("utf-8 body", "POST", "/", {"Content-Type": "application/json"}, '{"ü": "→"}'.encode()),
    ("binary body", "PUT", "/samovar/v1/uploads", {}, bytes(range(256))),
    ("delete", "DELETE", "/2017-03-31/tags/x?tagKeys=a&tagKeys=b", {}, b""),
    ("declared payload hash", "POST", "/", {"X-Amz-Content-SHA256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, b"{}"),
    ("unsigned payload", "POST", "/", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b"anything"),
]


def aws_request(method, target, headers, body):
    return AWSRequest(method=method, url=f"http://{HOST}{target}", data=body, headers={"Host": HOST, **headers})


def sign(case, service, region, token):
    name, method, target, headers, body = case
    request = aws_request(method, target, headers, body)
    auth = botocore.auth.SigV4Auth(Credentials(KEY, SECRET, token), service, region)
    with mock.patch("botocore.auth.get_current_datetime", lambda *a, **k: NOW):
        auth.add_auth(request)
    split = urlsplit(request.url)
    return {"name": name, "method": method, "path": split.path, "query": split.query, "service": service,
            "region": region, "headers": [list(h) for h in request.headers.items()],
            "body": base64.b64encode(body).decode()}


def presign(case, service, token):
    name, method, target, headers, _ = case
    request = aws_request(method, target, headers, b"")
    kind = botocore.auth.S3SigV4QueryAuth if service == "s3" else botocore.auth.SigV4QueryAuth
    auth = kind(Credentials(KEY, SECRET, token), service, "us-east-1", expires=900)
    with mock.patch("botocore.auth.get_current_datetime", lambda *a, **k: NOW):
        auth.add_auth(request)
    split = urlsplit(request.url)
    return {"name": f"{name}, presigned for {service}", "method": method, "path": split.path or "",
            "query": split.query, "service": service, "region": "us-east-1",
            "headers": [list(h) for h in request.headers.items()], "body": ""}


def sigv4():
    cases = [sign(case, "lambda", "us-east-1", None) for case in REQUESTS]
    cases += [sign(REQUESTS[2], "execute-api", "eu-central-1", "a/session+token==")]
    cases += [presign(case, "lambda", token) for case in REQUESTS if not case[4] for token in (None, "t/+=")
              if "p=b" not in case[2]]
    cases += [presign(REQUESTS[6], "s3", None)]
    # AWS Signature Version 4 test suite, get-vanilla (its clock: 2015-08-30 12:36).
    vanilla = {
        "name": "get-vanilla", "method": "GET", "path": "/", "query": "", "service": "service",
        "region": "us-east-1", "body": "", "now": 1440938160,
        "headers": [["Host", "example.amazonaws.com"], ["X-Amz-Date", "20150830T123600Z"],
                    ["Authorization",
                     "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                     "SignedHeaders=host;x-amz-date, "
                     "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"]]}
    return {"access_key_id": KEY, "secret_access_key": SECRET, "now": int(NOW.timestamp()),
            "cases": [vanilla] + cases}


def event_header(name, kind, value):
    raw = base64.b64decode(value)
    length = struct.pack(">H", len(raw)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + length + raw


def event(headers, payload):
    head = b"".join(event_header(*h) for h in headers)
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    message = prelude + head + payload
    return message + struct.pack(">I", binascii.crc32(message))


def text(value):
    return base64.b64encode(value.encode()).decode()


def event_stream():
    numbers = [["yes", 0, b""], ["no", 1, b""], ["byte", 2, b"\xff"], ["short", 3, b"\x01\x02"],
               ["int", 4, b"\0\0\1\0"], ["long", 5, b"\0" * 7 + b"\x2a"], ["bytes", 6, b"\0\xff"],
               ["string", 7, "→".encode()], ["time", 8, b"\0" * 8], ["uuid", 9, bytes(range(16))]]
    messages = [
        ("no headers, no payload", [], b""),
        ("a payload chunk", [[":event-type", 7, text("PayloadChunk")],
                             [":content-type", 7, text("application/octet-stream")],
                             [":message-type", 7, text("event")]], bytes(range(256))),
        ("the end of an invocation", [[":event-type", 7, text("InvokeComplete")],
                                      [":content-type", 7, text("application/json")],
                                      [":message-type", 7, text("event")]], b'{"LogResult":"bG9n"}'),
        ("an exception", [[":exception-type", 7, text("ServiceException")],
                          [":content-type", 7, text("application/json")],
                          [":message-type", 7, text("exception")]], b'{"message":"gone"}'),
        ("every type of header", [[n, t, base64.b64encode(v).decode()] for n, t, v in numbers], b"x"),
    ]
    cases = []
    for name, headers, payload in messages:
        raw = event(headers, payload)
        buffer = botocore.eventstream.EventStreamBuffer()
        buffer.add_data(raw)
        [read] = list(buffer)
        assert read.payload == payload and len(read.headers) == len(headers), name
        cases.append({"name": name, "headers": headers, "payload": base64.b64encode(payload).decode(),
                      "bytes": base64.b64encode(raw).decode()})
    return {"cases": cases}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, content in (("sigv4", sigv4()), ("event_stream", event_stream())):
        (OUT / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
