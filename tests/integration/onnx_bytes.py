"""The smallest ONNX models, written as the protocol buffers they are, so that tests need no package for it.

Field numbers from onnx.proto: ModelProto 1 ir_version, 7 graph, 8 opset_import; GraphProto 1 node, 2 name,
5 initializer, 11 input, 12 output; TensorProto 1 dims, 2 data_type, 8 name, 9 raw_data, 13 external_data,
14 data_location.
"""

import struct

FLOAT = 1


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def value_info(name, shape):
    """Of floats; a text in the shape is the name of an open dimension."""
    dims = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def node(kind, inputs, output):
    return field(1, b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, kind))


def sum_model(features, weight=1.0, data_file=None, flat=False):
    """X [rows, features] to y [rows, 1], or [rows] where `flat`: the row's sum times `weight`. With `data_file` the
    weights lie in that file: answers (model, weights)."""
    raw = struct.pack("<f", weight) * features
    column = [] if flat else [1]
    tensor = b"".join(field(1, d) for d in [features, *column]) + field(2, FLOAT) + field(8, "w")
    if data_file:
        tensor += field(13, field(1, "location") + field(2, data_file)) + field(14, 1)
    else:
        tensor += field(9, raw)
    graph = (node("MatMul", ["X", "w"], "y") + field(2, "sum") + field(5, tensor) +
             field(11, value_info("X", ["rows", features])) + field(12, value_info("y", ["rows", *column])))
    model = field(1, 8) + field(7, graph) + field(8, field(2, 13))
    return (model, raw) if data_file else model
