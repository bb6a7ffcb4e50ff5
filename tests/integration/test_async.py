"""Events: accepted once they are on disk, run at least once, retried, aged, sent on."""

import json
import threading

import pytest
from botocore.exceptions import ClientError

from errors import BAD, refused
from harness import arn, unique, until

# Counts its calls where a later call can ask: in the log, since an event's answer goes nowhere.
# The line is on disk (within 200 ms) before the event's end can be: else a kill -9 between the two
# would look like a lost event.
RECORDING = """
import time
def handler(event, context):
    print("GOT", event.get("mark"), context.aws_request_id, flush=True)
    time.sleep(event.get("hold", 0))
    if event.get("fail"):
        raise ValueError("as asked")
    return {"answer": event.get("mark")}
"""
COLLECT = """
import json
def handler(event, context):
    print("RECORD", json.dumps(event))
"""


def lines(server, function, word):
    reply = server.raw("GET", f"/samovar/v1/logs/{function}")
    assert reply.status == 200, reply.data
    found = [json.loads(line)["message"] for line in reply.data.splitlines() if line]
    return [line for line in found if line.startswith(word)]


@pytest.fixture
def recording(server, name):
    server.create(RECORDING, name=name)
    return name


@pytest.fixture
def collector(server):
    function = unique("collector")
    server.create(COLLECT, name=function)
    return function


def send(server, function, event, **more):
    reply = server.client().invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event), **more)
    assert reply["StatusCode"] == 202 and reply["Payload"].read() == b""
    return reply["ResponseMetadata"]["RequestId"]


def records(server, collector, count=1):
    def enough():
        found = lines(server, collector, "RECORD")
        return found if len(found) >= count else None

    return [json.loads(line.split(" ", 1)[1]) for line in until(enough, 60, "a record")]


def hold(server, function, seconds):
    """Takes the function's only instance for so long."""
    server.client().put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    call = threading.Thread(target=server.invoke, args=(function, {"mark": "hold", "hold": seconds}))
    call.start()
    until(lambda: any(i["function"] == function and i["state"] == "busy"
                      for i in server.get("/samovar/v1/instances")["instances"]), 60, "the held instance")
    return call


@pytest.fixture(scope="module", autouse=True)
def aged(request, session_server):
    """An event that grows too old while the other tests run, its function, and where the record of it goes."""
    if not any("too_old" in item.name for item in request.session.items):
        yield None
        return
    server, function, collector = session_server, unique("aged"), unique("collector")
    server.create(COLLECT, name=collector)
    server.create(RECORDING, name=function, Timeout=100)
    server.client().put_function_event_invoke_config(
        FunctionName=function, MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": arn(collector)}})
    call = hold(server, function, 45)  # the wait after the throttle at 31 s would pass the 60
    send(server, function, {"mark": "old"})
    yield function, collector, call


def test_an_event_runs_once_with_its_request_id(server, recording):
    request = send(server, recording, {"mark": "a"})
    assert until(lambda: lines(server, recording, "GOT"), 60) == [f"GOT a {request}"]


def test_a_failing_event_is_tried_three_times(server, recording):
    request = send(server, recording, {"mark": "b", "fail": 1})
    until(lambda: len(lines(server, recording, "GOT")) == 3, 60, "three tries")
    assert lines(server, recording, "GOT") == [f"GOT b {request}"] * 3  # the same id each time


@pytest.mark.parametrize("retries", [0, 1])
def test_fewer_retries_and_the_failure_destination(server, lam, recording, collector, retries):
    lam.put_function_event_invoke_config(
        FunctionName=recording, MaximumRetryAttempts=retries,
        DestinationConfig={"OnFailure": {"Destination": arn(collector)}})
    request = send(server, recording, {"mark": "c", "fail": 1})
    record = records(server, collector)[0]
    assert record["version"] == "1.0" and record["requestPayload"] == {"mark": "c", "fail": 1}
    context = record["requestContext"]
    assert context["requestId"] == request and context["functionArn"] == arn(recording, "$LATEST")
    assert context["condition"] == "RetriesExhausted"
    assert context["approximateInvokeCount"] == retries + 1
    assert record["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert len(lines(server, recording, "GOT")) == retries + 1


def test_the_success_destination(server, lam, recording, collector):
    lam.put_function_event_invoke_config(
        FunctionName=recording, DestinationConfig={"OnSuccess": {"Destination": arn(collector)}})
    send(server, recording, {"mark": "d"})
    record = records(server, collector)[0]
    assert record["requestContext"]["condition"] == "Success"
    assert record["responsePayload"] == {"answer": "d"}


def test_the_dead_letter_target(server, lam, recording, collector):
    lam.update_function_configuration(FunctionName=recording, DeadLetterConfig={"TargetArn": arn(collector)})
    server.updated(recording)
    lam.put_function_event_invoke_config(FunctionName=recording, MaximumRetryAttempts=0)
    send(server, recording, {"mark": "e", "fail": 1})
    assert records(server, collector)[0] == {"mark": "e", "fail": 1}  # the event itself, unlike a destination's


def test_events_wait_out_a_throttle(server, recording):
    call = hold(server, recording, 3)
    send(server, recording, {"mark": "f"})
    call.join(60)
    until(lambda: len(lines(server, recording, "GOT f")) == 1, 60, "the event after the throttle")


def test_without_concurrency_an_event_is_given_up_at_once(server, lam, recording, collector):
    lam.put_function_event_invoke_config(
        FunctionName=recording, DestinationConfig={"OnFailure": {"Destination": arn(collector)}})
    lam.put_function_concurrency(FunctionName=recording, ReservedConcurrentExecutions=0)
    send(server, recording, {"mark": "none"})
    assert records(server, collector)[0]["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert lines(server, recording, "GOT") == []


def test_an_event_over_a_megabyte_is_refused(server, recording):
    with refused("RequestEntityTooLargeException", 413, "too large for the Event invocation type"):
        send(server, recording, {"mark": "x" * (1024 * 1024 + 100)})


def test_what_is_no_json_is_refused(server, recording):
    with refused("InvalidRequestContentException", 400):
        server.client().invoke(FunctionName=recording, InvocationType="Event", Payload=b"{")


def test_retries_are_bounded(server, lam, recording):
    with pytest.raises(ClientError) as caught:
        lam.put_function_event_invoke_config(FunctionName=recording, MaximumRetryAttempts=3)
    assert caught.value.response["Error"]["Code"] in (BAD, "ValidationException")


def test_events_survive_kill_9(fresh):
    server = fresh("async.retry_backoff=300ms")
    function = unique()
    server.create(RECORDING, name=function)
    marks = [f"m{i}" for i in range(60)]
    for mark in marks:
        send(server, function, {"mark": mark, "hold": 1})
    server.kill9()
    server.start()
    until(lambda: {line.split()[1] for line in lines(server, function, "GOT")} >= set(marks), 60,
          "every acknowledged event")


@pytest.mark.timeout(240)
def test_an_event_too_old_goes_to_the_failure_destination(server, aged):
    function, collector, call = aged
    found = until(lambda: lines(server, collector, "RECORD"), 120, "the record of the aged event")[0]
    call.join(100)
    assert json.loads(found.split(" ", 1)[1])["requestContext"]["condition"] == "EventAgeExceeded"
    assert lines(server, function, "GOT old") == []
