"""Container images that listen for HTTP, served as functions."""

import concurrent.futures
import json
import subprocess
import urllib.parse

import pytest
import urllib3

from harness import HTTP, unique, until
from images import Layout, create

pytestmark = pytest.mark.timeout(300)

SERVICE = """import http.server, json, os, signal, socket, sys, threading
together, most, lock, gate = 0, 0, threading.Lock(), threading.Barrier(4)
go, left = threading.Event(), []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body, *fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
    def event(self, data):
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(data), data))
        self.wfile.flush()
    def do_GET(self):
        global together, most
        if self.path.startswith("/meet"):
            gate.wait(60)
            return self.answer(200, str(os.getpid()).encode())
        if self.path == "/bytes":
            return self.answer(200, b"\\x00\\xff\\x01", ("Content-Type", "application/octet-stream"))
        if self.path == "/feed":
            self.begin()
            self.event(b"data: one\\n\\n")
            go.wait(60)
            self.event(b"data: two\\n\\n")
            return self.event(b"")
        if self.path == "/go":
            go.set()
        if self.path == "/flood":
            self.begin()
            try:
                while True:
                    self.event(b"x" * 65536)
            except OSError:
                left.append(self.path)
        if self.path == "/silent":
            self.begin()
            self.event(b"data: one\\n\\n")
            self.connection.recv(1)
            left.append(self.path)
            self.close_connection = True
            return
        if self.path == "/left":
            return self.answer(200, json.dumps(left).encode())
        if self.path == "/large":
            return self.answer(200, b"y" * (20 << 20), ("Content-Type", "application/octet-stream"))
        if self.path == "/none":
            self.send_response(204)
            return self.end_headers()
        if self.path == "/broken":
            self.begin()
            self.event(b"a part")
            self.wfile.write(b"no chunk\\r\\n")
            self.close_connection = True
            return
        if self.path == "/end":
            os._exit(3)
        if self.path == "/fade":
            SERVER.socket.shutdown(socket.SHUT_RDWR)
            self.connection.shutdown(socket.SHUT_RDWR)
            threading.Event().wait(0.3)
            os._exit(3)
        if self.path == "/slow":
            threading.Event().wait(30)
        about = {"path": self.path, "method": self.command, "headers": dict(self.headers.items())}
        size = int(self.headers.get("Content-Length", 0))
        about["body"] = self.rfile.read(size).decode("latin-1")
        self.answer(201, json.dumps(about).encode(), ("Content-Type", "application/json"),
                    ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Kind", "plain"))
    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
SERVER = Server(("0.0.0.0", int(sys.argv[1])), Handler)
SERVER.serve_forever()
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    made = Layout(tmp_path_factory.mktemp("images"))
    made.image("service", {"srv/server.py": SERVICE}, entrypoint=["python3", "/srv/server.py"], cmd=["8080"],
               **{"exposedports": "8080/tcp"})
    return made


@pytest.fixture(scope="module")
def service(session_server, layout):
    """A web service, deployed from a layout, with its URL."""
    class Service:
        server, name = session_server, unique("web")

        def call(self, path, method="GET", **more):
            return HTTP.request(method, self.server.endpoint + path, headers={
                "Host": self.host, **more.pop("headers", {})}, redirect=False, **more)

    packed = layout.folder / "service.tar"
    subprocess.run(["skopeo", "copy", f"oci:{layout.path}:service", f"oci-archive:{packed}:service"], check=True,
                   capture_output=True)
    said = json.loads(session_server.samovar("deploy", "--image", packed, "--http", 8080, "--public", "--name",
                                             Service.name, "--timeout", 300, "--json").stdout)
    url = next(c["detail"] for c in said["changes"] if c["kind"] == "url")
    Service.host = urllib.parse.urlsplit(url).netloc
    return Service()


def test_a_program_that_listens_for_http_is_served(service):
    reply = service.call("/a%20b?x=1&y=%26", "POST", body=b"hello", headers={"X-Own": "1", "Cookie": "c=1; d=2"})
    assert reply.status == 201, reply.data
    about = reply.json()
    assert about["path"] == "/a%20b?x=1&y=%26" and about["method"] == "POST" and about["body"] == "hello"
    headers = {name.lower(): value for name, value in about["headers"].items()}
    assert headers["x-own"] == "1" and headers["cookie"] == "c=1; d=2"
    assert reply.headers["X-Kind"] == "plain" and reply.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert service.call("/bytes").data == b"\x00\xff\x01"
    assert service.call("/x", "HEAD").status == 201


def test_one_process_serves_many_requests_at_a_time(service):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # each waits inside for the other three
        replies = list(pool.map(lambda n: service.call(f"/meet?{n}"), range(4)))
    assert [r.status for r in replies] == [200] * 4 and len({r.data for r in replies}) == 1


def test_events_come_as_the_service_sends_them(service):
    feed = service.call("/feed", preload_content=False)
    assert feed.status == 200 and feed.headers["Content-Type"] == "text/event-stream"
    assert feed.read1(64) == b"data: one\n\n", "the first event comes before the answer ends"
    assert service.call("/go").status == 201
    assert feed.read() == b"data: two\n\n"


def test_a_slow_client_holds_up_nobody_and_one_that_goes_ends_its_answer(service):
    flood = service.call("/flood", preload_content=False)
    assert flood.read(1000) == b"x" * 1000
    assert service.call("/beside").status == 201, "others are served while it takes nothing"
    flood.close()
    until(lambda: "/flood" in service.call("/left").json(), what="the service to see that its client has gone")


def test_a_silent_answer_ends_when_its_client_goes(service):
    feed = service.call("/silent", preload_content=False)
    assert feed.read1(64) == b"data: one\n\n"
    assert "/silent" not in service.call("/left").json()
    feed.close()
    until(lambda: "/silent" in service.call("/left").json(), what="the service to see that its client has gone")


def test_answers_of_any_size_and_of_none_are_streamed(service):
    large = service.call("/large")
    assert large.status == 200 and large.data == b"y" * (20 << 20)
    assert service.call("/none").status == 204


def test_an_answer_that_breaks_off_is_seen_to(service):
    with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.IncompleteRead)):
        service.call("/broken").data  # noqa: B018
    assert service.call("/after").status == 201


def test_web_sockets_are_refused_with_what_there_is_instead(service):
    reply = service.call("/", headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                       "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert reply.status == 501 and "RESPONSE_STREAM" in reply.json()["Message"], reply.data


def test_invoke_with_response_stream_streams_too(service):
    event = {"version": "2.0", "rawPath": "/p", "requestContext": {"http": {"method": "GET"}}}
    stream = service.server.client().invoke_with_response_stream(FunctionName=service.name, Payload=json.dumps(event))
    head, _, body = b"".join(e["PayloadChunk"]["Payload"] for e in stream["EventStream"] if "PayloadChunk" in e
                             ).partition(b"\0" * 8)
    assert json.loads(head)["statusCode"] == 201 and json.loads(body)["path"] == "/p"


def test_invoke_reaches_the_service_too(service):
    event = {"version": "2.0", "rawPath": "/p", "rawQueryString": "q=1", "requestContext": {"http": {"method": "PUT"}},
             "headers": {"x-own": "2"}, "body": "aGk=", "isBase64Encoded": True}
    answer = service.server.invoke(service.name, event)
    assert answer.error == "" and answer.payload["statusCode"] == 201, answer.payload
    assert json.loads(answer.payload["body"])["body"] == "hi" and answer.payload["cookies"] == ["a=1", "b=2"]
    plain = service.server.invoke(service.name, {"any": "thing"}).payload
    assert plain["path"] == "/events" and json.loads(plain["body"]) == {"any": "thing"}
    bad = service.server.invoke(service.name, {**event, "rawQueryString": "a b\r\nX: 1"})
    assert bad.error and bad.payload["errorType"] == "Http.BadEvent"


@pytest.mark.parametrize("path", ["/end", "/fade"])  # at once; a while after it closed its sockets
def test_a_service_that_ends_is_started_anew(service, path):
    assert service.call(path).status == 502
    assert service.call("/again").status == 201


def test_a_deploy_of_the_same_changes_nothing_and_may_keep_one_on(service):
    image = json.loads(service.server.samovar("show", service.name, "--json").stdout)
    assert image
    reference = service.server.client().get_function(FunctionName=service.name)["Code"]["ImageUri"]
    said = json.loads(service.server.samovar("deploy", "--image", reference, "--http", 8080, "--public", "--name",
                                             service.name, "--json").stdout)
    assert {c["change"] for c in said["changes"]} == {"unchanged"}, said
    on = unique("on")
    service.server.samovar("deploy", "--image", reference, "--http", 8080, "--always-on", "--name", on)
    until(lambda: any(i["function"] == on and i["provisioned"] for i in
                      service.server.get("/samovar/v1/instances")["instances"]), what="an instance that is always on")


def test_a_service_that_does_not_listen_says_why(server, layout):
    server.samovar("image", "import", layout.path, "--tag", "service", "--name", "deaf:1")
    name = create(server, "deaf:1", Tags={"samovar:http": "8081"},
                  ImageConfig={"EntryPoint": ["/usr/bin/python3", "-c", "raise SystemExit(4)"], "Command": []})
    answer = server.invoke(name, {})
    assert answer.error and "exited with status 4" in answer.payload["errorMessage"], answer.payload
