"""A sample of ONNX's own backend tests through the server; all of them: tests/models/run."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import backend  # noqa: E402


def test_what_passes_in_onnxruntime_alone_passes_through_the_server(server):
    found = backend.compare(backend.cases(every=40), server)
    worse = {name: why for name, (alone, why) in found.items() if alone is None and why is not None}
    assert not worse
    assert sum(why is None for _, why in found.values()) > len(found) / 2 > 20
