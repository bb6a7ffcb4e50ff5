"""@aws-sdk/client-lambda: tests/node/lambda.test.mjs, run by Node's own test runner."""

import re

from harness import ROOT, run


def test_the_sdk_for_javascript(server):
    done = run(["node", "--test", "--test-reporter=tap", ROOT / "tests/node/lambda.test.mjs"], check=False,
               AWS_ENDPOINT_URL=server.endpoint, AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="any",
               AWS_SECRET_ACCESS_KEY="any", SAMOVAR_PYTHON=server.runtime(), SAMOVAR_NODE=server.runtime("nodejs"))
    assert done.returncode == 0, done.out[-6000:] + done.err[-2000:]
    assert int(re.search(r"^# pass (\d+)$", done.out, re.M)[1]) >= 8, done.out
