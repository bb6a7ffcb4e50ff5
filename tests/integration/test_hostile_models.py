"""Model files and runs that mean harm, or cannot be: a named error, inside the sandbox, and nobody else's harm."""

import os
import pathlib
import threading

import numpy
import onnx
import pytest
from onnx import TensorProto, helper

from harness import descendants
from models import FLOAT, INT64, ROWS, ask, build, deploy, endless, fails, node


@pytest.fixture(scope="module")
def rows(session_server):
    return deploy(session_server)


def external(location):
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", location), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=text)
    return build([node("Mul", ["x", "w"], ["y"])], [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N", 2])], [tensor])


def huge():
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[2 ** 40, 2 ** 40], raw_data=b"1234")
    return build([node("Mul", ["x", "w"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])], [tensor])


def calls_itself():
    body = [helper.make_node("Self", ["x"], ["y"], domain="own")]
    function = helper.make_function("own", "Self", ["x"], ["y"], body, [helper.make_opsetid("own", 1)])
    return build([helper.make_node("Self", ["x"], ["y"], domain="own")], [("x", FLOAT, [1])], [("y", FLOAT, [1])],
                 domains=[("own", 1)], functions=[function])


def field(number, data):
    """One field of a protobuf message, by hand."""
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def deep(levels):
    """Graphs within each other, deeper than protobuf's own Python library writes them."""
    graph = b""
    for _ in range(levels):
        attribute = field(1, b"body") + field(6, graph) + b"\xa0\x01\x05"  # type: GRAPH
        graph = field(1, field(4, b"Loop") + field(5, attribute)) + field(2, b"g")
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x11")


def future():
    model = onnx.load_from_string(ROWS)
    model.ir_version = 99
    return model.SerializeToString()


HOSTILE = {
    "truncated": (ROWS[:-20], "Model.LoadFailed", "model.onnx"),
    "no model at all": (b"\xff" * 100, "Model.LoadFailed", "model.onnx"),
    "empty": (b"", "Model.LoadFailed", "it is empty"),
    "huge dimensions": (huge(), "Model.LoadFailed", "impossible shape"),
    "less data than its shape": (
        build([node("Mul", ["x", "w"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])],
              [TensorProto(name="w", data_type=FLOAT, dims=[1000000], raw_data=b"1234")]),
        "Model.LoadFailed", 'tensor "w"'),
    "a cycle": (build([node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"])], [("x", FLOAT, [1])],
                      [("b", FLOAT, [1])]), "Model.LoadFailed", ""),
    "a function that calls itself": (calls_itself(), "Model.LoadFailed", "calls itself"),
    "graphs in graphs": (deep(5000), "Model.LoadFailed", "nested"),
    "data outside, absolute": (external("/etc/passwd"), "Model.LoadFailed", "outside the package"),
    "data outside, above": (external("../../etc/passwd"), "Model.LoadFailed", "outside the package"),
    "data that is not there": (external("weights.bin"), "Model.LoadFailed", "not in the package"),
    "an operator nobody has": (build([node("Nonsense", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])]),
                               "Model.LoadFailed", "Nonsense"),
    "a format of the future": (future(), "Model.LoadFailed", "failed: Unsupported model IR version: 99"),
    "an opset of the future": (build([node("Neg", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])], opset=999),
                               "Model.LoadFailed", "failed: ONNX Runtime only *guarantees* support"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_fails_by_name(server, name):
    model, kind, words = HOSTILE[name]
    function = deploy(server, model)
    fails(server, function, {"instances": [[1]]}, kind, words)


def test_weights_in_a_file_beside_the_model(server):
    weights = numpy.array([2, 3], numpy.float32).tobytes()
    function = deploy(server, external("weights.bin"), files={"weights.bin": weights})
    assert ask(server, function, {"instances": [[1, 1]]}) == {"predictions": [[2, 3]]}


def test_a_run_that_needs_too_much_memory_ends_its_instance_alone(server, rows):
    model = build([node("ConstantOfShape", ["n"], ["big"]), node("ReduceSum", ["big"], ["y"], keepdims=0)],
                  [("n", INT64, [1])], [("y", FLOAT, [])])
    function = deploy(server, model, MemorySize=256)
    assert ask(server, function, {"inputs": {"n": [10]}}) == {"outputs": {"y": 0}}
    answer = server.invoke(function, {"inputs": {"n": [4_000_000_000]}})
    assert answer.error == "Unhandled" and answer.payload["errorType"] in ("Model.RunFailed", "Runtime.OutOfMemory")
    assert ask(server, function, {"inputs": {"n": [10]}}) == {"outputs": {"y": 0}}
    assert ask(server, rows, {"instances": [[1, 1, 1, 1]], "outputs": ["sum"]}) == {"predictions": [[4]]}


def test_a_run_past_the_timeout_ends_without_its_neighbours(server):
    function = deploy(server, endless(), Timeout=2)
    assert len(ask(server, function, {"inputs": {"n": 3}})["outputs"]["y"]) == 100
    answers = {}

    def call(n):
        answers[n] = server.invoke(function, {"inputs": {"n": n}}, LogType="Tail")

    threads = [threading.Thread(target=call, args=(n,)) for n in (10 ** 12, 5, 6, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slow = answers.pop(10 ** 12)
    assert slow.payload["errorType"] == "Sandbox.Timedout" and "timed out after 2.00 seconds" in slow.payload["errorMessage"]
    assert "Status: timeout" in slow.log
    # Those that stood behind it in the worker's line had the same two seconds.
    kinds = {answer.payload["errorType"] if answer.error else "" for answer in answers.values()}
    assert kinds <= {"", "Sandbox.Timedout"}, kinds
    assert len(ask(server, function, {"inputs": {"n": 4}})["outputs"]["y"]) == 100


# --- isolation

def workers(server):
    """Process ids of model workers below this server."""
    found = []
    for pid in descendants(server.process.pid):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("samovar-onnx"):
                found.append(pid)
        except OSError:
            pass
    return found


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":", 1) for line in text.splitlines())


def test_the_worker_is_in_a_sandbox_like_any_function(server, rows):
    ask(server, rows, {"instances": [[1, 1, 1, 1]]})
    mine = [pid for pid in workers(server)
            if f"AWS_LAMBDA_FUNCTION_NAME={rows}\0" in pathlib.Path(f"/proc/{pid}/environ").read_text()]
    programs = [(pid, status) for pid in mine if (status := status_of(pid))["NSpid"].split()[-1] != "1"]
    assert len(programs) >= 2  # the template and its clones; the process 1 of each runs no code but ours
    for pid, status in programs:
        assert set(status["Uid"].split()) != {"0"} and status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2" and int(status["CapEff"], 16) == 0
        for kind in ("mnt", "pid", "net", "ipc", "uts", "user"):
            assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
        assert status["Threads"].strip() == "1"  # with more it could not be cloned
