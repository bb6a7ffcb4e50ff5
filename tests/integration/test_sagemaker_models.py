"""Models behind SageMaker's door: CSV, npy, streams, variants, serverless, turns; judged by boto3."""

import io
import json
import threading

import numpy
import pytest

from errors import refused
from harness import arn
from models import ROWS, body, deploy, publish, scaled, trees_with_zipmap
from sagemaker import call, config_of, endpoint_of, in_service, model_of

X = numpy.array([[1, 2, 3, 4], [0.5, 0, -1, 1e3]], numpy.float32)


def npy(array):
    out = io.BytesIO()
    numpy.save(out, array)
    return out.getvalue()


def from_npy(data):
    return numpy.load(io.BytesIO(data), allow_pickle=False)


@pytest.fixture(scope="module")
def two(session_server):
    """x (N, 2) to y, x times 2."""
    return deploy(session_server, scaled(2), Publish=True)


def test_a_model_without_an_endpoint_is_called_by_its_name(server, runtime, two):
    answer = call(runtime, two, body({"instances": [[1, 2]]}))
    assert json.loads(answer["Body"]) == {"predictions": [[2, 4]]}
    assert answer["ContentType"] == "application/json" and answer["InvokedProductionVariant"] == "AllTraffic"


def test_json_csv_and_npy_in_every_pairing(server, runtime, two):
    x = numpy.array([[1, 2], [0.5, -3]], numpy.float32)
    sent = {"application/json": body({"instances": x.tolist()}), "text/csv": b"1,2\n0.5,-3\n",
            "application/x-npy": npy(x)}
    for kind, data in sent.items():
        for accept in (*sent, None):
            more = {"Accept": accept} if accept else {}
            answer = call(runtime, two, data, ContentType=kind, **more)
            want = accept or kind
            assert answer["ContentType"].split(";")[0] == want, (kind, accept)
            got = {"application/json": lambda b: json.loads(b)["predictions"],
                   "text/csv": lambda b: numpy.loadtxt(io.BytesIO(b), delimiter=",", ndmin=2),
                   "application/x-npy": from_npy}[want](answer["Body"])
            numpy.testing.assert_array_equal(got, 2 * x)


def test_csv_with_a_header_and_what_is_wrong_with_others(server, runtime, two):
    answer = call(runtime, two, b"a,b\n1,2\n", ContentType="text/csv; header=present")
    assert answer["Body"].strip() == b"2,4"
    for data, words in ((b"1,2\n3\n", "2"), (b"1,x\n", "x"), (b"1,2,3\n", "3")):
        with refused("ModelError", 424) as failed:
            call(runtime, two, data, ContentType="text/csv")
        response = failed.value.response
        assert response["OriginalStatusCode"] == 400 and words in response["OriginalMessage"], response


def test_npy_of_other_types_orders_and_what_is_wrong(server, runtime, two):
    x = numpy.array([[1, 2], [3, 4]], numpy.float32)
    for data in (x, numpy.asfortranarray(x), x.astype(">f4"), x.astype(numpy.float64), x.astype(numpy.int64)):
        answer = call(runtime, two, npy(data), ContentType="application/x-npy")
        numpy.testing.assert_array_equal(from_npy(answer["Body"]), 2 * x)
    pickled = io.BytesIO()
    numpy.save(pickled, numpy.array([{"a": 1}], object), allow_pickle=True)
    for data in (b"", b"\x93NUMPY", npy(x)[:-3], npy(x[:, :1]), pickled.getvalue(), npy(x) + b"more"):
        with refused("ModelError", 424) as failed:
            call(runtime, two, data, ContentType="application/x-npy")
        assert failed.value.response["OriginalStatusCode"] == 400, data


def test_types_that_are_not_known(server, runtime, two):
    with refused("ModelError", 424) as failed:
        call(runtime, two, b"1", ContentType="application/x-mine")
    assert "application/x-mine" in failed.value.response["OriginalMessage"]


def test_a_classifier_as_csv(server, runtime):
    function = deploy(server, trees_with_zipmap())
    answer = call(runtime, function, b"0,0\n1,0\n", ContentType="text/csv")
    assert answer["Body"].decode().split() == ["no,0.75,0.25,0", "yes,0.125,0,0.875"]


def test_an_answer_can_be_streamed(server, runtime, two):
    stream = runtime.invoke_endpoint_with_response_stream(
        EndpointName=two, Body=body({"instances": [[1, 2]]}), ContentType="application/json")["Body"]
    data = b"".join(event["PayloadPart"]["Bytes"] for event in stream)
    assert json.loads(data) == {"predictions": [[2, 4]]}


def test_variants_share_by_weight_and_each_is_a_model(server, control, runtime):
    first, second = deploy(server, scaled(1), Publish=True), deploy(server, scaled(5), Publish=True)
    endpoint = endpoint_of(control, config_of(control, ("a", model_of(control, arn(first, 1)), 1),
                                              ("b", model_of(control, arn(second, 1)), 3)))
    seen = {"a": 0, "b": 0}
    for _ in range(120):
        answer = call(runtime, endpoint, body({"instances": [[1, 1]]}))
        variant = answer["InvokedProductionVariant"]
        assert json.loads(answer["Body"])["predictions"] == [[1, 1] if variant == "a" else [5, 5]]
        seen[variant] += 1
    assert 10 < seen["a"] < 60
    named = call(runtime, endpoint, body({"instances": [[1, 1]]}), TargetVariant="a")
    assert json.loads(named["Body"])["predictions"] == [[1, 1]]


def test_a_serverless_endpoint(server, control, runtime, two):
    model = model_of(control, arn(two, 1))
    control.create_endpoint_config(EndpointConfigName=f"{two}-serverless", ProductionVariants=[
        {"VariantName": "v", "ModelName": model, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}])
    endpoint = endpoint_of(control, f"{two}-serverless")
    answer = call(runtime, endpoint, b"1,2\n", ContentType="text/csv")
    assert answer["Body"].strip() == b"2,4" and answer["InvokedProductionVariant"] == "v"


def test_an_endpoint_turns_to_another_model_without_a_failed_call(server, control, runtime):
    function = deploy(server, scaled(1), Publish=True)
    second = publish(server, function, scaled(2))
    configs = [config_of(control, ("v", model_of(control, arn(function, v)), 1)) for v in ("1", second)]
    endpoint = endpoint_of(control, configs[0])
    stop, seen, failures = threading.Event(), set(), []

    def ask():
        while not stop.is_set():
            try:
                seen.add(json.loads(call(runtime, endpoint, body({"instances": [[1, 1]]}))["Body"])["predictions"][0][0])
            except Exception as error:  # reported below
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for config in (configs[1], configs[0], configs[1]):
        control.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        in_service(control, endpoint)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert seen == {1, 2}
    assert json.loads(call(runtime, endpoint, body({"instances": [[1, 1]]}))["Body"])["predictions"] == [[2, 2]]


def test_a_turn_to_a_model_that_cannot_be_loaded_leaves_what_serves(server, control, runtime, two):
    broken = deploy(server, ROWS[:-20], Publish=True)
    endpoint = endpoint_of(control, config_of(control, ("v", model_of(control, arn(two, 1)), 1)))
    control.update_endpoint(EndpointName=endpoint, EndpointConfigName=config_of(
        control, ("v", model_of(control, arn(broken, 1)), 1)))
    in_service(control, endpoint)
    known = control.describe_endpoint(EndpointName=endpoint)
    assert "model.onnx" in known["FailureReason"]
    assert json.loads(call(runtime, endpoint, body({"instances": [[1, 1]]}))["Body"])["predictions"] == [[2, 2]]
