#!/usr/bin/env python3
"""ONNX's own backend tests through the server: tests/models/run [--every N] [--workers N] [PATTERN]...

PyPI's onnx ships models with inputs and the outputs they must give (onnx/backend/test: node and simple). Each is run by onnxruntime alone and as a function of runtime onnx, and both are compared with what
the test expects, within the tolerances of onnx's own runner. Prints the counts, and what passes alone and
not through the server; exits 1 where there is such a one.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fnmatch
import json
import math
import pathlib
import sys

import numpy
import onnx
import onnx.backend.test.loader
from onnx import numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import Server, unique  # noqa: E402
from models import deploy  # noqa: E402



class Case:
    """One of onnx's tests: bytes of a model, its inputs' and outputs' infos, and sets of values."""

    def __init__(self, test):
        self.name, self.relative, self.absolute = f"{test.kind}/{test.name}", test.rtol, test.atol
        folder = pathlib.Path(test.model_dir) if test.model_dir else None
        model = onnx.load(folder / "model.onnx") if folder else test.model
        self.bytes = model.SerializeToString()
        self.inputs, self.outputs = list(model.graph.input), list(model.graph.output)
        if folder:
            self.sets = [(read(each, "input", self.inputs), read(each, "output", self.outputs))
                         for each in sorted(folder.glob("test_data_set_*"))]
        else:
            self.sets = [([plain(v) for v in inputs], [plain(v) for v in outputs]) for inputs, outputs in test.data_sets]


def plain(value):
    """A numpy array, a list of such, or None."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, numpy.ndarray) else numpy.asarray(value)


def read(folder, kind, infos):
    return [value_of((folder / f"{kind}_{i}.pb").read_bytes(), infos[i].type)
            for i in range(len(list(folder.glob(f"{kind}_*.pb"))))]


def value_of(data, kind):
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if which == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def to_json(value):
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, numpy.ndarray):
        return to_json(value.tolist() if value.dtype.kind in "biufcUSO" else value.astype(numpy.float64).tolist())
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, complex):
        return [to_json(value.real), to_json(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def from_json(value, like):
    """A JSON value as what is expected is, so that both compare."""
    if like is None or value is None:
        return value
    if isinstance(like, list):
        inner = like[0] if like else numpy.zeros(0)
        return [from_json(item, like[min(i, len(like) - 1)] if like else inner) for i, item in enumerate(value)]
    if like.dtype.kind in "OUS":
        return numpy.array(value, object)
    if like.dtype.kind == "c":
        pairs = numpy.array(value, float)
        return (pairs[..., 0] + 1j * pairs[..., 1]).astype(like.dtype)
    return numpy.array(value, object).astype(float if like.dtype.kind not in "biu" else like.dtype).astype(like.dtype)


def check(got, want, case):
    """Raises where an output is not what is expected."""
    if want is None or got is None:
        assert got is None and want is None
    elif isinstance(want, list):
        assert len(got) == len(want)
        for one, other in zip(got, want):
            check(one, other, case)
    elif want.size == 0:
        assert numpy.size(got) == 0  # JSON says [] for every empty shape
    elif want.dtype.kind in "OUS":
        assert numpy.array(got).shape == want.shape
        assert [str(t) for t in numpy.ravel(got)] == [t.decode() if isinstance(t, bytes) else str(t) for t in want.ravel()]
    else:
        assert numpy.shape(got) == want.shape, (numpy.shape(got), want.shape)
        wide = complex if want.dtype.kind == "c" else float
        numpy.testing.assert_allclose(numpy.asarray(got).astype(wide), want.astype(wide), case.relative, case.absolute)


def alone(case):
    import onnxruntime
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    session = onnxruntime.InferenceSession(case.bytes, quiet, providers=["CPUExecutionProvider"])
    for inputs, outputs in case.sets:
        feeds = {info.name: ortvalue(value, info.type) for info, value in zip(case.inputs, inputs)}
        names = [output.name for output in session.get_outputs()]
        if all(isinstance(value, onnxruntime.OrtValue) for value in feeds.values()):
            got = [value.numpy() if value.has_value() and value.is_tensor() else session.run(
                names, {k: v.numpy() for k, v in feeds.items()})[i]
                for i, value in enumerate(session.run_with_ort_values(names, feeds))]
        else:
            got = session.run(names, {info.name: value for info, value in zip(case.inputs, inputs)})
        for one, want in zip(got, outputs, strict=True):
            check(one, want, case)


def ortvalue(value, kind):
    """Python has numpy arrays for most types; those of few bits go in as what they are by number."""
    import onnxruntime
    if not isinstance(value, numpy.ndarray) or value.dtype.kind in "OUS":
        return value
    if value.dtype.kind in "biufc":
        return onnxruntime.OrtValue.ortvalue_from_numpy(value)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(value, kind.tensor_type.elem_type)


def served(case, server):
    function = deploy(server, case.bytes, name=unique("onnx"), Timeout=60)
    try:
        for inputs, outputs in case.sets:
            event = {"inputs": {info.name: to_json(value) for info, value in zip(case.inputs, inputs) if value is not None}}
            answer = server.invoke(function, event)
            assert not answer.error, f"{answer.payload['errorType']}: {answer.payload['errorMessage']}"
            got = answer.payload["outputs"]
            for info, want in zip(case.outputs, outputs, strict=True):
                check(from_json(got[info.name], want), want, case)
    finally:
        server.client().delete_function(FunctionName=function)


def outcome(run, *args):
    """None where it passes, else why not."""
    try:
        run(*args)
    except Exception as error:  # whatever onnxruntime or a comparison throws
        return f"{type(error).__name__}: {str(error).strip()[:300]}"


def cases(every=1, patterns=()):
    tests = [test for kind in ("node", "simple") for test in onnx.backend.test.loader.load_model_tests(kind=kind)]
    tests.sort(key=lambda test: (test.kind, test.name))
    if patterns:
        tests = [t for t in tests if any(fnmatch.fnmatch(f"{t.kind}/{t.name}", f"*{p}*") for p in patterns)]
    return tests[::every]


def compare(tests, server, workers=4):
    """Name to (why it fails alone, why it fails through the server)."""
    def both(test):
        case = Case(test)
        return case.name, (outcome(alone, case), outcome(served, case, server))

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return dict(pool.map(both, tests))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th test")
    parser.add_argument("--workers", type=int, default=4, help="tests at a time")
    parser.add_argument("--json", type=pathlib.Path, help="writes all outcomes there")
    parser.add_argument("pattern", nargs="*", help="only tests of such names")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server("grpc_listen=off"))
        found = compare(cases(asked.every, asked.pattern), server, asked.workers)
    counts = collections.Counter((a is None, s is None) for a, s in found.values())
    worse = {name: s for name, (a, s) in found.items() if a is None and s is not None}
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    for name, why in worse.items():
        print(f"{name} passes alone, and not through the server: {why}")
    print(f"{len(found)} tests of onnx {onnx.__version__}: {counts[True, True] + counts[True, False]} pass in onnxruntime alone, "
          f"{counts[True, True] + counts[False, True]} through the server; {counts[False, True]} pass only there")
    sys.exit(1 if worse or not found else 0)


if __name__ == "__main__":
    main()
