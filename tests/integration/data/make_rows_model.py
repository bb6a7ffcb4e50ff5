"""Writes rows_model.onnx with PyPI's onnx: x (N, 4) to sum, the sum of each row, and twice, 2 x.

    pip install onnx && python tests/integration/data/make_rows_model.py
"""

import pathlib

from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT
graph = helper.make_graph(
    [helper.make_node("Add", ["x", "x"], ["twice"]),
     helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1)],
    "rows",
    [helper.make_tensor_value_info("x", FLOAT, ["N", 4])],
    [helper.make_tensor_value_info("sum", FLOAT, ["N", 1]), helper.make_tensor_value_info("twice", FLOAT, ["N", 4])],
    [helper.make_tensor("axes", TensorProto.INT64, [1], [1])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
pathlib.Path(__file__).with_name("rows_model.onnx").write_bytes(model.SerializeToString())
