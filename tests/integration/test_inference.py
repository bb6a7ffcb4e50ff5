"""The Open Inference Protocol v2 over HTTP and gRPC, judged by NVIDIA's tritonclient."""

import json
import queue

import grpc
import numpy
import onnx.helper
import pytest
import tritonclient.grpc
import tritonclient.http
from google.protobuf.json_format import MessageToDict
from tritonclient.utils import InferenceServerException

from harness import pack, unique
from models import FLOAT, STRING, ask, build, column, deploy, files_of, identity, node, publish, scaled, trees_with_zipmap

X = numpy.array([[1, 2, 3, 4], [0.5, 0, -1, 1e3]], numpy.float32)
SUM = numpy.array([[10], [999.5]], numpy.float32)

COUNTS_CALLS = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    return {"outputs": [{"name": "calls", "shape": [1], "datatype": "INT64", "data": [calls]}]}
"""


class Door:
    """One of the two clients; both say the same in nearly the same words."""

    def __init__(self, kind, server):
        self.kind, self.library = kind, getattr(tritonclient, kind)
        config = server.get("/samovar/v1/config")
        address = config["grpc_listen"] if kind == "grpc" else server.endpoint.split("//")[1]
        self.client = self.library.InferenceServerClient(address)

    def infer(self, model, inputs, outputs=None, binary=True, **more):
        asked = []
        for name, data in inputs.items():
            name, shape, datatype, data = column(name, data)
            one = self.library.InferInput(name, shape, datatype)
            one.set_data_from_numpy(data, **({"binary_data": binary} if self.kind == "http" else {}))
            asked.append(one)
        wanted = [self.library.InferRequestedOutput(
            name, **({"binary_data": binary} if self.kind == "http" else {})) for name in outputs or []]
        return self.client.infer(model, asked, outputs=wanted or None, **more)

    def plain(self, answer):
        """JSON of an answer that one client gives as such and the other as a message."""
        if self.kind == "http":
            return answer
        return MessageToDict(answer, preserving_proto_field_name=True)


@pytest.fixture(params=["http", "grpc"])
def door(request, server):
    made = Door(request.param, server)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def rows(session_server):
    return deploy(session_server, Publish=True)


def refused(door, words, call):
    with pytest.raises(InferenceServerException) as failed:
        call()
    assert words in failed.value.message(), failed.value
    return failed.value


def test_health_and_metadata(server, door, rows):
    client = door.client
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(rows) and client.is_model_ready(rows, "1")
    about = door.plain(client.get_server_metadata())
    assert about["name"] == "samovar" and "binary_tensor_data" in about["extensions"]
    model = door.plain(client.get_model_metadata(rows))
    assert model["name"] == rows and model["versions"] == ["$LATEST", "1"]
    [x] = model["inputs"]
    assert x["name"] == "x" and x["datatype"] == "FP32" and [int(n) for n in x["shape"]] == [-1, 4]
    assert [(o["name"], o["datatype"]) for o in model["outputs"]] == [("sum", "FP32"), ("twice", "FP32")]
    config = door.plain(client.get_model_config(rows))
    config = config.get("config", config)
    assert config["name"] == rows and config["input"][0]["data_type"] == "TYPE_FP32"


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_binary_and_as_numbers(server, door, rows, binary):
    answer = door.infer(rows, {"x": X}, binary=binary, request_id="my-id")
    numpy.testing.assert_array_equal(answer.as_numpy("sum"), SUM)
    numpy.testing.assert_array_equal(answer.as_numpy("twice"), 2 * X)
    assert door.plain(answer.get_response())["id"] == "my-id"
    one = door.infer(rows, {"x": X}, ["sum"], binary=binary)
    numpy.testing.assert_array_equal(one.as_numpy("sum"), SUM)
    assert one.as_numpy("twice") is None


def test_all_doors_give_the_same_answer(server, rows):
    expected = numpy.array([row["twice"] for row in ask(server, rows, {"instances": X.tolist()})["predictions"]])
    for kind in ("http", "grpc"):
        numpy.testing.assert_array_equal(Door(kind, server).infer(rows, {"x": X}).as_numpy("twice"), expected)


NUMPY_TYPES = [numpy.bool_, numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.uint8, numpy.uint16, numpy.uint32,
               numpy.uint64, numpy.float16, numpy.float32, numpy.float64]


def test_every_type_that_the_protocol_has(server, door):
    for dtype in NUMPY_TYPES:
        function = deploy(server, identity(onnx.helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype)), ("N", 2)))
        data = numpy.array([[0, 1], [1, 0], [1, 1]], dtype)
        for binary in (True, False):
            if dtype is numpy.float16 and not binary:
                continue  # the client cannot say it
            got = door.infer(function, {"x": data}, binary=binary).as_numpy("y")
            assert got.dtype == data.dtype
            numpy.testing.assert_array_equal(got, data)
    function = deploy(server, identity(STRING, ("N",)))
    texts = numpy.array(["a".encode(), "é😀".encode(), b""], object)
    for binary in (True, False):
        got = door.infer(function, {"x": texts}, binary=binary).as_numpy("y")
        assert [t if isinstance(t, bytes) else t.encode() for t in got] == list(texts)


def test_a_classifiers_maps_as_a_tensor(server, door):
    function = deploy(server, trees_with_zipmap())
    answer = door.infer(function, {"x": numpy.array([[0, 0], [1, 0]], numpy.float32)})
    assert list(answer.as_numpy("label")) == [b"no", b"yes"]
    numpy.testing.assert_array_equal(answer.as_numpy("maps"), [[0.75, 0.25, 0], [0.125, 0, 0.875]])


def test_errors_name_the_input_what_was_expected_and_what_came(server, door, rows):
    refused(door, 'input "x": expected FP32[-1,4], got FP32[2,3]', lambda: door.infer(rows, {"x": X[:, :3]}))
    refused(door, 'input "x": expected FP32[-1,4], got the datatype "FP64"', lambda: door.infer(rows, {"x": X.astype(numpy.float64)}))
    refused(door, 'input "z" is not one of the model\'s: "x"', lambda: door.infer(rows, {"z": X}))
    refused(door, 'output "z" is not one of the model\'s', lambda: door.infer(rows, {"x": X}, ["z"]))
    nobody = unique()
    refused(door, f"unknown model '{nobody}'", lambda: door.infer(nobody, {"x": X}))
    refused(door, f"unknown model '{rows}', version '9'", lambda: door.infer(rows, {"x": X}, model_version="9"))
    assert not door.client.is_model_ready(nobody)


def test_binary_sizes_that_do_not_fit_are_refused(server, rows):
    def send(header, tail, length=None):
        head = json.dumps(header).encode()
        return server.raw("POST", f"/v2/models/{rows}/infer", head + tail, {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(head) if length is None else length)})

    def x(size, shape=(1, 4)):
        return {"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": size}}]}

    assert send(x(16), bytes(16)).status == 200
    for header, tail, length in ((x(16), bytes(12), None), (x(12), bytes(12), None), (x(16), bytes(20), None),
                                 (x(-1), bytes(16), None), (x(16), bytes(16), 10_000), (x(16), bytes(16), 3),
                                 (x(16, (1, -4)), bytes(16), None), (x(16, (2 ** 62, 4)), bytes(16), None)):
        answer = send(header, tail, length)
        assert answer.status == 400 and json.loads(answer.data)["error"], (header, answer.data)


def test_the_repository_lists_unloads_and_loads(server, door):
    function = deploy(server, scaled(3), Publish=True)
    client, data = door.client, {"x": numpy.ones((1, 2), numpy.float32)}

    def state():
        index = door.plain(client.get_model_repository_index())
        index = index if isinstance(index, list) else index["models"]
        return {(m["name"], m["version"]): m["state"] for m in index}[(function, "1")]

    assert state() == "READY"
    client.unload_model(function)
    assert state() == "UNAVAILABLE" and not client.is_model_ready(function)
    refused(door, f"model '{function}' is unloaded", lambda: door.infer(function, data))
    client.load_model(function)
    assert state() == "READY" and client.is_model_ready(function)
    numpy.testing.assert_array_equal(door.infer(function, data).as_numpy("y"), [[3, 3]])
    refused(door, "unknown model", lambda: client.load_model(unique()))


def test_what_cannot_be_loaded_is_not_ready(server, door):
    """From its first start on; of several versions the one that it is."""
    function = deploy(server, scaled(3), Publish=True)
    client, data = door.client, {"x": numpy.ones((1, 2), numpy.float32)}

    def listed(**more):
        index = door.plain(client.get_model_repository_index(**more))
        index = index if isinstance(index, list) else index["models"]
        return {m["version"]: (m["state"], m.get("reason", "")) for m in index if m["name"] == function}

    server.client().update_function_code(FunctionName=function, ZipFile=pack(files_of(b"no model")))
    server.updated(function)
    refused(door, "model.onnx", lambda: door.infer(function, data))
    assert not client.is_model_ready(function) and client.is_model_ready(function, "1")
    states = listed()
    assert states["1"] == ("READY", "")
    assert states["$LATEST"][0] == "UNAVAILABLE" and "Model.LoadFailed" in states["$LATEST"][1], states
    if door.kind == "http":
        answer = server.raw("GET", f"/v2/models/{function}/ready")
        assert answer.status == 503 and f"model '{function}' failed to load: Model.LoadFailed" in answer.data.decode()
        ready = json.loads(server.raw("POST", "/v2/repository/index", b'{"ready": true}').data)
        assert [m["version"] for m in ready if m["name"] == function] == ["1"]
    server.client().update_function_code(FunctionName=function, ZipFile=pack(files_of(scaled(2))))
    server.updated(function)
    assert client.is_model_ready(function) and listed()["$LATEST"] == ("READY", "")
    numpy.testing.assert_array_equal(door.infer(function, data).as_numpy("y"), [[2, 2]])


def test_a_request_of_nearly_64_mebibytes_is_answered(server, door):
    function = deploy(server, build([node("ReduceSum", ["x"], ["y"], keepdims=1)], [("x", FLOAT, ["N"])], [("y", FLOAT, [1])]),
                      MemorySize=1024)
    assert door.infer(function, {"x": numpy.ones(16_500_000, numpy.float32)}).as_numpy("y") == [16_500_000]


def test_versions_and_aliases_are_versions_of_the_protocol(server, door):
    function = deploy(server, scaled(1), Publish=True)
    second = publish(server, function, scaled(2))
    server.client().create_alias(FunctionName=function, Name="live", FunctionVersion=second)
    data = {"x": numpy.ones((1, 2), numpy.float32)}
    for version, want in (("1", 1), (second, 2), ("live", 2), ("", 2)):
        got = door.infer(function, data, model_version=version).as_numpy("y")
        numpy.testing.assert_array_equal(got, [[want, want]])


def test_a_function_can_stand_behind_the_protocol(server, door):
    code = """
def handler(event, context):
    data = event["inputs"][0]["data"]
    return {"model_name": "f", "outputs": [
        {"name": "n", "datatype": "INT64", "shape": [1], "data": [len(data)]}]}
"""
    function = unique()
    server.create(code, name=function)
    assert list(door.infer(function, {"x": X}).as_numpy("n")) == [8]


@pytest.fixture
def grpc_door(server):
    made = Door("grpc", server)
    yield made
    made.client.close()


def test_typed_contents_of_grpc_are_taken_or_refused_by_name(grpc_door, rows):
    messages = tritonclient.grpc.service_pb2

    def send(raw=(), **contents):
        tensor = messages.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])
        for field, values in contents.items():
            getattr(tensor.contents, field).extend(values)
        return grpc_door.client._client_stub.ModelInfer(
            messages.ModelInferRequest(model_name=rows, inputs=[tensor], raw_input_contents=raw))

    ones = numpy.ones(4, numpy.float32)
    for answer in (send(fp32_contents=ones), send([ones.tobytes()])):
        assert numpy.frombuffer(answer.raw_output_contents[0], numpy.float32) == [4]
    for words, more in (("x: contents and raw_input_contents are both given", {"raw": [ones.tobytes()], "fp32_contents": ones}),
                        ("x: contents hold values of another type than FP32", {"int_contents": [1, 1, 1, 1]}),
                        ("got 12 bytes for FP32[1,4]", {"fp32_contents": ones[:3]}),
                        ("expected 1, one an input, got 2", {"raw": [ones.tobytes()] * 2})):
        with pytest.raises(grpc.RpcError) as failed:
            send(**more)
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT and words in failed.value.details()


def test_a_stream_answers_in_order_and_goes_on_after_an_error(grpc_door, rows):
    done, client = queue.Queue(), grpc_door.client
    client.start_stream(lambda result, error: done.put((result, error)))
    for n, model in enumerate([rows, unique(), rows]):
        one = tritonclient.grpc.InferInput("x", [1, 4], "FP32")
        one.set_data_from_numpy(numpy.full((1, 4), n, numpy.float32))
        client.async_stream_infer(model, [one], request_id=str(n), enable_empty_final_response=n == 2)
    (first, _), (_, error), (last, _) = (done.get(timeout=60) for _ in range(3))
    assert "unknown model" in error.message()
    assert first.as_numpy("sum") == [[0]] and last.as_numpy("sum") == [[8]]
    assert [answer.get_response().id for answer in (first, last)] == ["0", "2"]
    assert "triton_final_response" not in first.get_response().parameters
    assert last.get_response().parameters["triton_final_response"].bool_param
    client.stop_stream()


def test_many_at_a_time_over_one_grpc_connection(server, rows):
    """Each answer is its own request's."""
    client = tritonclient.grpc.InferenceServerClient(server.get("/samovar/v1/config")["grpc_listen"])
    done = queue.Queue()
    for n in range(200):
        one = tritonclient.grpc.InferInput("x", [1, 4], "FP32")
        one.set_data_from_numpy(numpy.full((1, 4), n, numpy.float32))
        client.async_infer(rows, [one], lambda result, error, n=n: done.put((n, result, error)))
    for _ in range(200):
        n, result, error = done.get(timeout=60)
        assert error is None, error
        assert result.as_numpy("sum")[0][0] == 4 * n
    client.close()


def test_a_port_of_grpc_that_is_taken_is_told_in_one_line(fresh):
    logs = [fresh().log(), fresh().log()]  # with the default port, which one of them cannot have
    [told, *_] = [line for log in logs for line in log.splitlines() if "no gRPC" in line]
    assert "no gRPC: listen on 127.0.0.1:4567: the address is taken" in told
    assert not any("chttp2" in log for log in logs), logs


@pytest.mark.parametrize("datatype, values", [
    ("INT8", numpy.full(40_000_000, -100, numpy.int8)), ("FP32", numpy.full(10_000_000, 0.1, numpy.float32))])
def test_tensors_that_are_too_large_as_json_are_refused_and_the_instance_goes_on(server, door, datatype, values):
    name = unique("count")
    server.create(COUNTS_CALLS, name=name)
    assert door.infer(name, {"x": values[:3]}).as_numpy("calls")[0] == 1
    refusal = refused(door, "x: a function that is no model gets tensors as JSON, of which this request has more than 64 MiB",
                      lambda: door.infer(name, {"x": values}))
    assert refusal.status() == {"grpc": "StatusCode.RESOURCE_EXHAUSTED", "http": "413"}[door.kind]
    assert door.infer(name, {"x": values[:3]}).as_numpy("calls")[0] == 2
