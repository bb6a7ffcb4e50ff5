"""Builds run in a sandbox: what a package's own build script may see, write and reach."""

import functools
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile

import pytest

from harness import BINARY, ROOT, descendants, run, starttime, unique, until
from test_build import wheel

assert shutil.which("bwrap"), "run tools/setup, which installs bubblewrap"

# A source distribution whose build looks around, and puts what it saw into the wheel that it makes.
BACKEND = r"""
import json, os, pathlib, socket, urllib.request, zipfile

def tried(do):
    try:
        return repr(do())
    except Exception as error:
        return type(error).__name__ + ": " + str(error)

def build_wheel(folder, *more):
    look = json.loads(pathlib.Path(os.environ["CMAKE_LOOK"]).read_text())
    seen = {
        "secret": tried(lambda: open(look["secret"]).read()),
        "home": os.listdir(os.environ["HOME"]),
        "keys": [name for name in os.environ if name.startswith("AWS_")],
        "loopback": tried(lambda: socket.create_connection(("127.0.0.1", look["port"]), 5)),
        "elsewhere": tried(lambda: urllib.request.urlopen("http://samovar-elsewhere.invalid/", timeout=5)),
        "code": tried(lambda: open(os.path.join(look["code"], "app.py"), "a")),
        "processes": [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 100],
        "usr": tried(lambda: open("/usr/here", "w")),
    }
    name = "probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        archive.writestr("probe.py", "SEEN = " + repr(seen))
        archive.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        archive.writestr("probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("probe-1.0.dist-info/RECORD", "probe.py,,\n")
    return name
"""
PROJECT = """[project]
name = "probe"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def source(folder):
    files = {"pyproject.toml": PROJECT, "backend.py": BACKEND,
             "PKG-INFO": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n"}
    with tarfile.open(folder / "probe-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"probe-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


@pytest.fixture
def shop(tmp_path):
    class Shop:
        folder, wheels = tmp_path / "shop", tmp_path / "wheels"
        offline = {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}

        def build(self, check=True, **environment):
            return run([BINARY, "build", self.folder, "--name", "shop", "--runtime", "python3.11",
                        "--handler", "app.handler"], check=check, **environment)

        def installed(self, name):
            return (self.folder / ".samovar-build/shop.python" / name).read_text()
    Shop.folder.mkdir()
    Shop.wheels.mkdir()
    (Shop.folder / "app.py").write_text("def handler(e, c): pass\n")
    (Shop.folder / "requirements.txt").write_text("probe\n")
    return Shop()


def looking(shop, tmp_path):
    """What the build script is to look for: a secret of the caller's, and a server on the host's loopback."""
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    listener = socket.create_server(("127.0.0.1", 0))
    look = shop.folder / "look.json"
    look.write_text(json.dumps({"secret": str(secret), "port": listener.getsockname()[1], "code": str(shop.folder)}))
    source(shop.wheels)
    return listener, {"CMAKE_LOOK": str(look), "AWS_SECRET_ACCESS_KEY": "s3cret", **shop.offline}


def test_a_build_script_sees_neither_the_callers_files_nor_the_network(shop, tmp_path):
    listener, environment = looking(shop, tmp_path)
    with listener:
        shop.build(**environment)
    seen = {}
    exec(shop.installed("probe.py"), seen)
    seen = seen["SEEN"]
    assert seen["secret"].startswith("FileNotFoundError"), seen
    assert not {".ssh", ".aws", ".bash_history"} & set(seen["home"]) and seen["keys"] == [], seen
    assert seen["loopback"].startswith("ConnectionRefusedError"), seen
    assert "403" in seen["elsewhere"], seen
    assert "Read-only file system" in seen["code"] and "Read-only file system" in seen["usr"], seen
    assert seen["processes"] == [], seen


def test_the_sandbox_can_be_turned_off_and_required(shop, tmp_path):
    listener, environment = looking(shop, tmp_path)
    with listener:
        shop.build(**environment, SAMOVAR_BUILD_SANDBOX="off")
    assert "do not tell" in shop.installed("probe.py")
    shutil.rmtree(shop.folder / ".samovar-build")
    (tmp_path / "bin").mkdir()
    for tool in ("python3", "python3.11"):
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    without = {**environment, "PATH": str(tmp_path / "bin"), "SAMOVAR_UV": str(ROOT / "build/uv/uv")}
    refused = shop.build(check=False, **without, SAMOVAR_BUILD_SANDBOX="require")
    assert refused.returncode == 2 and "bubblewrap" in refused.err, refused.err
    told = shop.build(check=False, **without)
    assert "warning: this build runs without a sandbox: there is no bwrap" in told.err, told.err
    shutil.rmtree(shop.folder / ".samovar-build", ignore_errors=True)
    wrong = shop.build(check=False, **environment, SAMOVAR_BUILD_SANDBOX="perhaps")
    assert wrong.returncode == 2 and "SAMOVAR_BUILD_SANDBOX: expected auto, require or off" in wrong.err, wrong.err


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path):
    """A package index on the host's loopback, which the sandbox reaches by its proxy alone."""
    pages = tmp_path / "index"
    (pages / "simple/words").mkdir(parents=True)
    wheel(pages, "words", "3.0", {"words.py": "WORD = '3.0'\n"})
    name = next(pages.glob("*.whl")).name
    (pages / "simple/words/index.html").write_text(f'<a href="/{name}">{name}</a>')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=pages)) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/simple"
        served.shutdown()


@pytest.mark.parametrize("setting", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL", "requirements.txt"])
def test_the_configured_index_is_reached(shop, tmp_path, index, setting):
    environment = {setting: index} if setting != "requirements.txt" else {}
    (shop.folder / "requirements.txt").write_text(("" if environment else f"--index-url {index}\n") + "words\n")
    shop.build(UV_CACHE_DIR=str(tmp_path / "cache"), **environment)
    assert "3.0" in shop.installed("words.py")


def test_another_host_is_named_with_what_lets_builds_reach_it(shop, tmp_path):
    (shop.folder / "requirements.txt").write_text("probe @ https://samovar-elsewhere.invalid/probe-1.0.tar.gz\n")
    (shop.folder / "requirements.txt").rename(shop.folder / "requirements.in")
    (shop.folder / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.9"\n'
        'dependencies = ["probe @ https://samovar-elsewhere.invalid/probe-1.0.tar.gz"]\n')
    failed = shop.build(check=False, UV_CACHE_DIR=str(tmp_path / "cache"))
    assert failed.returncode == 2 and "SAMOVAR_BUILD_HOSTS=samovar-elsewhere.invalid" in failed.err, failed.err


def test_make_builds_in_its_folder_and_no_other(server, tmp_path):
    (tmp_path / "secret").write_text("do not tell")
    folder = tmp_path / "made"
    folder.mkdir()
    name = unique()
    (folder / "template.yaml").write_text(f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Made:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: makefile}}
    Properties: {{FunctionName: {name}, CodeUri: ., Handler: app.handler, Runtime: python3.11}}
""")
    (folder / "Makefile").write_text("build-Made:\n\ttouch here\n\t-cat ../secret > $(ARTIFACTS_DIR)/seen\n"
                                     "\techo \"def handler(e, c): return open('seen').read()\" > $(ARTIFACTS_DIR)/app.py\n")
    server.samovar("deploy", folder)
    assert server.invoke(name).payload == "" and (folder / "here").exists()


def test_kill_9_in_the_middle_of_a_build_leaves_no_tool_and_nothing_half(shop, tmp_path):
    """The tools end with the command, and the next build begins anew."""
    flag = tmp_path / "shop" / "made"
    (shop.folder / "Makefile").write_text("build-shop:\n\ttouch made\n\tcp app.py $(ARTIFACTS_DIR)\n\t@test -e go || sleep 1000\n")
    (shop.folder / "template.yaml").write_text("""
Transform: AWS::Serverless-2016-10-31
Resources:
  shop:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {CodeUri: ., Handler: app.handler, Runtime: python3.11}
""")
    command = [BINARY, "build", shop.folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        until(flag.exists, 60, "the middle of the build")
        inside = descendants(build.pid)
        assert len(inside) >= 3, "bubblewrap, what carries to the proxy, make"
        build.kill()
    until(lambda: not any(starttime(pid) == start for pid, start in inside.items()), 20, "the end of the tools")
    (shop.folder / "go").touch()
    (made,) = json.loads(run([*command, "--json"]).out)["built"]
    with zipfile.ZipFile(made["file"]) as package:
        assert package.namelist() == ["app.py"]
