"""The model worker alone: what becomes of requests whose time runs out beside others."""

import onnx
from onnx import TensorProto, helper

from channel import ERROR, RESPONSE, SHUTDOWN
from conftest import BUILT

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def loops():
    """x (N, 1) to y, the same: after as many steps as the largest of all rows."""
    value, node = helper.make_tensor_value_info, helper.make_node
    step = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("Sin", ["v"], ["v2"])], "step",
        [value("i", INT64, []), value("c", TensorProto.BOOL, []), value("v", FLOAT, [])],
        [value("c2", TensorProto.BOOL, []), value("v2", FLOAT, [])])
    constants = [helper.make_tensor("true", TensorProto.BOOL, [], [True]), helper.make_tensor("zero", FLOAT, [], [0.0])]
    nodes = [node("ReduceMax", ["x"], ["largest"], keepdims=0), node("Cast", ["largest"], ["steps"], to=INT64),
             node("Loop", ["steps", "true", "zero"], ["looped"], body=step), node("Add", ["x", "looped"], ["y"])]
    graph = helper.make_graph(nodes, "g", [value("x", FLOAT, ["N", 1])], [value("y", FLOAT, ["N", 1])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_a_batch_that_one_held_up_is_run_again_for_those_with_time(start, tmp_path):
    onnx.save(loops(), tmp_path / "model.onnx")
    worker = start([BUILT / "onnx/samovar-onnx"], tmp_path, handler="model.onnx")
    worker.ready()
    assert "batching is on" in worker.log(until="batching is")
    # The first holds up the worker while the others come, which are one batch.
    worker.send_event({"instances": [[1e12]]}, request_id="first", seconds=1)
    for name, steps, seconds in (("slow", 1e12, 3), ("quick", 2, 60), ("quicker", 1, 50)):
        worker.send_event({"instances": [[steps]]}, request_id=name, seconds=seconds)
    answers = {}
    for _ in range(4):
        frame = worker.recv()
        answers[frame.meta[1]] = frame
    for name in ("first", "slow"):
        assert answers[name].kind == ERROR and answers[name].json["errorType"] == "Sandbox.Timedout", answers
    for name, steps in (("quick", 2), ("quicker", 1)):
        assert answers[name].kind == RESPONSE and answers[name].json == {"predictions": [[steps]]}, answers
    worker.send(SHUTDOWN)
    assert worker.exit_code() == 0
