"""Which room of src/ may include which (the table of ARCHITECTURE.md), and that headers compile alone."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tree import BUILD, ROOT, text, tracked

ROOMS = {
    "base": [],
    "os": ["base"],
    "wire": ["base"],
    "net": ["base", "os"],
    "store": ["base", "os"],
    "collections": ["base", "os"],
    "packages": ["base", "os"],
    "images": ["base", "os", "wire"],
    "models": ["base", "wire"],
    "sandbox": ["base", "os", "net"],
    "functions": ["base", "store", "images", "wire"],
    "instances": ["sandbox", "functions", "packages", "wire", "net", "store", "base", "os"],
    "gateway": ["collections", "instances", "sandbox", "functions", "packages", "images", "wire", "net", "store", "base",
                "os"],
    "main": ["gateway", "collections", "instances", "sandbox", "functions", "packages", "images", "wire", "net", "store",
             "base", "os"],
}
# Single headers beyond a room's row, each with its reason.
ALSO = {
    ("main", "models/model_file.h"): "a model is looked through before it is sent",
    ("sandbox", "functions/version.h"): "a sandbox is planned from the version that it runs",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
OUTSIDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)


def sources():
    return [p for p in tracked(".h", ".cc") if p.parts[0] == "src" and p.parts[1] != "pch"]


def includes(path):
    return INCLUDE.findall(text(path) or "")


def test_every_room_is_in_the_table():
    assert {p.parts[1] for p in sources()} <= set(ROOMS)


def test_a_room_includes_only_what_its_row_allows():
    wrong = []
    for path in sources():
        room = path.parts[1]
        for name in includes(path):
            other = name.split("/")[0]
            allowed = other == room or other in ROOMS[room] or (room, name) in ALSO
            if other in ROOMS and not allowed:
                wrong.append(f"{path} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_project_includes_name_the_room():
    """ "wire/fields.h", never "fields.h": one way to find a header."""
    wrong = [f"{path} includes {name}" for path in sources() for name in includes(path) if "/" not in name]
    assert not wrong, "\n".join(wrong)


def test_a_source_includes_its_own_header_first():
    wrong = []
    for path in sources():
        own = path.with_suffix(".h")
        names = includes(path)
        if path.suffix == ".cc" and (ROOT / own).is_file() and names[:1] != ["/".join(own.parts[1:])]:
            wrong.append(str(path))
    assert not wrong, "\n".join(wrong)


def test_headers_say_once_and_explain_themselves():
    wrong = []
    for path in sources():
        lines = (text(path) or "").splitlines()
        if path.suffix == ".h" and (lines[:1] != ["#pragma once"] or not lines[1:2][0].startswith("//")):
            wrong.append(f"{path}: #pragma once, then a comment that says what it is")
    assert not wrong, "\n".join(wrong)


def closure(path, seen):
    """A header and the project's headers that it includes, directly or not."""
    if path in seen or not (ROOT / path).is_file():
        return seen
    seen.add(path)
    for name in includes(path):
        closure(type(path)("src") / name, seen)
    return seen


def fingerprint(path):
    digest = hashlib.sha256()
    for part in sorted(closure(path, set())):
        digest.update((ROOT / part).read_bytes())
    return digest.hexdigest()


FLAGS = ["-std=c++23", "-Wno-pragma-once-outside-header", "-DBOOST_ASIO_NO_DEPRECATED", "-DBOOST_ASIO_HAS_CO_AWAIT",
         "-DBOOST_ERROR_CODE_HEADER_ONLY", '-DISOLATION_PROBE=""', "-I", "src", "-I", "build/onnxruntime/include",
         "-I", "build/release/src/gateway/proto"]


def compile_alone(compiler, path, precompiled):
    before = ["-include-pch", str(precompiled)] if precompiled else []
    done = subprocess.run([compiler, *FLAGS, *before, "-fsyntax-only", "-x", "c++", path], cwd=ROOT, capture_output=True,
                          text=True)
    return None if done.returncode == 0 else f"{path}:\n{done.stderr[:2000]}"


def outside(path):
    """What a header includes of others' headers, itself or through the project's."""
    return frozenset(name for part in closure(path, set()) for name in OUTSIDE.findall(text(part)))


def weight(names):
    return sum(8 if "/" in name else 1 for name in names)


def shared_sets(wanted, count):
    """The sets of others' headers that spare most when they are compiled once for all headers that include all of them."""
    best = dict.fromkeys(wanted, frozenset())
    sets = set(wanted.values())
    candidates = {one & other for one in sets for other in sets} - {frozenset()}
    fits = {made: [name for name, all_ in wanted.items() if made <= all_] for made in candidates}
    for _ in range(count):
        gains = {made: sum(max(0, weight(made) - weight(best[name])) for name in names) for made, names in fits.items()}
        made = max(sorted(gains, key=sorted), key=gains.get, default=None)
        if not made or gains[made] < 2 * weight(made):  # making it takes time, too
            break
        for name in fits[made]:
            best[name] = max(best[name], made, key=weight)
    return best


def precompile(compiler, names, target):
    """Others' headers, compiled: a header that includes them all sees nothing more than it would alone."""
    target.with_suffix(".h").write_text("".join(f"#include <{name}>\n" for name in sorted(names)))
    subprocess.run([compiler, *FLAGS, "-x", "c++-header", target.with_suffix(".h"), "-o", target], cwd=ROOT, check=True)
    return target


@pytest.mark.timeout(900)  # a first run compiles some 300 headers
def test_headers_compile_alone(tmp_path):
    """Only headers that changed (or whose includes did) since they last passed are compiled."""
    compiler = shutil.which("clang++-19") or shutil.which("clang++")
    if not compiler:
        pytest.skip("no clang++")
    stamp = BUILD / "headers.json"
    passed = json.loads(stamp.read_text()) if stamp.is_file() else {}
    now = {str(p): fingerprint(p) for p in sources() if p.suffix == ".h"}
    todo = [name for name, print_ in now.items() if passed.get(name) != print_]
    good = {name: print_ for name, print_ in now.items() if name not in todo}
    failures = []
    BUILD.mkdir(parents=True, exist_ok=True)
    best = shared_sets({name: outside(pathlib.Path(name)) for name in todo}, 16)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sets = sorted(set(best.values()) - {frozenset()}, key=sorted)
        files = [tmp_path / f"{at}.pch" for at in range(len(sets))]
        made = dict(zip(sets, pool.map(lambda names, target: precompile(compiler, names, target), sets, files)))
        for name, failure in zip(todo, pool.map(lambda name: compile_alone(compiler, name, made.get(best[name])), todo)):
            if failure:
                failures.append(failure)
                continue
            good[name] = now[name]
            stamp.write_text(json.dumps(good, indent=1))  # so that a run cut off is not in vain
    assert not failures, "\n".join(failures)
