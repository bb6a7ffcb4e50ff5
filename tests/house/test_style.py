"""Format, size, and what tracked files must not hold."""

import re
import shutil
import subprocess

import pytest

from tree import ROOT, text, tracked

MAX_LINES = 400
# Files that may be longer, each with its reason.
LONG = {
    "src/functions/registry_test.cc": "one table of wordings a topic; reads top to bottom",
    "src/instances/instance_service_test.cc": "one harness, many short lives of instances",
    "tests/integration/test_isolation.py": "one way out a test, each short",
    "tests/isolation_probe/isolation_probe.cc": "one way out a function, one table at the end",
}

CODE = (".h", ".cc", ".py", ".js", ".mjs", ".ts", ".sh", ".cmake")


def test_c_plus_plus_is_formatted():
    tool = shutil.which("clang-format-19")
    if not tool:
        pytest.skip("no clang-format-19")
    files = [str(p) for p in tracked(".h", ".cc")]
    done = subprocess.run([tool, "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
    assert done.returncode == 0, "clang-format-19 -i " + " ".join(wrong)


def test_no_file_is_too_long():
    wrong = []
    for path in tracked(*CODE):
        lines = (text(path) or "").count("\n")
        if lines > MAX_LINES and str(path) not in LONG:
            wrong.append(f"{path}: {lines} lines; split it, or list it with a reason")
    stale = [name for name in LONG if (text(name) or "").count("\n") <= MAX_LINES]
    assert not wrong and not stale, "\n".join(wrong + stale)


# Written apart, so that this file passes its own check.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "crates" + ".io",
              "proxy." + "golang", "registry-1." + "docker"]
MACHINE_PATHS = ["/" + "work/", "/" + "root/"]
# Places where a path of a machine means something else, each with its reason.
ALLOWED = {
    **{("src/main/build_sandbox.cc", name): "builds may reach the public package indexes" for name in REGISTRIES[:4]},
    ("src/sandbox/isolation_test.cc", "/" + "root/"): "a function tries to read root's files",
    ("src/sandbox/sandbox_test.cc", "/" + "root/"): "a mount point inside a sandbox",
    ("tests/integration/test_isolation.py", "/" + "root/"): "a function tries to read root's files",
}


@pytest.mark.parametrize("words", [REGISTRIES, MACHINE_PATHS], ids=["registries", "machine paths"])
def test_nothing_of_one_machine_is_tracked(words):
    pattern = re.compile("|".join(r"(?<![\w.\-$}/])" + re.escape(w) if w.startswith("/") else re.escape(w)
                                  for w in words))
    wrong = []
    for path in tracked():
        for number, line in enumerate((text(path) or "").splitlines(), 1):
            found = pattern.search(line)
            if found and (str(path), found.group()) not in ALLOWED:
                wrong.append(f"{path}:{number}: {line.strip()[:120]}")
    assert not wrong, "\n".join(wrong)


def test_no_line_ends_in_white_space():
    wrong = [f"{path}:{number}" for path in tracked(*CODE, ".md", ".yaml", ".yml", ".toml", ".txt", ".json")
             for number, line in enumerate((text(path) or "").split("\n"), 1) if line != line.rstrip()]
    assert not wrong, "\n".join(wrong)


def test_debian_packages_are_listed_once_and_sorted():
    lines = (ROOT / "tools/debian-packages.txt").read_text().split("\n")
    names = [line for line in lines if line and not line.startswith("#")]
    assert names == sorted(set(names))
