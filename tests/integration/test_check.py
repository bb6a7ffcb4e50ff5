"""`samovar check`: broken packages are named with reason and remedy, sound ones give no alarm."""

import json
import os
import shutil
import sys

import pytest

from harness import BINARY, ROOT, run

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
    done = run([BINARY, "check", make(tmp_path / "bad.zip"), "--runtime", "python3.11", "--max-unpacked", "100MB"],
               check=False, TMPDIR=str(tmp_path))
    assert done.returncode == 2 and words in done.err, (done.returncode, done.err)
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
    assert absent.returncode == 4 and "absent.zip" in absent.err
