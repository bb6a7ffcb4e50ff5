"""examples/export: LightGBM and XGBoost to a served model that answers as the original does.

The environment is kept in examples/export/build. PyTorch and TensorFlow take gigabytes: run those by hand with
examples/export/run pytorch tensorflow.
"""

import sys

import pytest

from harness import ROOT, run


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_converted_model_answers_as_the_original(server, name):
    done = run([ROOT / "examples/export/run", "--python", sys.executable, name], AWS_ENDPOINT_URL=server.endpoint)
    assert f"{name}: 50 rows, largest difference" in done.out
