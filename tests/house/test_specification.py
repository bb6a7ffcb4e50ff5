"""What SPECIFICATION.md names as holding a promise is there: files, and tests in them by name."""

import re

from tree import ROOT, text

CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("", "tests/integration", "tests")  # where a bare file name may lie


def rows():
    """(line number, what holds it) of each promise; a row starts with `|` and is no head."""
    for number, line in enumerate(text("SPECIFICATION.md").splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and cells[0] != "promise" and not set(cells[0]) <= {"-"}:
            yield number, cells[1]


def find(name):
    """The file or folder that a name means, or None."""
    return next((path for folder in FOLDERS if (path := ROOT / folder / name).exists()), None)


def has_test(path, name):
    """Whether a file defines the test: a Python function (or method), a GoogleTest, a test of node's."""
    body = path.read_text(encoding="utf-8") if path.is_file() else ""
    plain = re.escape(name)
    return re.search(rf"def {plain}\(|TEST(_F|_P)?\(\w+,\s*{plain}\)|test\(['\"]{plain}['\"]", body) is not None


def test_every_promise_names_what_is_there():
    wrong, suite = [], None  # the integration tests named last, which "::test" goes on about
    for number, held_by in rows():
        named = 0
        for item in CODE.findall(held_by):
            name, _, test = item.partition("::")
            if name and not re.search(r"/|\.(py|cc|mjs|js)$", name):
                continue  # a word of the program's, as Server.stop
            path = find(name) if name else suite
            if path and path.parent.name == "integration" and path.suffix == ".py":
                suite = path
            if path is None:
                wrong.append(f"SPECIFICATION.md:{number}: {name} is not there")
            elif test and not has_test(path, test):
                wrong.append(f"SPECIFICATION.md:{number}: {path.relative_to(ROOT)} has no test {test}")
            else:
                named += 1
        if named == 0:
            wrong.append(f"SPECIFICATION.md:{number}: names nothing that holds it")
    assert not wrong, "\n".join(wrong)


def test_the_test_would_notice():
    assert any(rows())
    assert find("tests/house/test_specification.py") and not find("tests/house/test_nothing.py")
    path = ROOT / "tests/house/test_specification.py"
    assert has_test(path, "test_the_test_would_notice") and not has_test(path, "test_the_test_would_" + "sleep")
