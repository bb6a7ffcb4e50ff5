"""Builds run in a sandbox: what a package's own build script may see, write and reach."""

import functools
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile

import pytest

from harness import BINARY, ROOT, clean_environment, descendants, run, starttime, unique, until
from test_build import wheel

assert shutil.which("bwrap"), "run tools/setup, which installs bubblewrap"

# A source distribution whose build looks around, and puts what it saw into the wheel that it makes.
BACKEND = r"""
import ctypes, json, os, pathlib, socket, urllib.request, zipfile

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
        "cache": os.environ["UV_CACHE_DIR"],
        "shared": tried(lambda: open(os.path.join(look["cache"], "planted"), "w")),
        "trees": tried(lambda: os.listdir(look["trees"])),
        "build": tried(lambda: open(os.path.join(look["code"], ".samovar-build/planted"), "w")),
        "space": tried(lambda: ctypes.CDLL(None).unshare(0x10000000)),
        "shm": tried(lambda: open("/dev/here", "w")),
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
        caches = {"UV_CACHE_DIR": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "home-cache")}
        offline = {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1", **caches}

        def build(self, check=True, folder=None, **environment):
            return run([BINARY, "build", folder or self.folder, "--name", "shop", "--runtime", "python3.11",
                        "--handler", "app.handler"], check=check, **{**self.caches, **environment})

        def installed(self, name):
            with zipfile.ZipFile(self.folder / ".samovar-build/shop.zip") as package:
                return package.read(name).decode()

        def trees(self):
            return [*tmp_path.glob("home-cache/samovar/trees/*")]
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
    (tmp_path / "home-cache/samovar/trees/other").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    look.write_text(json.dumps({"secret": str(secret), "port": listener.getsockname()[1], "code": str(shop.folder),
                                "cache": str(tmp_path / "cache"), "trees": str(tmp_path / "home-cache/samovar/trees")}))
    source(shop.wheels)
    return listener, {"CMAKE_LOOK": str(look), "AWS_SECRET_ACCESS_KEY": "s3cret", **shop.offline}


def what_a_build_saw(shop, tmp_path):
    listener, environment = looking(shop, tmp_path)
    with listener:
        shop.build(**environment)
    module = {}
    exec(shop.installed("probe.py"), module)
    return module["SEEN"]


def test_a_build_script_sees_neither_the_callers_files_nor_the_network(shop, tmp_path):
    seen = what_a_build_saw(shop, tmp_path)
    assert seen["secret"].startswith("FileNotFoundError"), seen
    assert not {".ssh", ".aws", ".bash_history"} & set(seen["home"]) and seen["keys"] == [], seen
    assert seen["loopback"].startswith("ConnectionRefusedError"), seen
    assert "403" in seen["elsewhere"], seen
    assert "Read-only file system" in seen["code"] and "Read-only file system" in seen["usr"], seen
    assert seen["processes"] == [], seen
    assert seen["space"] == "-1", "no user namespace of its own"
    assert "Error" in seen["shm"], seen


def test_a_build_script_cannot_plant_what_other_projects_take(shop, tmp_path):
    """What runs code of packages has caches of its project; neither the shared ones nor the trees are there."""
    seen = what_a_build_saw(shop, tmp_path)
    assert seen["cache"] == str(shop.folder / ".samovar-build/cache/uv"), seen
    for place in ("shared", "trees"):
        assert seen[place].startswith("FileNotFoundError"), seen
    assert "Read-only file system" in seen["build"], seen
    assert [tree.name for tree in shop.trees()] == ["other"], "and what it made is the project's own"


def test_the_same_lock_is_installed_once_for_all_projects(shop, tmp_path):
    wheel(shop.wheels, "words", "3.0", {"words.py": "WORD = '3.0'\n"})
    (shop.folder / "requirements.txt").write_text("words\n")
    assert "uv installs" in shop.build(**shop.offline).err
    [tree] = shop.trees()
    second = tmp_path / "second"
    second.mkdir()
    (second / "app.py").write_text("def handler(e, c): return 2\n")
    (second / "requirements.txt").write_text("words  # the same, said otherwise\n")
    done = shop.build(folder=second, **shop.offline)
    assert "uv installs" not in done.err and "uv resolves" in done.err, done.err
    with zipfile.ZipFile(second / ".samovar-build/shop.zip") as package:
        assert package.read("words.py") == b"WORD = '3.0'\n" and "words==3.0" in package.read(
            ".samovar/requirements.lock").decode()
        assert any(name.endswith(".pyc") for name in package.namelist())
    assert shop.trees() == [tree]
    wheel(shop.wheels, "words", "4.0", {"words.py": "WORD = '4.0'\n"})
    (second / "requirements.txt").write_text("words>3\n")
    assert "uv installs" in shop.build(folder=second, **shop.offline).err
    assert len(shop.trees()) == 2


BOUNDS = {
    "memory": ("SAMOVAR_BUILD_MEMORY", "200MB", "/usr/bin/python3.11 -c 'x = b\"x\" * (1 << 30)'"),
    "memory of many": ("SAMOVAR_BUILD_MEMORY", "200MB",
                       "for i in 1 2 3 4 5 6; do /usr/bin/python3.11 -c 'x = b\"x\" * (60 << 20); import time; time.sleep(100)' & done; wait"),
    "memory in /tmp": ("SAMOVAR_BUILD_MEMORY", "200MB",
                       "for i in 1 2 3 4 5 6; do head -c 60000000 /dev/zero > /dev/shm/$$i; head -c 60000000 /dev/zero > /tmp/$$i; done; false"),
    "processes": ("SAMOVAR_BUILD_PROCESSES", "50",
                  "for i in $$(seq 200); do sleep 100 & done; wait"),
    "disk": ("SAMOVAR_BUILD_DISK", "100MB",
             "for i in $$(seq 1000); do head -c 9000000 /dev/zero > $(ARTIFACTS_DIR)/$$i; done"),
    "one file": ("SAMOVAR_BUILD_DISK", "100MB", "exec head -c 900000000 /dev/zero > $(ARTIFACTS_DIR)/all"),
    "time": ("SAMOVAR_BUILD_TIME", "1s", "sleep 1000"),
}


def greedy(shop, command):
    (shop.folder / "Makefile").write_text(f"build-shop:\n\t@{command}\n")
    (shop.folder / "template.yaml").write_text("""
Transform: AWS::Serverless-2016-10-31
Resources:
  shop:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {CodeUri: ., Handler: app.handler, Runtime: python3.11}
""")
    return [BINARY, "build", shop.folder]


@pytest.mark.parametrize("how", BOUNDS)
def test_a_greedy_build_is_ended_by_a_bound_that_is_named(shop, how):
    setting, value, command = BOUNDS[how]
    failed = run(greedy(shop, command), check=False, **{setting: value})
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and f"({setting})" in told and "make build-shop" in told, failed.err


@pytest.mark.parametrize("how", [how for how in BOUNDS if how not in ("memory in /tmp", "one file")])
def test_bounds_hold_without_cgroups(shop, how):
    setting, value, command = BOUNDS[how]
    without = ["unshare", "-m", "sh", "-c", 'umount -l -R /sys/fs/cgroup && exec "$@"', "sh"]
    failed = run([*without, *greedy(shop, command)], check=False, **{setting: value})
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2, failed.err
    # One process that asks for more than all may have is refused it, and ends by itself.
    assert f"({setting})" in told or (how == "memory" and "MemoryError" in failed.err), failed.err


@pytest.mark.parametrize("setting, value", [("SAMOVAR_BUILD_MEMORY", "much"), ("SAMOVAR_BUILD_MEMORY", "1KB"),
                                            ("SAMOVAR_BUILD_DISK", "-1"), ("SAMOVAR_BUILD_TIME", "soon"),
                                            ("SAMOVAR_BUILD_PROCESSES", "3"), ("SAMOVAR_BUILD_PROCESSES", "many"),
                                            ("SAMOVAR_BUILD_CPUS", "0"), ("SAMOVAR_BUILD_CPUS", "1.5")])
def test_a_bound_that_cannot_be_read_is_named(shop, setting, value):
    failed = run(greedy(shop, "true"), check=False, **{setting: value})
    assert failed.returncode == 2 and f"{setting}: expected" in failed.err and value in failed.err, failed.err


def test_a_build_runs_on_as_many_processors_as_it_may(shop):
    """Both what its tools count, and what its cgroup gets in all."""
    command = greedy(shop, "nproc > $(ARTIFACTS_DIR)/app.py; touch made; until test -e go; do sleep 0.1; done")
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env={**clean_environment(), "SAMOVAR_BUILD_CPUS": "1"}) as build:
        until((shop.folder / "made").exists, 60, "the middle of the build")
        quotas = [(path / name).read_text().split() for path in pathlib.Path("/sys/fs/cgroup").rglob(f"samovar-build-{build.pid}/step")
                  for name in ("cpu.max", "cpu.cfs_quota_us") if (path / name).exists()]
        (shop.folder / "go").touch()
        (made,) = json.loads(build.stdout.read())["built"]
    with zipfile.ZipFile(made["file"]) as package:
        assert package.read("app.py") == b"1\n"
    assert [quota[0] for quota in quotas] == ["20000"], "of 20 ms"


def test_builds_leave_no_cgroup(shop, tmp_path):
    """Of their own: others may begin and end theirs while the folders are read."""
    seen = tmp_path / "shop" / "seen"
    command = greedy(shop, "cp app.py $(ARTIFACTS_DIR); touch seen; until test -e go; do sleep 0.05; done")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as build:
        def groups():
            return list(pathlib.Path("/sys/fs/cgroup").rglob(f"samovar-build-{build.pid}"))
        until(seen.exists, 60, "the middle of the build")
        assert groups(), "it has one while it runs"
        (shop.folder / "go").touch()
        told = build.communicate()[1]
    assert build.returncode == 0, told
    assert groups() == []


@pytest.mark.parametrize("sandbox", ["require", "off"])
def test_a_build_goes_on_where_its_program_is_updated(shop, tmp_path, sandbox):
    """Between two tools: what ran the first one runs the second, though its name is another file's."""
    program = shutil.copy(BINARY, tmp_path / "samovar")
    greedy(shop, "cp app.py $(ARTIFACTS_DIR); touch made; until test -e go; do sleep 0.05; done")
    with (shop.folder / "Makefile").open("a") as made:
        made.write("build-second:\n\t@echo '# second' > $(ARTIFACTS_DIR)/app.py\n")
    with (shop.folder / "template.yaml").open("a") as template:
        template.write("""
  second:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties: {CodeUri: ., Handler: app.handler, Runtime: python3.11}
""")
    with subprocess.Popen([program, "build", shop.folder, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**clean_environment(), "SAMOVAR_BUILD_SANDBOX": sandbox}) as build:
        until((shop.folder / "made").exists, 60, "the middle of the build")
        (tmp_path / "new").write_text("#!/bin/sh\nexit 9\n")
        (tmp_path / "new").chmod(0o755)
        (tmp_path / "new").rename(program)
        (shop.folder / "go").touch()
        built, told = build.communicate()
    assert build.returncode == 0, told
    assert len(json.loads(built)["built"]) == 2


def test_a_program_that_is_a_link_to_the_callers_files_is_not_taken(shop, tmp_path):
    (tmp_path / "secret").write_text("do not tell")
    (shop.folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(x NONE)\n"
        f"file(CREATE_LINK {tmp_path}/secret ${{CMAKE_BINARY_DIR}}/bootstrap SYMBOLIC)\n")
    failed = run([BINARY, "build", shop.folder, "--name", "shop", "--runtime", "provided"], check=False)
    assert failed.returncode == 2 and "made no program" in failed.err, failed.err


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
    shop.build(**environment)
    assert "3.0" in shop.installed("words.py")


class Forwarding(Quiet):
    """A proxy that knows where the index is."""

    def do_GET(self):
        self.path = self.path.removeprefix("http://index.invalid")
        self.server.asked.append(self.path)
        super().do_GET()


def test_the_callers_proxy_is_gone_through(shop, tmp_path, index):
    (shop.folder / "requirements.txt").write_text("words\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Forwarding, directory=tmp_path / "index")) as proxy:
        proxy.asked = []
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        shop.build(UV_DEFAULT_INDEX="http://index.invalid/simple", HTTPS_PROXY=f"http://127.0.0.1:{proxy.server_port}")
        proxy.shutdown()
    assert "3.0" in shop.installed("words.py") and "/simple/words/" in proxy.asked


def test_another_host_is_named_with_what_lets_builds_reach_it(shop, tmp_path):
    (shop.folder / "requirements.txt").write_text("probe @ https://samovar-elsewhere.invalid/probe-1.0.tar.gz\n")
    (shop.folder / "requirements.txt").rename(shop.folder / "requirements.in")
    (shop.folder / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.9"\n'
        'dependencies = ["probe @ https://samovar-elsewhere.invalid/probe-1.0.tar.gz"]\n')
    failed = shop.build(check=False)
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
    command = greedy(shop, "touch made; cp app.py $(ARTIFACTS_DIR); test -e go || sleep 1000")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        until(flag.exists, 60, "the middle of the build")
        inside = descendants(build.pid)
        assert len(inside) >= 3, "bubblewrap, what carries to the proxy, make"
        build.kill()
    until(lambda: not any(starttime(pid) == start for pid, start in inside.items()), 60, "the end of the tools")
    (shop.folder / "go").touch()
    (made,) = json.loads(run([*command, "--json"]).out)["built"]
    with zipfile.ZipFile(made["file"]) as package:
        assert package.namelist() == ["app.py"]
