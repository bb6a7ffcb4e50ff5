"""Models for the tests, made with PyPI's onnx; how they are deployed and asked."""

import json
import pathlib

import numpy
import onnx
from onnx import TensorProto, helper
from tritonclient.utils import np_to_triton_dtype

from harness import pack, unique

DATA = pathlib.Path(__file__).with_name("data")
ROWS = (DATA / "rows_model.onnx").read_bytes()  # x (N, 4) to sum (N, 1) and twice (N, 4)
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
value = helper.make_tensor_value_info
node = helper.make_node


def build(nodes, inputs, outputs, initializers=(), opset=21, domains=(), functions=()):
    """A model file's bytes. Inputs and outputs: (name, type, shape) or value infos."""
    infos = [[entry if isinstance(entry, onnx.ValueInfoProto) else value(*entry) for entry in side]
             for side in (inputs, outputs)]
    graph = helper.make_graph(list(nodes), "g", *infos, list(initializers))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, v) for d, v in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10,
                             functions=list(functions)).SerializeToString()


def scaled(by, width=2):
    """x (N, width) to y, x times `by`."""
    factor = helper.make_tensor("by", FLOAT, [], [by])
    return build([node("Mul", ["x", "by"], ["y"])], [("x", FLOAT, ["N", width])],
                 [("y", FLOAT, ["N", width])], [factor])


def identity(element_type, shape=("N",), opset=21):
    return build([node("Identity", ["x"], ["y"])], [("x", element_type, list(shape))],
                 [("y", element_type, list(shape))], opset=opset)


def trees_with_zipmap():
    """A classifier as skl2onnx makes one: x (N, 2) to label and a sequence of maps."""
    trees = node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", post_transform="NONE",
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0],
        nodes_values=[0.5, 0.0, 0.0], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0, 0, 0], class_nodeids=[1, 1, 2, 2], class_ids=[0, 1, 0, 2],
        class_weights=[0.75, 0.25, 0.125, 0.875], classlabels_strings=["no", "perhaps", "yes"])
    zipmap = node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_strings=["no", "perhaps", "yes"])
    maps = helper.make_value_info("maps", helper.make_sequence_type_proto(
        helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, []))))
    return build([trees, zipmap], [("x", FLOAT, ["N", 2])], [value("label", STRING, ["N"]), maps],
                 domains=[("ai.onnx.ml", 3)], opset=17)


def endless():
    """n (int64) to y: a loop of so many steps."""
    step = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("Sin", ["v"], ["v2"])], "step",
        [value("i", INT64, []), value("c", TensorProto.BOOL, []), value("v", FLOAT, [100])],
        [value("c2", TensorProto.BOOL, []), value("v2", FLOAT, [100])])
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    begin = helper.make_tensor("begin", FLOAT, [100], [0.0] * 100)
    return build([node("Loop", ["n", "true", "begin"], ["y"], body=step)], [("n", INT64, [])], [("y", FLOAT, [100])],
                 [true, begin])


def files_of(model, settings=None, **more):
    files = {"model.onnx": model, **more}
    if settings is not None:
        files["samovar.yaml"] = settings
    return files


def deploy(server, model=ROWS, settings=None, name=None, files=None, **more):
    """A function of runtime onnx; its name."""
    name = name or unique("model")
    more.setdefault("MemorySize", 512)
    server.create(files_of(model, settings, **(files or {})), name=name, runtime="onnx",
                  handler="model.onnx", **more)
    return name


def publish(server, name, model, settings=None):
    """The number of a new version with another model."""
    lam = server.client()
    lam.update_function_code(FunctionName=name, ZipFile=pack(files_of(model, settings)))
    server.updated(name)
    return lam.publish_version(FunctionName=name)["Version"]


def ask(server, name, event, **more):
    """The answer of a model that must not fail."""
    answer = server.invoke(name, event, **more)
    assert not answer.error, answer.payload
    return answer.payload


def fails(server, name, event, kind, *words):
    answer = server.invoke(name, event)
    assert answer.error == "Unhandled", answer.payload
    assert answer.payload["errorType"] == kind, answer.payload
    for word in words:
        assert word in answer.payload["errorMessage"], answer.payload
    return answer.payload["errorMessage"]


def instance_ids(server, function):
    """Of those that serve; a template and spares do not."""
    listed = server.get("/samovar/v1/instances")["instances"]
    return [i["id"] for i in listed if i["function"] == function and i["state"] not in ("template", "spare")]


def column(name, data):
    """A Triton tensor's arguments of a numpy array."""
    data = numpy.asarray(data)
    return name, list(data.shape), np_to_triton_dtype(data.dtype), data


def body(event):
    return json.dumps(event).encode()
