"""The interpreters of this host, and AWS's own runtime client to compare ours with."""

import glob
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from channel import ROOT, Process
from once import once
from spawner import Template

HERE = pathlib.Path(__file__).resolve().parent
BUILD = ROOT / "build/tests/runtimes"
BUILT = pathlib.Path(os.environ.get("SAMOVAR_BINARY", ROOT / "build/release/samovar")).resolve().parent / "runtimes"


def interpreters():
    """{"python3.11": path}: one of each minor version from 3.9 on."""
    places = [*os.environ.get("PATH", "").split(":"), "/usr/local/bin", "/usr/bin"]
    places += glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin"))
    found = {}
    for place in places:
        for path in glob.glob(f"{place}/python3.[0-9]*"):
            name = os.path.basename(path)
            minor = name.partition(".")[2]
            if "/shims/" in path or not minor.isdigit() or int(minor) < 9 or name in found:
                continue
            found[name] = os.path.realpath(path)
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


PYTHONS = interpreters()


@pytest.fixture(params=PYTHONS, scope="session")
def python(request):
    return PYTHONS[request.param]


@pytest.fixture(scope="session")
def node():
    folder = ROOT / "build/node/bin/node"
    found = shutil.which("node") or (str(folder) if folder.exists() else None)
    assert found, "no Node.js; tools/setup installs one"
    return found


@pytest.fixture(scope="session")
def awslambdaric():
    """A folder with AWS's client. Its C module fits one Python only, and none is needed here."""
    wanted = (HERE / "requirements.txt").read_bytes() + sys.version.encode()
    return once(BUILD / f"awslambdaric-{hashlib.sha256(wanted).hexdigest()[:12]}", lambda part: subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", part, "-r", HERE / "requirements.txt"],
        check=True))


@pytest.fixture
def task(tmp_path):
    """Writes a package: task({"app.py": text}) answers its folder."""
    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path
    return write


@pytest.fixture
def start():
    """Starts runtimes that end with the test."""
    started = []

    def begin(argv, folder, **more):
        started.append(Process(argv, folder, **more))
        return started[-1]

    yield begin
    for process in started:
        process.close()


@pytest.fixture(params=["with its extension", "without"], scope="session")
def python_runtime_folder(request):
    """The runtime as the build puts it together, and as it is where the extension cannot be loaded."""
    if request.param == "without":
        return ROOT / "runtimes/python"
    folder = BUILT / "python"
    assert list(folder.glob("_samovar_native*.so")), f"no extension in {folder}; build first"
    return folder


@pytest.fixture
def python_runtime(start, python, python_runtime_folder):
    def begin(folder, **more):
        # The loop in C takes the events that come with a trace id, as the server's do.
        return start([python, python_runtime_folder / "samovar_runtime.py"], folder, **{"trace": "Root=1-2-3", **more})
    return begin


@pytest.fixture
def node_runtime(start, node):
    def begin(folder, **more):
        return start([node, ROOT / "runtimes/nodejs/index.cjs"], folder, **more)
    return begin


@pytest.fixture
def place():
    """A folder for a package that lies outside /tmp, of which templates get their own."""
    folder = BUILD / "packages" / f"{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def template(place):
    """Starts templates, with an app.py of the given text: template(text, python=..., environment=...)."""
    started = []

    def begin(text, python=os.path.realpath(sys.executable), runtime=BUILT / "python", files=(), **more):
        for name, content in {"app.py": text, **dict(files)}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(content)
        started.append(Template([python, runtime / "samovar_runtime.py"], place, **more))
        return started[-1]

    yield begin
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def libraries():
    """A folder with numpy and others, for the Python that runs the tests."""
    wanted = HERE / "template-requirements.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return once(BUILD / f"libraries-{version}", lambda part: subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target", part, "-r", wanted],
        check=True))
