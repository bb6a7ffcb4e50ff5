"""Models through Lambda's API: payloads, types, settings, hostile files, and all that functions have."""

import json
import lzma
import math
import threading

import numpy
import pytest
from botocore.exceptions import ClientError
from onnx import TensorProto, helper

from harness import ROLE, pack, unique, until
from models import (DATA, FLOAT, INT64, ROWS, STRING, ask, build, deploy, endless, fails, identity, node, publish, scaled,
                    trees_with_zipmap, value)

INVALID = "Model.InvalidInput"


@pytest.fixture(scope="module")
def rows(session_server):
    return deploy(session_server)


# --- payloads

def test_named_inputs_and_rows_get_outputs_and_predictions(server, rows):
    x = [[1, 2, 3, 4], [0.5, 0, -1, 1e3]]
    assert ask(server, rows, {"inputs": {"x": x}}) == {
        "outputs": {"sum": [[10], [999.5]], "twice": [[2, 4, 6, 8], [1, 0, -2, 2000]]}}
    assert ask(server, rows, {"inputs": {"x": x}, "outputs": ["sum"]}) == {"outputs": {"sum": [[10], [999.5]]}}
    assert ask(server, rows, {"instances": x}) == {"predictions": [
        {"sum": [10], "twice": [2, 4, 6, 8]}, {"sum": [999.5], "twice": [1, 0, -2, 2000]}]}
    assert ask(server, rows, {"instances": [{"x": x[0]}, {"x": x[1]}], "outputs": ["sum"]}) == {
        "predictions": [[10], [999.5]]}
    assert ask(server, rows, {"instances": []}) == {"predictions": []}


def test_errors_name_the_input_what_was_expected_and_what_came(server, rows):
    expected = 'input "x": expected FP32[-1,4], got FP32[1,3]'
    assert fails(server, rows, {"inputs": {"x": [[1, 2, 3]]}}, INVALID) == expected
    fails(server, rows, {"instances": [[1, 2, 3]]}, INVALID, expected)
    fails(server, rows, {"inputs": {"z": [[1]]}}, INVALID, 'input "z" is not one of the model\'s: "x"')
    fails(server, rows, {"inputs": {}}, INVALID, 'input "x" is missing: expected FP32[-1,4]')
    fails(server, rows, {"inputs": {"x": [["a", 1, 1, 1]]}}, INVALID, 'input "x": expected FP32[-1,4], got a string')
    fails(server, rows, {"inputs": {"x": [[1, 2, 3, 4], [1]]}}, INVALID, 'input "x"', "ragged", "1 items instead of 4")
    fails(server, rows, {"inputs": {"x": 7}}, INVALID, 'input "x"', "FP32[]")
    fails(server, rows, {"inputs": {"x": [[1, 2, 3, 4]]}, "outputs": ["z"]}, INVALID,
          'output "z" is not one of the model\'s: "sum", "twice"')
    fails(server, rows, {}, INVALID, '"instances"', '"inputs"')
    fails(server, rows, [1], INVALID, "must be an object")
    assert ask(server, rows, {"instances": [[1, 1, 1, 1]], "outputs": ["sum"]}) == {"predictions": [[4]]}


def test_each_error_counts_and_the_log_has_its_report(server, rows):
    answer = server.invoke(rows, {"inputs": {"x": [[1]]}}, LogType="Tail")
    assert answer.error == "Unhandled"
    assert f"START RequestId: {answer.request_id}" in answer.log
    assert f"REPORT RequestId: {answer.request_id}" in answer.log


# --- types

EXACT = {  # values that each type holds exactly
    "FLOAT": [0.5, -2.0, 1e3], "DOUBLE": [0.1, -2.5, 1e300], "FLOAT16": [0.5, -2.0, 1024.0],
    "BFLOAT16": [0.5, -2.0, 1024.0], "INT8": [-128, 0, 127], "UINT8": [0, 7, 255], "INT16": [-32768, 32767],
    "UINT16": [0, 65535], "INT32": [-(2 ** 31), 2 ** 31 - 1], "UINT32": [0, 2 ** 32 - 1],
    "INT64": [-(2 ** 63), 2 ** 63 - 1], "UINT64": [0, 2 ** 64 - 1], "BOOL": [True, False], "STRING": ["", "é😀", "a\u0000b"],
    "COMPLEX64": [[0.5, -1.0], [2.0, 0.0]], "COMPLEX128": [[0.1, -1.0], [2.0, 0.0]],
    "FLOAT8E4M3FN": [0.5, -2.0, 16.0], "FLOAT8E4M3FNUZ": [0.5, -2.0, 16.0], "FLOAT8E5M2": [0.5, -2.0, 16.0],
    "FLOAT8E5M2FNUZ": [0.5, -2.0, 16.0], "INT4": [-8, 0, 7], "UINT4": [0, 3, 15], "FLOAT4E2M1": [0.5, -2.0, 6.0],
    "INT2": [-2, 1, 0, 1, -1], "UINT2": [0, 3, 1, 2, 3],
}


def runs_alone(model):
    import onnxruntime
    try:
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime has no common base for its errors
        return False
    return True


def test_every_tensor_type_comes_back_as_it_went(server):
    names = [name for name in TensorProto.DataType.keys() if name in EXACT]
    assert len(names) >= 23
    served = 0
    for name in names:
        number = TensorProto.DataType.Value(name)
        model = next((m for m in (identity(number, opset=o) for o in (21, 23, 25)) if runs_alone(m)), None)
        if model is None:
            continue
        served += 1
        function = deploy(server, model)
        data = EXACT[name]
        got = ask(server, function, {"inputs": {"x": data}})["outputs"]["y"]
        assert got == data, name
        if name not in ("STRING", "BOOL") and not isinstance(data[0], list):
            fails(server, function, {"inputs": {"x": ["q"]}}, INVALID, 'input "x"', "got a string")
    assert served >= 18, served


def test_floats_that_json_has_no_number_for(server):
    function = deploy(server, identity(FLOAT))
    answer = ask(server, function, {"inputs": {"x": ["NaN", None, "Infinity", "-Infinity", 1e39]}})
    got = [float(v) for v in answer["outputs"]["y"]]
    assert math.isnan(got[0]) and math.isnan(got[1]) and got[2:] == [math.inf, -math.inf, math.inf]


def test_whole_numbers_out_of_range_and_fractions_are_refused(server):
    function = deploy(server, identity(TensorProto.INT8))
    for wrong in (128, -129, 0.5, 2 ** 60):
        fails(server, function, {"inputs": {"x": [wrong]}}, INVALID, 'input "x"', "INT8")
    assert ask(server, function, {"inputs": {"x": [1.0]}}) == {"outputs": {"y": [1]}}


def test_dynamic_dimensions_scalars_and_empty_tensors(server):
    model = build([node("Concat", ["a", "b"], ["c"], axis=1), node("Shape", ["c"], ["s"])],
                  [("a", FLOAT, ["R", "A"]), ("b", FLOAT, ["R", "B"])], [("c", FLOAT, ["R", None]), ("s", INT64, [2])])
    function = deploy(server, model)
    got = ask(server, function, {"inputs": {"a": [[1], [2]], "b": [[3, 4], [5, 6]]}})["outputs"]
    assert got == {"c": [[1, 3, 4], [2, 5, 6]], "s": [2, 3]}
    assert ask(server, function, {"inputs": {"a": [], "b": []}})["outputs"]["s"] == [0, 0]
    fails(server, function, {"inputs": {"a": [[1], [2]], "b": [[3]]}}, "Model.RunFailed")
    scalar = deploy(server, build([node("Neg", ["x"], ["y"])], [("x", FLOAT, [])], [("y", FLOAT, [])]))
    assert ask(server, scalar, {"inputs": {"x": 3}}) == {"outputs": {"y": -3}}


def test_optional_inputs_and_inputs_with_defaults(server):
    with_default = build([node("Mul", ["x", "by"], ["y"])], [("x", FLOAT, ["N"]), ("by", FLOAT, [1])],
                         [("y", FLOAT, ["N"])], [helper.make_tensor("by", FLOAT, [1], [3])])
    function = deploy(server, with_default)
    assert ask(server, function, {"inputs": {"x": [1, 2]}}) == {"outputs": {"y": [3, 6]}}
    assert ask(server, function, {"inputs": {"x": [1, 2], "by": [10]}}) == {"outputs": {"y": [10, 20]}}
    optional = helper.make_value_info("x", helper.make_optional_type_proto(
        helper.make_tensor_type_proto(FLOAT, ["N"])))
    has = deploy(server, build([node("OptionalHasElement", ["x"], ["there"])], [optional],
                               [("there", TensorProto.BOOL, [])], opset=18))
    assert ask(server, has, {"inputs": {"x": [1.5]}}) == {"outputs": {"there": True}}
    assert ask(server, has, {"inputs": {}}) == {"outputs": {"there": False}}
    assert ask(server, has, {"inputs": {"x": None}}) == {"outputs": {"there": False}}


def test_sequences_go_in_and_out(server):
    sequence = helper.make_value_info("xs", helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(INT64, ["N"])))
    at = build([node("SequenceAt", ["xs", "i"], ["x"]), node("SequenceLength", ["xs"], ["n"])],
               [sequence, value("i", INT64, [])], [("x", INT64, ["N"]), ("n", INT64, [])])
    function = deploy(server, at)
    assert ask(server, function, {"inputs": {"xs": [[1], [2, 3]], "i": 1}})["outputs"] == {"x": [2, 3], "n": 2}
    split = helper.make_value_info("ys", helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None)))
    function = deploy(server, build([node("SplitToSequence", ["x"], ["ys"], axis=0, keepdims=0)],
                                    [("x", FLOAT, ["N", 2])], [split]))
    assert ask(server, function, {"inputs": {"x": [[1, 2], [3, 4]]}}) == {"outputs": {"ys": [[1, 2], [3, 4]]}}


def test_a_sequence_may_be_empty(server):
    for element in (FLOAT, STRING, INT64):
        sequence = helper.make_value_info("xs", helper.make_sequence_type_proto(helper.make_tensor_type_proto(element, None)))
        function = deploy(server, build([node("SequenceLength", ["xs"], ["n"])], [sequence], [("n", INT64, [])]))
        one = ["a"] if element == STRING else [1]
        for xs in ([], [one], [], [one, one]):
            assert ask(server, function, {"inputs": {"xs": xs}}) == {"outputs": {"n": len(xs)}}


def test_a_classifiers_maps_come_as_objects(server):
    function = deploy(server, trees_with_zipmap())
    no, yes = {"no": 0.75, "perhaps": 0.25, "yes": 0}, {"no": 0.125, "perhaps": 0, "yes": 0.875}
    assert ask(server, function, {"instances": [[0, 0], [1, 0]]}) == {"predictions": [
        {"label": "no", "maps": no}, {"label": "yes", "maps": yes}]}
    assert ask(server, function, {"inputs": {"x": [[1, 0]]}})["outputs"] == {"label": ["yes"], "maps": [yes]}


def test_several_inputs_as_rows(server):
    model = build([node("Concat", ["n", "m"], ["y"], axis=1)], [("n", FLOAT, ["N", 1]), ("m", FLOAT, ["N", 2])],
                  [("y", FLOAT, ["N", 3])])
    function = deploy(server, model)
    want = {"predictions": [[1, 2, 3], [4, 5, 6]]}
    assert ask(server, function, {"instances": [[1, 2, 3], [4, 5, 6]]}) == want
    assert ask(server, function, {"instances": [{"n": [1], "m": [2, 3]}, {"n": [4], "m": [5, 6]}]}) == want
    fails(server, function, {"instances": [[1, 2]]}, INVALID, 'input "m"', "rows of 2 values")
    fails(server, function, {"instances": [{"n": [1], "m": [2, 3]}, {"n": [4]}]}, INVALID, "instance 1", '"m"')


@pytest.mark.parametrize("name", ["linreg_pipeline", "rf200"])
def test_scikit_learns_own_answers(server, name):
    """Models that others made, and what scikit-learn answers to the same rows."""
    model = lzma.decompress((DATA / f"{name}.onnx.xz").read_bytes())
    sample = json.loads((DATA / f"{name}_sample.json").read_text())
    function = deploy(server, model, MemorySize=1024)
    got = numpy.ravel(ask(server, function, {"instances": sample["X"]})["predictions"])
    assert numpy.max(numpy.abs(got - sample["y"]) / numpy.maximum(1, numpy.abs(sample["y"]))) < 1e-4


# --- what the package says

def test_settings_defaults_threads_and_warm_up_rows(server):
    model = build([node("Concat", ["n", "m"], ["y"], axis=1)], [("n", FLOAT, ["N", 1]), ("m", FLOAT, ["N", 2])],
                  [("y", FLOAT, ["N", 3])])
    settings = """
threads: 2
batching: {mode: "on", max_size: 16, max_delay_us: 500}
max_outstanding: 8
inputs:
  m: {default: [7, 8]}
warm_up:
  - {inputs: {n: [[1]]}}
  - {instances: [{n: [1], m: [2, 3]}]}
"""
    function = deploy(server, model, settings)
    assert ask(server, function, {"inputs": {"n": [[1], [2]]}})["outputs"]["y"] == [[1, 7, 8], [2, 7, 8]]
    assert ask(server, function, {"inputs": {"n": [[1]], "m": [[0, 0]]}})["outputs"]["y"] == [[1, 0, 0]]


@pytest.mark.parametrize("settings, kind, words", [
    ("threads: 0", "Model.InvalidSettings", "threads must be a whole number from 1 to 64"),
    ("colour: red", "Model.InvalidSettings", "colour is not known"),
    ("batching: {mode: maybe}", "Model.InvalidSettings", "batching.mode must be auto, on or off"),
    ("inputs: {z: {default: 1}}", "Model.InvalidSettings", 'inputs.z.default: input "z" is not one of the model\'s'),
    ("inputs: {x: {default: [1]}}", "Model.InvalidSettings", 'inputs.x.default: input "x": expected FP32'),
    ("warm_up: [{inputs: {x: [[1]]}}]", "Model.WarmUpFailed", 'event 1 of warm_up: input "x": expected FP32[-1,4]'),
    ("a: [", "Model.InvalidSettings", "cannot be read"),
    ("execution_providers: [cuda]", "Model.NoSuchProvider", "the execution provider cuda is not on this host"),
])
def test_wrong_settings_are_named(server, settings, kind, words):
    function = deploy(server, ROWS, settings)
    fails(server, function, {"instances": [[1, 2, 3, 4]]}, kind, words)


def test_the_cpu_can_be_asked_for_by_name(server):
    function = deploy(server, ROWS, "execution_providers: [CPU]")
    assert ask(server, function, {"instances": [[1, 1, 1, 1]], "outputs": ["sum"]}) == {"predictions": [[4]]}


def test_a_package_without_a_model_is_refused(server):
    with pytest.raises(ClientError) as refused:
        server.client().create_function(FunctionName=unique(), Runtime="onnx", Role=ROLE, Handler="model.onnx",
                                        Code={"ZipFile": pack({"app.py": "x"})})
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert "model.onnx" in refused.value.response["Error"]["Message"]


# --- what functions have

def test_versions_aliases_and_weights(server):
    function = deploy(server, scaled(1), Publish=True)
    second = publish(server, function, scaled(2))
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1",
                     RoutingConfig={"AdditionalVersionWeights": {second: 0.5}})
    event = {"instances": [[1, 1]]}
    assert ask(server, f"{function}:1", event) == {"predictions": [[1, 1]]}
    assert ask(server, f"{function}:{second}", event) == {"predictions": [[2, 2]]}
    seen = {}
    for _ in range(200):
        answer = server.invoke(f"{function}:live", event)
        seen.setdefault(answer.version, []).append(answer.payload["predictions"][0][0])
    assert set(seen) == {"1", second} and set(seen["1"]) == {1} and set(seen[second]) == {2}
    assert 50 < len(seen["1"]) < 150


def test_reserved_concurrency_counts_requests_not_instances(server):
    function = deploy(server, endless(), Timeout=10)
    ask(server, function, {"inputs": {"n": 1}})
    lam = server.client()
    lam.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=2)
    codes, lock = [], threading.Lock()

    def call():
        try:
            result = server.invoke(function, {"inputs": {"n": 100_000}}).error
        except ClientError as error:
            result = error.response["Error"]["Code"]
        with lock:
            codes.append(result)

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count("TooManyRequestsException") >= 1 and codes.count("") >= 2
    assert set(codes) == {"", "TooManyRequestsException"}


def test_provisioned_concurrency_has_workers_ready(server):
    function = deploy(server, ROWS, Publish=True)
    lam = server.client()
    lam.put_provisioned_concurrency_config(FunctionName=function, Qualifier="1", ProvisionedConcurrentExecutions=2)
    until(lambda: lam.get_provisioned_concurrency_config(FunctionName=function, Qualifier="1")["Status"] == "READY", 60)
    answer = server.invoke(f"{function}:1", {"instances": [[1, 1, 1, 1]]}, LogType="Tail")
    assert not answer.error and "Init Duration" not in answer.log
    lam.delete_provisioned_concurrency_config(FunctionName=function, Qualifier="1")


def test_an_event_reaches_a_model(server):
    function = deploy(server, ROWS)
    lam = server.client()
    assert lam.invoke(FunctionName=function, InvocationType="Event",
                      Payload=b'{"instances": [[1,1,1,1]]}')["StatusCode"] == 202
    until(lambda: [row["invocations"] for row in server.get(f"/samovar/v1/usage?function={function}")["usage"]] == [1])
