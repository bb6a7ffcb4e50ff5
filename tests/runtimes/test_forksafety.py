"""Libraries as PyPI ships them, with a model loaded and one prediction made, survive being cloned.

The light ones of bench/forksafety, whose table of all is in docs/clones.md.
"""

import sys

import pytest

from channel import ROOT

sys.path.insert(0, str(ROOT / "bench/forksafety"))

import run  # noqa: E402


@pytest.mark.parametrize("library", ["numpy", "pandas", "scikit-learn"])
def test_clones_predict_what_the_template_did(library):
    row = run.attempt(library)
    assert row["clonable"], row["reasons"]
    assert row["threads"] > 1 or library == "pandas", "no threads ran that a fork could have lost"
