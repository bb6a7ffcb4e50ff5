"""Who may call: anyone on loopback without keys; with a key, SigV4 and nothing else."""

import datetime
import json
import subprocess

import botocore.auth
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from errors import refused
from harness import BINARY, ECHO, HTTP, REGION, ROLE, clean_environment, pack, unique, until


@pytest.fixture
def keyed(fresh):
    server = fresh()
    made = server.raw("POST", "/samovar/v1/keys", b'{"description": "first"}')
    assert made.status in (200, 201), made.data
    server.key = made.json()
    return server


def own(server):
    return {"aws_access_key_id": server.key["access_key_id"],
            "aws_secret_access_key": server.key["secret_access_key"]}


def test_without_keys_any_signature_will_do_and_the_log_says_so(server, lam):
    assert "FunctionName" not in lam.list_functions()
    assert server.raw("GET", "/2015-03-31/functions/").status == 200
    assert "no access key exists" in server.log(), server.log()[:2000]


def test_with_a_key_only_its_signature_is_accepted(keyed):
    function = unique()
    with refused("UnrecognizedClientException", 403, "The security token included in the request is invalid"):
        keyed.client().list_functions()
    with refused("InvalidSignatureException", 403, "The request signature we calculated does not match"):
        keyed.client(**{**own(keyed), "aws_secret_access_key": "wrong"}).list_functions()
    assert keyed.raw("GET", "/2015-03-31/functions/").status == 403
    assert b"MissingAuthenticationToken" in keyed.raw("GET", "/2015-03-31/functions/").headers.get(
        "x-amzn-ErrorType", "").encode()
    signed = keyed.client(**own(keyed))
    assert signed.list_functions()["Functions"] == []
    runtime = "python3.11"
    signed.create_function(FunctionName=function, Runtime=runtime, Role=ROLE, Handler="app.handler",
                           Code={"ZipFile": pack(ECHO)})
    assert signed.invoke(FunctionName=function, Payload=b'{"a": 1}')["Payload"].read() in (b'{"a": 1}', b'{"a":1}')
    # Names that must be escaped once more in the canonical request.
    signed.tag_resource(Resource=f"arn:aws:lambda:us-east-1:000000000000:function:{function}", Tags={"a b": "c/d~é"})


def test_a_changed_body_is_refused(keyed):
    url = keyed.endpoint + "/2015-03-31/functions/none/invocations"
    headers = keyed.sign("POST", url, b"{}", key=keyed.key["access_key_id"], secret=keyed.key["secret_access_key"])
    assert HTTP.request("POST", url, body=b"{}", headers=headers).status == 404
    reply = HTTP.request("POST", url, body=b"{ }", headers=headers)
    assert reply.status == 403 and "InvalidSignature" in reply.headers["x-amzn-ErrorType"], reply.data


def test_an_old_signature_is_refused(keyed, monkeypatch):
    url = keyed.endpoint + "/2015-03-31/functions/"
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: past.replace(tzinfo=None))
    headers = keyed.sign("GET", url, key=keyed.key["access_key_id"], secret=keyed.key["secret_access_key"])
    monkeypatch.undo()
    assert past.strftime("%Y%m%dT%H") in headers["X-Amz-Date"]
    reply = HTTP.request("GET", url, headers=headers)
    assert reply.status == 403 and "InvalidSignature" in reply.headers["x-amzn-ErrorType"]
    assert "expired" in reply.data.decode(), reply.data


def presigned(server, path, seconds=60):
    request = AWSRequest("GET", server.endpoint + path)
    SigV4QueryAuth(Credentials(server.key["access_key_id"], server.key["secret_access_key"]), "lambda", REGION,
                   expires=seconds).add_auth(request)
    return request.prepare().url


def test_a_presigned_url_is_accepted_until_it_is_changed(keyed):
    url = presigned(keyed, "/2015-03-31/functions/?MaxItems=5")
    assert HTTP.request("GET", url).status == 200
    assert HTTP.request("GET", url.replace("MaxItems=5", "MaxItems=6")).status == 403
    assert HTTP.request("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).status == 403
    assert HTTP.request("GET", url[:-1] + ("0" if url[-1] != "0" else "1")).status == 403


def test_the_code_location_can_be_fetched_with_keys(keyed):
    """Code.Location is a URL that needs no further credentials, as AWS's is."""
    lam, function = keyed.client(**own(keyed)), unique()
    lam.create_function(FunctionName=function, Runtime="python3.11", Role=ROLE, Handler="app.handler",
                        Code={"ZipFile": pack(ECHO)})
    location = lam.get_function(FunctionName=function)["Code"]["Location"]
    assert HTTP.request("GET", location).data == pack(ECHO)


def test_keys_are_listed_without_secrets_and_deleted(keyed):
    keys = {"AWS_ACCESS_KEY_ID": keyed.key["access_key_id"], "AWS_SECRET_ACCESS_KEY": keyed.key["secret_access_key"]}
    listed = keyed.samovar("keys", "list", "--json", **keys)
    assert keyed.key["access_key_id"] in listed.out and keyed.key["secret_access_key"] not in listed.out
    assert keyed.samovar("keys", "list", check=False, AWS_ACCESS_KEY_ID="other",
                         AWS_SECRET_ACCESS_KEY="x").returncode == 5
    second = keyed.samovar("keys", "create", "--json", **keys)
    assert "secret_access_key" in second.out
    keyed.samovar("keys", "delete", json.loads(second.out)["access_key_id"], **keys)
    with pytest.raises(ClientError):
        made = json.loads(second.out)
        keyed.client(aws_access_key_id=made["access_key_id"],
                     aws_secret_access_key=made["secret_access_key"]).list_functions()


def test_keys_survive_a_restart(keyed):
    keyed.stop()
    keyed.start()
    assert keyed.raw("GET", "/2015-03-31/functions/").status == 403
    assert keyed.client(**own(keyed)).list_functions()["Functions"] == []


def test_the_health_needs_no_signature(keyed):
    assert keyed.raw("GET", "/samovar/v1/health").status == 200


def test_an_open_address_without_a_key_does_not_start(fresh):
    data = fresh(expect_start=False).data_dir
    for listen in ("0.0.0.0:0", "[::]:0"):
        done = subprocess.run([BINARY, "serve", "--listen", listen, "--data-dir", data],
                              capture_output=True, text=True, timeout=120, env=clean_environment())
        assert done.returncode != 0
        assert "samovar keys create" in done.stderr, done.stderr


def test_an_open_address_with_a_key_verifies(fresh):
    server = fresh(expect_start=False)
    made = server.samovar("keys", "create", "--data-dir", server.data_dir, "--json")
    key = json.loads(made.out)
    server.listen = "0.0.0.0:0"
    server.start()
    assert server.raw("GET", "/2015-03-31/functions/").status == 403
    assert server.client(aws_access_key_id=key["access_key_id"],
                         aws_secret_access_key=key["secret_access_key"]).list_functions()["Functions"] == []


def test_a_web_page_cannot_reach_the_open_port(server):
    """Another site in a browser on this machine: by its origin, or by a name pointed at 127.0.0.1."""
    cross = server.raw("POST", "/2015-03-31/functions", b"{}", {
        "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"})
    assert cross.status == 403, cross.data
    rebound = server.raw("GET", "/2015-03-31/functions/", headers={"Host": "evil.example"})
    assert rebound.status in (403, 404, 421), rebound.status
    assert until(lambda: server.raw("GET", "/2015-03-31/functions/").status == 200, 60)
