"""The data-file cases of tests/cases, against the session's server."""

import re
import sys

from harness import ROOT, run


def test_every_case_gets_the_reply_that_it_must(server):
    done = run([sys.executable, ROOT / "tests/run_cases.py"], check=False, SAMOVAR_ENDPOINT=server.endpoint)
    assert done.returncode == 0, done.out[-12000:] + done.err[-2000:]
    assert int(re.search(r"(\d+) cases passed, 0 failed", done.out)[1]) > 0, done.out
