"""AWS's own runtime clients, unmodified, as `provided` functions: the Runtime API is the one they know."""

import shutil
import sys
import threading

import pytest

from harness import ROLE, ROOT, arn

sys.path.insert(0, str(ROOT / "tests/clients/ric"))
import build  # noqa: E402

ERRORS = {"python": "ValueError", "node": "RangeError", "cpp": "Asked", "rust": None}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", ERRORS)
def test_the_client_works_unmodified(server, lam, name, client):
    if client == "rust" and not shutil.which("cargo"):
        pytest.skip("no cargo: Debian 12's own is too old for lambda_runtime, install Rust to run this one")
    package = build.build(ROOT / "build/ric", client)
    with open(package, "rb") as file:  # large ones go up beforehand, as `samovar deploy` sends them
        sent = server.raw("PUT", "/samovar/v1/uploads", file.read()).json()
    lam.create_function(
        FunctionName=name, Runtime="provided.al2023", Role=ROLE, Handler="app.handler", Timeout=20, MemorySize=512,
        Code={"S3Bucket": "samovar-uploads", "S3Key": sent["sha256"]})
    server.active(name)
    for number in range(3):
        answer = server.invoke(name, {"n": number}, LogType="Tail")
        assert answer.error == "", (answer.payload, answer.log)
        assert answer.payload == {"client": client, "event": {"n": number}, "request_id": answer.request_id,
                                  "arn": arn(name)}
    failed = server.invoke(name, "fail")
    assert failed.error == "Unhandled" and "as asked" in failed.payload["errorMessage"], failed.payload
    assert ERRORS[client] in (None, failed.payload["errorType"]), failed.payload
    text = "ü😀" * 100_000
    assert server.invoke(name, text).payload["event"] == text


def test_one_client_is_not_kept_waiting_while_another_is_built(tmp_path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(out):
        begun.set()
        assert go_on.wait(240)
        return {}

    monkeypatch.setattr(build, "cpp", slow)
    monkeypatch.setattr(build, "python", lambda out: {})
    cpp, python = (threading.Thread(target=build.build, args=(tmp_path, name), daemon=True) for name in ("cpp", "python"))
    cpp.start()
    assert begun.wait(60)
    python.start()
    python.join(60)
    waits = python.is_alive()
    go_on.set()
    cpp.join(60)
    assert not waits and (tmp_path / "cpp.zip").exists()
