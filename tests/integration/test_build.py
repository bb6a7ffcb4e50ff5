"""Building at deploy: every form of dependency file, its lock kept with the version, failures that say why.

The packages are wheels made here and found in a folder, so that nothing here needs a network.
"""

import hashlib
import json
import shutil
import subprocess
import zipfile

import pytest

from harness import BINARY, ROOT, run, unique

UV = ROOT / "build/uv/uv"  # tools/setup puts it there
CODE = "import words\ndef handler(e, c):\n    return words.WORD\n"
PROJECT = """[project]
name = "shop"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["words>=1"]
"""
POETRY = """[[package]]
name = "words"
version = "1.0"
description = "the older one"
optional = false
files = []

[metadata]
lock-version = "2.1"
"""


def wheel(folder, name, version, files):
    records = dict(files)
    info = f"{name}-{version}.dist-info"
    records[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    records[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    records[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*records, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in records.items():
            archive.writestr(zipfile.ZipInfo(entry, (2026, 1, 1, 0, 0, 0)), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def shop(tmp_path):
    """A folder of code, and two versions of a package in a folder of wheels."""
    assert UV.exists(), "run tools/setup, which puts uv there"
    class Shop:
        folder, wheels = tmp_path / "shop", tmp_path / "wheels"
        offline = {"UV_FIND_LINKS": str(wheels), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache"),
                   "XDG_CACHE_HOME": str(tmp_path / "home-cache")}

        def write(self, **files):
            for name, text in files.items():
                (self.folder / name.replace("_toml", ".toml").replace("_txt", ".txt").replace("_lock", ".lock")
                 ).write_text(text)

        def deploy(self, server, name, check=True):
            return server.samovar("deploy", self.folder, "--name", name, "--runtime", "python3.11",
                                  "--handler", "app.handler", check=check, **self.offline)
    made = Shop()
    made.folder.mkdir()
    made.wheels.mkdir()
    made.hashes = {v: wheel(made.wheels, "words", v, {"words.py": f"WORD = '{v}'\n"}) for v in ("1.0", "2.0")}
    (made.folder / "app.py").write_text(CODE)
    return made


def uv(shop, *words):
    done = subprocess.run([UV, *words], cwd=shop.folder, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", **shop.offline})
    assert done.returncode == 0, done.stderr
    return done.stdout


def uv_lock(shop):
    shop.write(pyproject_toml=PROJECT.replace(">=1", "==1.0"))
    uv(shop, "lock", "--python", "python3.11")
    shop.write(pyproject_toml=PROJECT.replace(">=1", "==1.0"))


def pylock(shop):
    uv_lock(shop)
    (shop.folder / "pylock.toml").write_text(uv(shop, "export", "--quiet", "--format", "pylock.toml",
                                                "--no-emit-project"))
    (shop.folder / "uv.lock").unlink()


def poetry(shop):
    shop.write(pyproject_toml=PROJECT, poetry_lock=POETRY)


FORMS = {
    "requirements.txt": (lambda shop: shop.write(requirements_txt="words\n"), "2.0"),
    "requirements.txt, pinned": (lambda shop: shop.write(
        requirements_txt=f"words==1.0 --hash=sha256:{shop.hashes['1.0']}\n"), "1.0"),
    "pyproject.toml": (lambda shop: shop.write(pyproject_toml=PROJECT), "2.0"),
    "uv.lock": (uv_lock, "1.0"),
    "pylock.toml": (pylock, "1.0"),
    "poetry.lock": (poetry, "1.0"),
}


@pytest.mark.parametrize("form", FORMS)
def test_dependencies_are_installed_and_locked(server, name, shop, form):
    write, version = FORMS[form]
    write(shop)
    first = shop.deploy(server, name)
    assert "uv installs" in first.err, first.err
    assert server.invoke(name).payload == version
    lock = server.get(f"/samovar/v1/locks/{name}")["lock"]
    assert "words" in lock and version in lock, lock
    assert form == "uv.lock" or shop.hashes[version] in lock, lock  # uv keeps none of a folder's wheels
    assert json.loads(server.samovar("show", name, "--json").out)["lock"] == lock
    again = shop.deploy(server, name)
    assert "uv " not in again.err and "unchanged" in again.out, (again.out, again.err)


def test_show_names_what_a_version_is_built_of(server, name, shop):
    shop.write(requirements_txt="words\n")
    shop.deploy(server, name)
    assert "words==2.0" in server.samovar("show", name).out


def test_a_wheel_that_is_not_the_locked_one_is_not_installed(server, name, shop):
    shop.write(requirements_txt=f"words==1.0 --hash=sha256:{'0' * 64}\n")
    done = shop.deploy(server, name, check=False)
    told = next(line for line in done.err.splitlines() if line.startswith("samovar: "))
    assert done.returncode == 2 and "requirements.txt" in told and "ash" in told, done.err
    assert server.samovar("show", name, check=False).returncode == 4, "nothing was deployed"


def test_a_failed_build_says_why_and_leaves_what_runs(server, name, shop):
    shop.write(requirements_txt="words==1.0\n")
    shop.deploy(server, name)
    shop.write(requirements_txt="words==9.0\n")
    failed = shop.deploy(server, name, check=False)
    assert failed.returncode == 2
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert "requirements.txt" in told and "words==9.0" in told and "no version" in told, failed.err
    assert server.invoke(name).payload == "1.0"


def test_a_package_that_does_not_build_is_named(server, name, shop):
    source = shop.folder / "broken"
    source.mkdir()
    (source / "pyproject.toml").write_text('[project]\nname = "broken"\nversion = "1.0"\n'
                                           '[build-system]\nrequires = []\nbuild-backend = "make"\nbackend-path = ["."]\n')
    (source / "make.py").write_text("def build_wheel(*more):\n    raise SystemExit('no compiler for this here')\n")
    shop.write(requirements_txt="./broken\n")
    failed = shop.deploy(server, name, check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and "broken" in told and "build" in told, failed.err
    assert "no compiler for this here" in failed.err, "the output is kept"


def test_a_project_without_uv_says_what_to_do(server, name, shop):
    shop.write(pyproject_toml=PROJECT)
    done = server.samovar("deploy", shop.folder, "--name", name, "--runtime", "python3.11", "--handler", "app.handler",
                          check=False, SAMOVAR_UV="")
    assert done.returncode == 2 and "pyproject.toml needs uv" in done.err


def test_pip_installs_where_there_is_no_uv(server, name, shop):
    shop.write(requirements_txt="words\n")
    done = server.samovar("deploy", shop.folder, "--name", name, "--runtime", "python3.11", "--handler", "app.handler",
                          SAMOVAR_UV="", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shop.wheels))
    assert "pip installs" in done.err and server.invoke(name).payload == "2.0"


def built(folder, *more, **environment):
    done = run([BINARY, "build", folder, "--json", *more], check=False, **environment)
    assert done.returncode == 0, done.err
    return json.loads(done.out)["built"]


def test_build_needs_no_server_and_sends_nothing(shop):
    shop.write(requirements_txt="words==1.0\n")
    [made] = built(shop.folder, "--name", "local", "--runtime", "python3.11", "--handler", "app.handler",
                   AWS_ENDPOINT_URL="http://127.0.0.1:1", **shop.offline)
    with zipfile.ZipFile(made["file"]) as package:
        assert {"app.py", "words.py", ".samovar/requirements.lock"} <= set(package.namelist())
        assert hashlib.sha256(open(made["file"], "rb").read()).hexdigest() == made["sha256"]
    assert run([BINARY, "check", made["file"], "--runtime", "python3.11", "--handler", "app.handler"]).out == ""


def test_a_program_is_built_by_cmake(server, name, tmp_path):
    shutil.copy(ROOT / "tests/bootstraps/echo.cc", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(echo CXX)\n"
                                             "set(CMAKE_CXX_STANDARD 20)\nadd_executable(bootstrap echo.cc)\n")
    server.samovar("deploy", tmp_path, "--name", name)
    assert server.invoke(name, {"a": 1}).payload == {"a": 1}
    (tmp_path / "echo.cc").write_text("int main() { return x; }\n")
    failed = server.samovar("deploy", tmp_path, "--name", name, check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and "cmake builds" in told and "echo.cc:1:" in told, failed.err
    assert server.invoke(name, "still").payload == "still"


def test_a_program_is_built_by_make(server, name, tmp_path):
    shutil.copy(ROOT / "tests/bootstraps/echo.cc", tmp_path)
    (tmp_path / "Makefile").write_text(f"build-{name}:\n\t$(CXX) -std=c++20 -o $(ARTIFACTS_DIR)/bootstrap echo.cc\n")
    server.samovar("deploy", tmp_path, "--name", name)
    assert server.invoke(name, {"a": 1}).payload == {"a": 1}
    (tmp_path / "echo.cc").write_text("int main() { return x; }\n")
    failed = server.samovar("deploy", tmp_path, "--name", name, check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and f"make build-{name}" in told and "echo.cc:1:" in told, failed.err
    assert server.invoke(name, "still").payload == "still"


@pytest.mark.skipif(not shutil.which("cargo"), reason="no cargo on this machine")
def test_a_program_is_built_by_cargo(tmp_path):
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "bootstrap"\nversion = "0.1.0"\nedition = "2021"\n')
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.rs").write_text("fn main() {}\n")
    [made] = built(tmp_path, "--name", unique("rust"))
    with zipfile.ZipFile(made["file"]) as package:
        entry = package.getinfo("bootstrap")
        assert entry.external_attr >> 16 & 0o111 and package.read("bootstrap").startswith(b"\x7fELF")
    (tmp_path / "src/main.rs").write_text("fn main() { x }\n")
    failed = run([BINARY, "build", tmp_path, "--name", unique("rust")], check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and "`bootstrap`" in told and "src/main.rs:1:13: cannot find value" in told, failed.err
