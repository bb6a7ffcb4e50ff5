"""The types of the module `samovar` for Node.js: tests/node/types.test.mjs, run by Node's own test runner."""

import pathlib
import re
import subprocess

TEST = pathlib.Path(__file__).parents[1] / "node/types.test.mjs"


def test_strict_programs_compile_with_the_types_and_wrong_ones_do_not():
    done = subprocess.run(["node", "--test", "--test-reporter=tap", TEST], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.M)[1]) == 4, done.stdout
