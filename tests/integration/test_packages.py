"""Packages are kept once by content: what functions share they share on disk, and only what is new is sent."""

import base64
import hashlib
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import urllib.request
import zipfile

import pytest

from harness import BINARY, ROLE, ROOT, clean_environment, disk_of_packages, pack, unique, until

sys.path.insert(0, str(ROOT / "tests/packages"))
import corpus  # noqa: E402

LIBRARY = random.Random(7).randbytes(5 << 20)
CODE = "import pathlib\ndef handler(e, c):\n    return [{0!r}, len((pathlib.Path(__file__).parent / 'library.so').read_bytes())]\n"


def trees(server):
    return server.data_dir / "packages/trees"


def project(folder, text, library=LIBRARY):
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(CODE.format(text))
    (folder / "library.so").write_bytes(library)
    return folder


def deploy(server, folder, name, check=True):
    return server.samovar("deploy", folder, "--name", name, "--runtime", "python3.11", "--handler", "app.handler",
                          check=check)


def age(server):
    """As if all packages had come long ago."""
    for blob in (server.data_dir / "packages/blobs").iterdir():
        os.utime(blob, (time.time() - 7200,) * 2)


def test_twenty_functions_cost_the_disk_of_one(fresh, tmp_path):
    server = fresh()
    names = [unique() for _ in range(20)]
    deploy(server, project(tmp_path / "app", names[0]), names[0])
    alone = disk_of_packages(server)
    for name in names[1:10]:
        deploy(server, project(tmp_path / "app", name), name)
    for name in names[10:]:  # the same library in a zip that was packed elsewhere, at another place
        server.create({"app.py": CODE.format(name).replace("'library.so'", "'deep/library.so'"),
                       "deep/library.so": LIBRARY}, name=name)
    libraries = list(trees(server).rglob("library.so"))
    assert len(libraries) == 20 and len({os.lstat(p).st_ino for p in libraries}) == 1
    grown = disk_of_packages(server) - alone
    assert grown < 1.2 * len(LIBRARY), "once more as it is packed in zips, and nothing else of size"
    for name in names[10:]:  # each zip is given out as it came
        about = server.client().get_function(FunctionName=name)
        with urllib.request.urlopen(about["Code"]["Location"]) as reply:
            digest = hashlib.sha256(reply.read()).digest()
        assert base64.b64encode(digest).decode() == about["Configuration"]["CodeSha256"]
    for name in (names[0], names[9], names[19]):
        assert server.invoke(name).payload == [name, len(LIBRARY)]


def test_a_change_of_ten_lines_sends_ten_lines(server, name, tmp_path):
    first = deploy(server, project(tmp_path / "app", "first"), name)
    assert "uploaded 5.0 MB of 5.0 MB, 2 of 2 files" in first.err, first.err
    again = deploy(server, project(tmp_path / "app", "second"), name)
    sent = re.search(r"uploaded (\d+) B of 5.0 MB, 1 of 2 files", again.err)
    assert sent and int(sent[1]) < 200, again.err
    assert server.invoke(name).payload == ["second", len(LIBRARY)]
    third = deploy(server, tmp_path / "app", name)
    assert "uploaded" not in third.err and "unchanged" in third.out, (third.err, third.out)


def test_what_a_zip_brought_is_not_sent_again(server, name, tmp_path):
    library = random.Random(name).randbytes(1 << 20)
    server.create({"app.py": CODE.format("zip"), "library.so": library}, name=name)
    sent = deploy(server, project(tmp_path / "app", "files", library), unique())
    assert "1 of 2 files" in sent.err, sent.err


def test_the_code_is_given_out_as_a_zip(server, lam, name, tmp_path):
    folder = project(tmp_path / "app", "given")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("run")
    deploy(server, folder, name)
    about = lam.get_function(FunctionName=name)
    assert about["Configuration"]["CodeSize"] == sum(p.stat().st_size for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    with urllib.request.urlopen(about["Code"]["Location"]) as reply:
        archive = zipfile.ZipFile(io.BytesIO(reply.read()))
    assert archive.testzip() is None
    assert archive.read("library.so") == LIBRARY and archive.read("link") == b"run"
    assert archive.getinfo("run").external_attr >> 16 & 0o777 == 0o755


def test_a_function_cannot_change_what_it_shares(server, name, tmp_path):
    folder = project(tmp_path / "app", "x")
    (folder / "app.py").write_text("def handler(e, c):\n    open('/var/task/library.so', 'ab')\n")
    deploy(server, folder, name)
    assert "Permission denied" in server.invoke(name).payload["errorMessage"]


def wheel_of(folder, name, version, text):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(text)
    (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/RECORD,,\n")


def test_packages_lists_what_is_kept_and_prune_removes_the_rest(fresh, tmp_path):
    server = fresh()
    assert "no packages yet" in server.samovar("packages").err
    names = sorted(unique() for _ in range(2))
    for name in names:
        folder = project(tmp_path / name, name)
        wheel_of(folder, "words", "1.2", "WORD = 1\n")
        deploy(server, folder, name)
    listing = json.loads(server.samovar("packages", "--json").out)
    assert [p["used_by"] for p in sorted(listing["packages"], key=lambda p: p["used_by"])] == [[n] for n in names]
    assert all(p["bytes"] > len(LIBRARY) > p["own_bytes"] and p["files"] == 4 for p in listing["packages"])
    (library,) = listing["libraries"]
    assert (library["name"], library["version"], library["used_by"]) == ("words", "1.2", names)
    assert listing["kept"]["bytes"] < 1.1 * len(LIBRARY) < 1.9 * len(LIBRARY) < listing["kept"]["bytes_if_not_shared"]
    told = server.samovar("packages").out
    assert "words" in told and f"{names[0]}, {names[1]}" in told, told

    server.samovar("delete", names[0], "--yes")
    age(server)
    until(lambda: json.loads(server.samovar("packages", "prune", "--json").out)["freed_bytes"] > 0, 60, "an end of its use")
    assert len(json.loads(server.samovar("packages", "--json").out)["packages"]) == 1
    assert server.invoke(names[1]).payload == [names[1], len(LIBRARY)]
    server.samovar("delete", names[1], "--yes")
    age(server)
    until(lambda: json.loads(server.samovar("packages", "prune", "--json").out)["freed_bytes"] > len(LIBRARY), 60,
          "the library's end")
    assert disk_of_packages(server) == 0


@pytest.mark.parametrize("body, words", [
    (b"", "does not begin with"),
    (b"samovar-package 1\n", "names no files"),
    (b"samovar-package 1\nf 12 3 a\n", "line 2"),
    (b"samovar-package 1\nl ../../etc/passwd a\n", "symlink that leaves"),
    (f"samovar-package 1\nf {hashlib.sha256(b'').hexdigest()} 0 ../a\n".encode(), "leaves the package"),
])
def test_a_wrong_manifest_is_refused_by_name(server, body, words):
    reply = server.raw("PUT", "/samovar/v1/manifests", body)
    assert reply.status == 400 and words in json.loads(reply.data)["error"], reply.data


def test_a_manifest_of_what_is_not_here_says_what_is_missing(server):
    absent = hashlib.sha256(os.urandom(9)).hexdigest()
    reply = server.raw("PUT", "/samovar/v1/manifests", f"samovar-package 1\nf {absent} 9 a\n".encode())
    assert reply.status == 200 and json.loads(reply.data) == {"missing": [absent]}


@pytest.mark.parametrize("make, words", [
    (corpus.dot_dot, "entry '../outside.py' leaves the package"),
    (corpus.link_out, "entry 'passwd' is a symlink that leaves the package"),
    (corpus.truncated, "Could not unzip uploaded file"),
    (corpus.bomb, "Unzipped size must be smaller than"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_hostile_zip_fails_by_name_and_leaves_nothing(fresh, tmp_path, make, words):
    server, name = fresh(), unique()
    sent = server.raw("PUT", "/samovar/v1/uploads", make(tmp_path / "bad.zip").read_bytes())
    if sent.status != 200:
        assert sent.status in (400, 413) and words in json.loads(sent.data)["error"]
    else:
        code = {"S3Bucket": "samovar-uploads", "S3Key": json.loads(sent.data)["sha256"]}
        server.client().create_function(FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code=code)
        about = until(lambda: (found := server.client().get_function_configuration(FunctionName=name))["State"] != "Pending"
                      and found, 120, "an end of Pending")
        assert about["State"] == "Failed" and words in about["StateReason"], about
    assert list(trees(server).iterdir()) == [] and list((server.data_dir / "packages/staging").iterdir()) == []
    assert [p for p in (server.data_dir / "packages/files").rglob("*") if p.is_file()] == []


def test_a_hundred_thousand_files_are_warned_of(server, name, tmp_path):
    sent = server.raw("PUT", "/samovar/v1/uploads", corpus.many_files(tmp_path / "many.zip").read_bytes())
    code = {"S3Bucket": "samovar-uploads", "S3Key": json.loads(sent.data)["sha256"]}
    server.client().create_function(FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code=code)
    until(lambda: server.client().get_function_configuration(FunctionName=name)["State"] == "Active", 200, "Active")
    warnings = server.get(f"/samovar/v1/warnings/{name}")["warnings"]
    assert any("100000 files" in warning for warning in warnings), warnings


def test_kill_9_in_the_middle_of_a_deployment_leaves_nothing_half(fresh, tmp_path):
    """Killed at random moments of a deployment: what runs is whole, and the next try goes on."""
    server, name, dice = fresh(), unique(), random.Random(11)
    folder = project(tmp_path / "app", "0")
    for i in range(300):
        (folder / f"data-{i}").write_bytes(dice.randbytes(20_000))
    deploy(server, folder, name)
    for turn in range(1, 6):
        project(folder, str(turn), dice.randbytes(len(LIBRARY)))
        for i in range(100):
            (folder / f"data-{i}").write_bytes(dice.randbytes(20_000))
        client = subprocess.Popen([BINARY, "deploy", folder, "--name", name, "--runtime", "python3.11"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={**clean_environment(), "AWS_ENDPOINT_URL": server.endpoint})
        time.sleep(dice.random() * 0.4)
        server.kill9()
        client.wait(60)
        server.start()
        assert list((server.data_dir / "packages/staging").iterdir()) == []
        assert server.invoke(name).payload[1] == len(LIBRARY)
        deploy(server, folder, name)
        assert server.invoke(name).payload == [str(turn), len(LIBRARY)]
        for tree in trees(server).iterdir():
            for path in filter(pathlib.Path.is_file, tree.rglob("*")):
                kept = server.data_dir / "packages/files" / (h := hashlib.sha256(path.read_bytes()).hexdigest())[:2] / h[2:]
                assert kept.stat().st_ino == path.stat().st_ino, path
