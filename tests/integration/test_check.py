"""`samovar check`: broken packages are named with reason and remedy, sound ones give no alarm."""

import contextlib
import json
import os
import shutil
import sys

import pytest

from harness import BINARY, ROLE, ROOT, pack, run, until

sys.path.insert(0, str(ROOT / "tests/packages"))
import corpus  # noqa: E402


def check(package, runtime="python3.11", *more, **environment):
    done = run([BINARY, "check", package, "--runtime", runtime, "--json", *more], check=False, **environment)
    assert done.returncode in (0, 1), (done.returncode, done.out, done.err)
    report = json.loads(done.out)
    assert done.returncode == any(f["hopeless"] for f in report["findings"])
    return report["findings"]


HOPELESS = [
    (corpus.aarch64_wheel, "python3.11", "pydantic_core/", "installed for aarch64", "install the dependencies"),
    (corpus.aarch64_library, "python3.11", "lib_lightgbm.so", "installed for aarch64", "install the dependencies"),
    (corpus.musl_wheel, "python3.11", "pydantic_core/", "musl (Alpine Linux)", "install the dependencies"),
    (corpus.another_python, "python3.11", "pydantic_core/", "installed for CPython 3.12", "install the dependencies"),
    (corpus.another_python_without_its_papers, "python3.11", "pydantic_core/", "built for CPython 3.12",
     "install the dependencies"),
    (corpus.removed_libgomp, "python3.11", "sklearn/", "needs libgomp", "leave none of their files out"),
    (corpus.newer_glibc, "python3.11", "pydantic_core/", "GLIBC_2.99", "manylinux"),
    (corpus.newer_processor, "python3.11", "fast.so", "built for processors with", "without that"),
    (corpus.absent_library, "python3.11", "fast.so", "it needs libzbar.so.0", "apt-get install libzbar0"),
    (corpus.damaged_module, "python3.11", "fast.abi3.so", "damaged ELF file", "make the package again"),
    (corpus.no_run_bit, "provided.al2023", "bootstrap", "no run bit", "chmod +x"),
    (corpus.windows_lines, "provided.al2023", "bootstrap", "Windows", "Unix line ends"),
    (corpus.absent_interpreter, "provided.al2023", "bootstrap", "/usr/local/bin/ruby", "interpreter"),
    (corpus.bootstrap_of_aarch64, "provided.al2023", "bootstrap", "built for aarch64", "x86_64"),
    (corpus.link_to_the_host, "python3.11", "secrets", "leaves the package", "the file itself"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("make, runtime, file, problem, remedy", HOPELESS, ids=[row[0].__name__ for row in HOPELESS])
def test_a_hopeless_package_is_named(tmp_path, make, runtime, file, problem, remedy):
    make(tmp_path)
    found = check(tmp_path, runtime)
    assert found and found[0]["hopeless"], found
    assert file in found[0]["file"] and problem in found[0]["problem"] and remedy in found[0]["remedy"], found[0]
    assert len(found) == 1, "one mistake is one finding"


@pytest.mark.parametrize("make, words", [
    (corpus.dot_dot, "entry '../outside.py' leaves the package"),
    (corpus.link_out, "entry 'passwd' is a symlink that leaves the package"),
    (corpus.truncated, "Could not unzip uploaded file"),
    (corpus.bomb, "Unzipped size must be smaller than"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_hostile_zip_is_refused(tmp_path, make, words):
    before = set(os.listdir(tmp_path))
    done = run([BINARY, "check", make(tmp_path / "bad.zip"), "--runtime", "python3.11"], check=False,
               TMPDIR=str(tmp_path))
    assert done.returncode == 2 and "bad.zip: " in done.err and words in done.err, (done.returncode, done.err)
    assert set(os.listdir(tmp_path)) - before == {"bad.zip"}, "what was unpacked is gone"


def test_a_hundred_thousand_files_are_a_doubt(tmp_path):
    found = check(corpus.many_files(tmp_path / "many.zip"), TMPDIR=str(tmp_path))
    assert [f["hopeless"] for f in found] == [False] and "100000 files" in found[0]["problem"]


@pytest.mark.parametrize("name", ["pydantic-core", "scikit-learn", "lightgbm", "numba"])
def test_a_sound_wheel_gives_no_alarm(name):
    assert check(corpus.wheel(name)) == []


@pytest.mark.parametrize("folder, runtime", [
    (".venv/lib/python3.11/site-packages", "python3.11"),
    ("examples/supermarket/build/venv/lib/python3.11/site-packages", "python3.11"),
    ("tests/node", "nodejs"),
])
def test_a_sound_environment_gives_no_alarm(session_server, folder, runtime):
    """Whole environments as people deploy them: numpy, scipy, pandas, scikit-learn, pyarrow, an SDK."""
    name = session_server.runtime(runtime) if runtime == "nodejs" else runtime
    assert check(ROOT / folder, name) == []


def test_builds_for_others_beside_the_right_one_are_no_alarm(tmp_path):
    """As layers have them that serve several Pythons, and npm packages that carry every platform's build."""
    corpus.copy(tmp_path, corpus.wheel("pydantic-core", python="3.12"))
    shutil.copytree(corpus.wheel("pydantic-core") / "pydantic_core", tmp_path / "pydantic_core", dirs_exist_ok=True)
    assert check(tmp_path) == []
    other = next((corpus.wheel("pydantic-core", corpus.OTHER) / "pydantic_core").glob("*.so"))
    here = next((corpus.wheel("pydantic-core") / "pydantic_core").glob("*.so"))
    for package, module in [("fast-linux-arm64", other), ("fast-linux-x64-gnu", here)]:
        folder = tmp_path / "node_modules/@maker" / package
        folder.mkdir(parents=True)
        shutil.copy(module, folder / "fast.node")
    assert check(tmp_path, "nodejs20.x") == []
    shutil.rmtree(tmp_path / "node_modules/@maker/fast-linux-x64-gnu")
    assert [f["hopeless"] for f in check(tmp_path, "nodejs20.x")] == [True]


def test_a_library_that_the_package_brings_counts(tmp_path):
    corpus.absent_library(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "empty.c").write_text("")
    corpus.compile_c(tmp_path / "empty.c", tmp_path / "lib/libzbar.so.0", "-shared", "-Wl,-soname,libzbar.so.0")
    assert check(tmp_path) == []


PYTHON = "import os\nif os.name:\n    def handler(e, c): pass\nclass Other: pass\n"


@pytest.mark.parametrize("files, handler, words", [
    ({"app.py": PYTHON}, "app.handler", None),
    ({"pkg/app.py": PYTHON, "pkg/__init__.py": ""}, "pkg.app.handler", None),
    ({"app.py": "from other import *\n"}, "app.handler", None),
    ({"app.py": "globals()['handler'] = print\n"}, "app.handler", None),
    ({"app.py": "handler, x = print, 1\n"}, "app.handler", None),
    ({"app.py": PYTHON}, "app.main", "it defines no main"),
    ({"app.py": PYTHON}, "absent.handler", "no such file"),
    ({"app.py": "def handler(e, c) pass\n"}, "app.handler", "line 1 is no Python"),
    ({"app.py": PYTHON}, "handler", "is not FILE.FUNCTION"),
])
def test_the_handler_is_looked_for(tmp_path, files, handler, words):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = check(tmp_path, "python3.11", "--handler", handler)
    assert [f["hopeless"] for f in found] == ([False] if words else []), found
    assert not words or words in found[0]["problem"], found


@pytest.mark.parametrize("text, handler, words", [
    ("exports.main = () => 1\n", "app.main", None),
    ("module.exports = require('./lib')\n", "app.main", None),
    ("exports.main = () => 1\n", "app.other", "it has no other"),
    ("exports.main = () => 1\n", "absent.main", "no such file"),
])
def test_a_node_handler_is_looked_for(session_server, tmp_path, text, handler, words):
    (tmp_path / "app.js").write_text(text)
    found = check(tmp_path, session_server.runtime("nodejs"), "--handler", handler)
    assert [f["hopeless"] for f in found] == ([False] if words else []), found
    assert not words or words in found[0]["problem"], found


def test_links_to_nothing_are_a_doubt(tmp_path):
    (tmp_path / "app.py").symlink_to("gone.py")
    found = check(tmp_path)
    assert [(f["hopeless"], f["file"]) for f in found] == [(False, "app.py")]


def test_a_layer_is_checked_with_its_function(tmp_path):
    layer = tmp_path / "layer/python"
    corpus.copy(layer, corpus.wheel("pydantic-core", corpus.OTHER))
    (tmp_path / "code").mkdir()
    (tmp_path / "code/app.py").write_text("def handler(e, c): pass\n")
    found = check(tmp_path / "code", "python3.11", "--layer", str(tmp_path / "layer"))
    assert found[0]["hopeless"] and found[0]["file"].startswith("/opt/python/pydantic_core/")


def test_people_see_lines_and_scripts_exit_codes(tmp_path):
    corpus.no_run_bit(tmp_path)
    told = run([BINARY, "check", tmp_path, "--runtime", "provided"], check=False)
    assert told.returncode == 1 and told.out.startswith("error: bootstrap: it has no run bit")
    unknown = run([BINARY, "check", tmp_path, "--runtime", "python3.1"], check=False)
    assert unknown.returncode == 2 and "this host has no python3.1" in unknown.err
    absent = run([BINARY, "check", tmp_path / "absent.zip", "--runtime", "provided"], check=False)
    assert absent.returncode == 2 and "absent.zip" in absent.err


# --- the server does the same before a function becomes Active, in the sandbox that the function would have

def create(server, name, folder, runtime="python3.11", handler="app.handler", **more):
    files = {str(p.relative_to(folder)) + ("*" if os.access(p, os.X_OK) else ""): p.read_bytes()
             for p in folder.rglob("*") if p.is_file()}
    with open_upload(server, files) as code:
        return server.client().create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE,
                                               Code=code, **more)


@contextlib.contextmanager
def open_upload(server, files):
    sent = server.raw("PUT", "/samovar/v1/uploads", pack(files)).json()
    yield {"S3Bucket": "samovar-uploads", "S3Key": sent["sha256"]}


def settled(server, name):
    return until(lambda: (found := server.client().get_function_configuration(FunctionName=name))
                 ["State"] != "Pending" and found.get("LastUpdateStatus") != "InProgress" and found, 60, "an end of Pending")


@pytest.mark.parametrize("make, file, words", [
    (corpus.aarch64_wheel, "pydantic_core/", "installed for aarch64"),
    (corpus.musl_wheel, "pydantic_core/", "musl (Alpine Linux)"),
    (corpus.another_python, "pydantic_core/", "CPython 3.12"),
    (corpus.removed_libgomp, "sklearn/", "needs libgomp"),
    (corpus.newer_glibc, "pydantic_core/", "GLIBC_2.99"),
    (corpus.absent_library, "fast.so", "apt-get install libzbar0"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_hopeless_package_makes_its_function_failed(server, lam, name, tmp_path, make, file, words):
    make(tmp_path)
    (tmp_path / "app.py").write_text("def handler(e, c): return 1\n")
    create(server, name, tmp_path)
    found = settled(server, name)
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "InvalidZipFileException")
    assert file in found["StateReason"] and words in found["StateReason"], found["StateReason"]
    log = until(lambda: [r["message"] for r in logs(server, name)], 60, "a line of log")
    assert any("SAMOVAR error: " in line and words in line for line in log), log


def logs(server, name):
    return [json.loads(line) for line in server.raw("GET", f"/samovar/v1/logs/{name}").data.splitlines()]


def test_an_update_that_cannot_run_leaves_what_runs(server, lam, name, tmp_path):
    server.create("def handler(e, c): return 'first'\n", name=name)
    corpus.aarch64_wheel(tmp_path)
    files = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with open_upload(server, {"app.py": "def handler(e, c): return 2\n", **files}) as code:
        lam.update_function_code(FunctionName=name, **code)
    found = settled(server, name)
    assert (found["State"], found.get("LastUpdateStatus")) == ("Active", "Failed")
    assert "installed for aarch64" in found["LastUpdateStatusReason"]
    assert server.invoke(name).payload == "first"


def test_a_tag_lets_a_hopeless_package_try(server, name, tmp_path):
    corpus.aarch64_wheel(tmp_path)
    (tmp_path / "app.py").write_text("def handler(e, c): return 'it never imports it'\n")
    create(server, name, tmp_path, Tags={"samovar:check": "warn"})
    assert settled(server, name)["State"] == "Active"
    assert server.invoke(name).payload == "it never imports it"
    warnings = server.get(f"/samovar/v1/warnings/{name}")["warnings"]
    assert len(warnings) == 1 and "installed for aarch64" in warnings[0]


def test_what_a_package_brings_to_be_loaded_does_not_reach_the_checker(server, name, tmp_path):
    """Libraries of the function's own by the names of those that the checker is linked with."""
    corpus.compile_c(corpus.text(tmp_path / "x.c", "int broken;\n"), tmp_path / "libelf.so.1", "-shared", "-fPIC")
    (tmp_path / "x.c").unlink()
    corpus.no_run_bit(tmp_path)
    create(server, name, tmp_path, runtime="provided.al2023", handler="any")
    assert "no run bit" in settled(server, name)["StateReason"]


def test_a_doubt_is_told_by_deploy_show_and_the_log(server, name, tmp_path):
    (tmp_path / "app.py").write_text("def handler(e, c): return 1\n")
    told = server.samovar("deploy", tmp_path, "--name", name, "--runtime", "python3.11", "--handler", "app.main")
    assert "warning: " in told.err and "app.py: it defines no main" in told.err, told.err
    shown = server.samovar("show", name)
    assert "app.py: it defines no main, which the handler app.main names" in shown.out
    assert json.loads(server.samovar("show", name, "--json").out)["warnings"]
    assert any("SAMOVAR warning: app.py" in r["message"] for r in logs(server, name))
    again = server.samovar("deploy", tmp_path, "--name", name, "--runtime", "python3.11", "--handler", "app.handler")
    assert "warning" not in again.err and "it defines no" not in server.samovar("show", name).out


def test_warnings_outlive_the_server(fresh, tmp_path):
    server = fresh()
    server.create({"app.py": "x = 1\n"}, name="kept")
    before = server.get("/samovar/v1/warnings/kept")["warnings"]
    assert len(before) == 1 and "it defines no handler" in before[0]
    server.stop()
    server.start()
    assert server.get("/samovar/v1/warnings/kept")["warnings"] == before
