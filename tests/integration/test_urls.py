"""Function URLs: the event a handler gets, the answer a browser gets, IAM, CORS, streaming."""

import base64
import urllib.parse

import pytest
import urllib3

from harness import HTTP, until

SHOW = """
import base64
def handler(event, context):
    kind = event["rawPath"]
    if kind == "/full":
        return {"statusCode": 201, "headers": {"X-Mine": "yes", "Content-Type": "text/plain"},
                "cookies": ["a=1; Secure", "b=2"], "body": "made"}
    if kind == "/binary":
        return {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(bytes(range(256))).decode(),
                "headers": {"content-type": "application/octet-stream"}}
    if kind == "/plain": return "just text"
    if kind == "/raise": raise ValueError("no")
    return event
"""


class Url:
    def __init__(self, server, function, **config):
        self.server, self.function = server, function
        made = server.client().create_function_url_config(FunctionName=function, **{"AuthType": "NONE", **config})
        self.url = made["FunctionUrl"]
        self.host = urllib.parse.urlsplit(self.url).netloc
        if config.get("AuthType", "NONE") == "NONE":
            server.client().add_permission(
                FunctionName=function, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*",
                FunctionUrlAuthType="NONE")

    def call(self, path="/", method="GET", body=None, headers=None, **more):
        """As a client does that resolves NAME.localhost to this machine."""
        fields = urllib3.HTTPHeaderDict({"Host": self.host})
        for name, value in (headers or {}).items():
            fields[name] = value
        return HTTP.request(method, self.server.endpoint + path, body=body, headers=fields, **more)


@pytest.fixture
def url(server, name):
    server.create(SHOW, name=name)
    return Url(server, name)


def test_the_event_is_of_format_2(url):
    reply = url.call("/a%20b/c?x=1&x=2&y=%26", "POST", b'{"k": 1}', {
        "Content-Type": "application/json", "X-Two": "z", "Cookie": "c1=v1; c2=v2", "User-Agent": "tester"})
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    event = reply.json()
    assert event["version"] == "2.0" and event["routeKey"] == "$default"
    assert event["rawQueryString"] == "x=1&x=2&y=%26" and event["queryStringParameters"] == {"x": "1,2", "y": "&"}
    assert event["cookies"] == ["c1=v1", "c2=v2"] and event["headers"]["x-two"] == "z"
    assert event["body"] == '{"k": 1}' and event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert context["http"]["method"] == "POST" and context["http"]["sourceIp"] == "127.0.0.1"
    assert context["http"]["userAgent"] == "tester" and context["stage"] == "$default"
    assert context["domainName"] == url.host.split(":")[0] or context["domainName"] == url.host
    assert context["requestId"] and context["timeEpoch"] > 1_600_000_000_000


def test_bytes_come_and_go_as_base64(url):
    event = url.call("/", "POST", b"\x00\xff\x01", {"Content-Type": "application/octet-stream"}).json()
    assert event["isBase64Encoded"] is True and base64.b64decode(event["body"]) == b"\x00\xff\x01"
    reply = url.call("/binary")
    assert reply.data == bytes(range(256)) and reply.headers["content-type"] == "application/octet-stream"


def test_status_headers_and_cookies_of_the_answer(url):
    reply = url.call("/full")
    assert (reply.status, reply.data, reply.headers["x-mine"]) == (201, b"made", "yes")
    assert reply.headers.getlist("set-cookie") == ["a=1; Secure", "b=2"]
    assert reply.headers["content-type"] == "text/plain"


def test_a_plain_answer_is_the_body(url):
    reply = url.call("/plain")
    assert (reply.status, reply.data, reply.headers["content-type"]) == (200, b"just text", "application/json")


def test_an_error_is_a_502(url):
    reply = url.call("/raise")
    assert reply.status == 502 and b"Internal Server Error" in reply.data
    assert b"ValueError" not in reply.data  # nothing of the function's inside is told to the world


def test_without_a_policy_nobody_may_call(server, name):
    server.create(SHOW, name=name)
    url = Url(server, name)
    server.client().remove_permission(FunctionName=name, StatementId="url")
    reply = url.call("/")
    assert reply.status == 403 and reply.json()["Message"].startswith("Forbidden")


def test_iam_needs_a_signature(server, name):
    server.create(SHOW, name=name)
    url = Url(server, name, AuthType="AWS_IAM")
    assert url.call("/").status == 403
    signed = server.sign("GET", f"http://{url.host}/x", headers={"Host": url.host})
    signed.pop("Host", None)
    assert url.call("/x", headers=signed).status == 200


def test_an_unknown_url_is_refused(server, url):
    reply = HTTP.request("GET", server.endpoint + "/", headers={"Host": "a" * 32 + ".lambda-url.us-east-1.localhost"})
    assert reply.status in (403, 404) and "essage" in reply.data.decode()


def test_cors(server, name):
    server.create(SHOW, name=name)
    url = Url(server, name, Cors={"AllowOrigins": ["https://one.example"], "AllowMethods": ["GET", "PUT"],
                                  "AllowHeaders": ["x-mine"], "ExposeHeaders": ["x-seen"], "MaxAge": 77,
                                  "AllowCredentials": True})
    pre = url.call("/", "OPTIONS", headers={"Origin": "https://one.example", "Access-Control-Request-Method": "PUT",
                                            "Access-Control-Request-Headers": "x-mine"})
    assert pre.status == 200 and pre.headers["access-control-allow-origin"] == "https://one.example"
    assert "PUT" in pre.headers["access-control-allow-methods"] and pre.headers["access-control-max-age"] == "77"
    assert pre.headers["access-control-allow-credentials"] == "true"
    assert pre.headers["access-control-allow-headers"] == "x-mine"
    real = url.call("/full", headers={"Origin": "https://one.example"})
    assert real.status == 201 and real.headers["access-control-allow-origin"] == "https://one.example"
    assert real.headers["access-control-expose-headers"] == "x-seen"
    other = url.call("/full", headers={"Origin": "https://two.example"})
    assert "access-control-allow-origin" not in other.headers


STREAM = """
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const out = awslambda.HttpResponseStream.from(stream,
    {statusCode: 207, headers: {'Content-Type': 'text/event-stream', 'X-S': 's'}, cookies: ['k=v']});
  for (let i = 0; i < 4; i++) { out.write(`data: ${i}\\n\\n`); await new Promise((r) => setTimeout(r, 20)); }
  out.end();
});
"""


def test_a_streamed_answer_comes_in_pieces(server, name):
    server.create({"index.mjs": STREAM}, name=name, runtime=server.runtime("nodejs"), handler="index.handler")
    url = Url(server, name, InvokeMode="RESPONSE_STREAM")
    reply = url.call("/", preload_content=False)
    assert reply.status == 207 and reply.headers["x-s"] == "s"
    assert reply.headers.getlist("set-cookie") == ["k=v"] and "content-length" not in reply.headers
    pieces = list(reply.read_chunked())
    assert b"".join(pieces) == b"".join(b"data: %d\n\n" % i for i in range(4)) and len(pieces) > 1


def test_a_url_of_an_alias(server, lam, name):
    server.create("def handler(e, c):\n    return c.function_version\n", name=name, Publish=True)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    made = lam.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")
    lam.add_permission(FunctionName=name, Qualifier="live", StatementId="u", Action="lambda:InvokeFunctionUrl",
                       Principal="*", FunctionUrlAuthType="NONE")
    host = urllib.parse.urlsplit(made["FunctionUrl"]).netloc
    assert HTTP.request("GET", server.endpoint + "/", headers={"Host": host}).data == b"1"


def test_a_deleted_url_answers_no_more(server, lam, url):
    assert url.call("/plain").status == 200
    lam.delete_function_url_config(FunctionName=url.function)
    assert until(lambda: url.call("/plain").status in (403, 404), 60)


def test_nothing_of_the_host_header_is_trusted(server, url):
    for host in (url.host.upper(), url.host + "."):
        reply = HTTP.request("GET", server.endpoint + "/plain", headers={"Host": host})
        assert reply.status in (200, 400, 403, 404), (host, reply.status)
    assert url.call("/plain").data == b"just text"
