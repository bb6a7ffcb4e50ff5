"""Calling a function: what the handler sees, what the caller gets, and every way it can go wrong."""

import base64
import io
import json
import re
import threading

import pytest
from botocore.exceptions import ClientError

from errors import GONE, refused
from harness import ECHO, ROLE, Answer, arn, pack, unique, until

CONTEXT = """
import os
COLD = []
def handler(event, context):
    COLD.append(1)
    return {
        "request_id": context.aws_request_id, "name": context.function_name, "version": context.function_version,
        "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb, "group": context.log_group_name,
        "stream": context.log_stream_name, "left": context.get_remaining_time_in_millis(), "calls": len(COLD),
        "client": context.client_context and [context.client_context.custom, context.client_context.env],
        "identity": context.identity is not None,
        "env": {k: os.environ.get(k) for k in ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_REGION",
            "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_LOG_GROUP_NAME", "LAMBDA_TASK_ROOT",
            "LAMBDA_RUNTIME_DIR", "_HANDLER", "AWS_EXECUTION_ENV", "AWS_LAMBDA_INITIALIZATION_TYPE", "TZ", "MINE")},
        "cwd": os.getcwd(), "task": sorted(os.listdir("/var/task")), "tmp": os.access("/tmp", os.W_OK),
        "code_is_read_only": not os.access("/var/task", os.W_OK), "uid": os.getuid()}
"""


def test_the_handler_sees_what_lambda_shows(server, name):
    runtime = server.runtime()
    server.create(CONTEXT, name=name, MemorySize=192, Timeout=20, Environment={"Variables": {"MINE": "m"}})
    client = base64.b64encode(json.dumps({"custom": {"a": "b"}, "env": {"c": "d"}}).encode()).decode()
    answer = server.invoke(name, {}, ClientContext=client)
    seen = answer.payload
    assert answer.status == 200 and answer.version == "$LATEST" and answer.error == ""
    assert seen["request_id"] == answer.request_id and re.fullmatch(r"[0-9a-f-]{36}", answer.request_id)
    assert (seen["name"], seen["version"], seen["arn"]) == (name, "$LATEST", arn(name))
    assert int(seen["memory"]) == 192 and seen["group"] == f"/aws/lambda/{name}"
    assert re.match(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$", seen["stream"]), seen["stream"]
    assert 15000 < seen["left"] <= 20000 and seen["client"] == [{"a": "b"}, {"c": "d"}]
    env = seen["env"]
    assert env["MINE"] == "m" and env["_HANDLER"] == "app.handler" and env["LAMBDA_TASK_ROOT"] == "/var/task"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == name and env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "192" and env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{runtime}" and env["TZ"] == ":UTC"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand" and env["LAMBDA_RUNTIME_DIR"] == "/var/runtime"
    assert seen["cwd"] == "/var/task" and seen["task"] == ["app.py"] and seen["tmp"] and seen["code_is_read_only"]
    assert seen["uid"] != 0
    assert server.invoke(name, {}).payload["calls"] == 2  # the same instance, warm


def test_the_log_tail_is_lambdas(server, name):
    server.create("print('loading')\ndef handler(e, c):\n    print('hello', e)\n", name=name, MemorySize=128)
    cold = server.invoke(name, 7, LogType="Tail")
    lines = cold.log.splitlines()
    assert f"START RequestId: {cold.request_id} Version: $LATEST" in lines
    assert "hello 7" in lines and f"END RequestId: {cold.request_id}" in lines
    report = next(line for line in lines if line.startswith("REPORT"))
    shape = (rf"REPORT RequestId: {cold.request_id}\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\t"
             r"Memory Size: 128 MB\tMax Memory Used: (\d+) MB\tInit Duration: ([\d.]+) ms\s*$")
    found = re.match(shape, report)
    assert found, report
    duration, billed, used, init = map(float, found.groups())
    assert billed >= duration and 1 <= used <= 128 and init > 1
    warm = server.invoke(name, 8, LogType="Tail")
    assert "Init Duration" not in warm.log and "loading" not in warm.log and "hello 8" in warm.log
    assert server.invoke(name, 9).log == ""


def test_only_the_last_4_kb_of_the_log_are_told(server, name):
    server.create("def handler(e, c):\n    for i in range(1000):\n        print('line', i)\n", name=name)
    log = server.invoke(name, 0, LogType="Tail").log
    assert len(log) <= 4096 and "line 999" in log and "REPORT" in log and "line 1\n" not in log


NODE = """
export const handler = async (event, context) => {
  if (event.fail) throw new TypeError(event.fail);
  console.log('from node', event.n);
  return {n: event.n, id: context.awsRequestId, fn: context.functionName, left: context.getRemainingTimeInMillis()};
};
"""


def test_nodejs(server, name):
    server.create({"index.mjs": NODE}, name=name, runtime=server.runtime("nodejs"), handler="index.handler")
    answer = server.invoke(name, {"n": 3}, LogType="Tail")
    assert (answer.payload["n"], answer.payload["id"], answer.payload["fn"]) == (3, answer.request_id, name)
    assert 0 < answer.payload["left"] <= 10000 and "from node 3" in answer.log
    failed = server.invoke(name, {"fail": "no"})
    assert failed.error == "Unhandled" and failed.payload["errorType"] == "TypeError"
    assert failed.payload["errorMessage"] == "no" and failed.payload["trace"][0] == "TypeError: no"


def test_nodejs_commonjs_callback(server, name):
    code = "exports.handler = (event, context, callback) => callback(null, {got: event});\n"
    server.create({"index.js": code}, name=name, runtime=server.runtime("nodejs"), handler="index.handler")
    assert server.invoke(name, [1]).payload == {"got": [1]}


# A whole custom runtime in a shell script's length of Python, over the Runtime API.
BOOTSTRAP = """#!/usr/bin/python3
import os, json, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
while True:
    event = urllib.request.urlopen(api + "invocation/next")
    head = {k.lower(): v for k, v in event.headers.items()}
    body, id = event.read(), head["lambda-runtime-aws-request-id"]
    if body == b'"fail"':
        request = urllib.request.Request(api + f"invocation/{id}/error",
            json.dumps({"errorMessage": "asked for", "errorType": "Custom.Error", "stackTrace": []}).encode(),
            {"Lambda-Runtime-Function-Error-Type": "Custom.Error"})
    else:
        seen = {k: v for k, v in head.items() if k.startswith("lambda-runtime")}
        request = urllib.request.Request(api + f"invocation/{id}/response",
            json.dumps({"event": json.loads(body), "head": seen}).encode())
    assert urllib.request.urlopen(request).status == 202
"""


def test_a_custom_runtime(server, name):
    server.create({"bootstrap*": BOOTSTRAP}, name=name, runtime="provided.al2023", handler="any")
    answer = server.invoke(name, {"a": 1})
    assert answer.error == "", answer.payload
    head = answer.payload["head"]
    assert answer.payload["event"] == {"a": 1}
    assert head["lambda-runtime-aws-request-id"] == answer.request_id
    assert head["lambda-runtime-invoked-function-arn"] == arn(name)
    assert int(head["lambda-runtime-deadline-ms"]) > 1_600_000_000_000 and head["lambda-runtime-trace-id"]
    failed = server.invoke(name, "fail")
    assert failed.error == "Unhandled" and failed.payload["errorType"] == "Custom.Error"
    assert server.invoke(name, 2).payload["event"] == 2


FAILING = """
import ctypes, os, sys, time
class Odd(Exception): pass
def inner(): raise Odd("it broke")
def handler(event, context):
    if event == "raise": inner()
    if event == "exit": sys.exit(3)
    if event == "exit0": os._exit(0)
    if event == "segfault": ctypes.string_at(0)
    if event == "sleep": time.sleep(600)
    if event == "memory":
        held = []
        while True: held.append(bytearray(8 << 20))
    if event == "unserializable": return {1, 2}
    return "fine"
"""


@pytest.fixture(scope="module")
def failing(session_server):
    function = unique("failing")
    session_server.create(FAILING, name=function, Timeout=60, MemorySize=128)
    return function


def test_an_exception_is_told_with_its_stack(server, failing):
    answer = server.invoke(failing, "raise", LogType="Tail")
    assert answer.status == 200 and answer.error == "Unhandled"
    error = answer.payload
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("Odd", "it broke", answer.request_id)
    assert error["stackTrace"][0].startswith('  File "/var/task/app.py", line ') and "inner()" in error["stackTrace"][0]
    assert "[ERROR] Odd: it broke" in answer.log
    assert server.invoke(failing, "ok").payload == "fine"


@pytest.mark.parametrize("event, kind, message", [
    ("exit", "Runtime.ExitError", "RequestId: {} Error: Runtime exited with error: exit status 3"),
    ("exit0", "Runtime.ExitError", "RequestId: {} Error: Runtime exited without providing a reason"),
    ("segfault", "Runtime.ExitError", "RequestId: {} Error: Runtime exited with error: signal: segmentation fault"),
    ("memory", "Runtime.OutOfMemory", "RequestId: {} Error: Runtime exited with error: signal: killed"),
    ("sleep", "Sandbox.Timedout", "RequestId: {} Error: Task timed out after 2.00 seconds"),
])
def test_the_end_of_an_instance_is_told_as_lambda_does(server, name, failing, event, kind, message):
    if event == "sleep":
        server.create(FAILING, name=name, Timeout=2)
        failing = name
    answer = server.invoke(failing, event, LogType="Tail")
    assert answer.status == 200 and answer.error == "Unhandled"
    assert answer.payload["errorType"] == kind, answer.payload
    assert answer.payload["errorMessage"].startswith(message.format(answer.request_id)), answer.payload
    assert f"REPORT RequestId: {answer.request_id}" in answer.log
    assert server.invoke(failing, "ok").payload == "fine"  # the next call gets an instance of its own


def test_what_json_cannot_hold_is_a_marshal_error(server, failing):
    answer = server.invoke(failing, "unserializable")
    assert answer.error == "Unhandled" and answer.payload["errorType"] == "Runtime.MarshalError"


@pytest.mark.parametrize("code, handler, kind, words", [
    ("import nothing_like_this\ndef handler(e, c): pass\n", "app.handler", "Runtime.ImportModuleError",
     "Unable to import module 'app': No module named 'nothing_like_this'"),
    ("def other(e, c): pass\n", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    ("def handler(e, c) pass\n", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
    ("raise KeyError('at import')\n", "app.handler", "KeyError", "at import"),
    ("def handler(e, c): pass\n", "absent.handler", "Runtime.ImportModuleError", "Unable to import module 'absent'"),
    ("import os; os._exit(9)\n", "app.handler", "Runtime.ExitError", "exit status 9"),
])
def test_a_failed_start_is_told_as_lambda_does(server, name, code, handler, kind, words):
    server.create(code, name=name, handler=handler)
    for _ in range(2):  # the second call starts anew and fails alike
        answer = server.invoke(name, {})
        assert answer.error == "Unhandled" and answer.payload["errorType"] == kind, answer.payload
        assert words in answer.payload["errorMessage"], answer.payload


def test_six_megabytes_each_way(server, echo):
    text = "x" * (6 * 1024 * 1024 - 2)  # 6 MiB with its quotes
    assert server.invoke(echo, text).payload == text
    with refused("RequestTooLargeException", 413):
        server.invoke(echo, text + "x")


def test_an_answer_over_six_megabytes_is_an_error(server, name):
    server.create("def handler(e, c):\n    return 'x' * e\n", name=name, MemorySize=512)
    answer = server.invoke(name, 7 * 1024 * 1024)
    assert answer.error == "Unhandled" and answer.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert server.invoke(name, 3).payload == "xxx"


@pytest.mark.parametrize("event", [
    None, "", {"deep": [[[[1.5, -2, 1e300]]]]}, "ünï😀\u2028", {"a\u0000b": "\\\""}, 2 ** 53, [True, False, None]])
def test_any_json_comes_back_as_it_went(server, echo, event):
    assert server.invoke(echo, event).payload == event


def test_a_body_that_is_no_json_is_refused(server, echo):
    for body in (b"{", b"\xff\xfe", b"nope"):
        with refused("InvalidRequestContentException", 400, "Could not parse request body into json"):
            server.client().invoke(FunctionName=echo, Payload=body)


def test_no_payload_is_an_empty_object(server, echo):
    assert Answer(server.client().invoke(FunctionName=echo)).payload == {}


def test_a_dry_run_runs_nothing(server, echo):
    before = usage_of(server, echo)
    assert server.client().invoke(FunctionName=echo, InvocationType="DryRun")["StatusCode"] == 204
    with refused(GONE, 404):
        server.client().invoke(FunctionName="absent", InvocationType="DryRun")
    assert usage_of(server, echo) == before


def usage_of(server, function):
    rows = server.get(f"/samovar/v1/usage?function={function}")["usage"]
    return sum(row["invocations"] for row in rows)


@pytest.mark.parametrize("target, named", [
    ("absent", arn("absent")), ("absent:live", arn("absent", "live")), (arn("absent"), arn("absent"))])
def test_a_missing_function_is_named_by_its_arn(lam, target, named):
    with refused(GONE, 404, f"Function not found: {named}"):
        lam.invoke(FunctionName=target, Payload=b"{}")


def test_a_missing_alias_is_named(lam, echo):
    with refused(GONE, 404, f"Function not found: {arn(echo, 'absent')}"):
        lam.invoke(FunctionName=echo, Qualifier="absent")


def test_the_old_invoke_async(server, echo):
    reply = server.client().invoke_async(FunctionName=echo, InvokeArgs=io.BytesIO(b'{"a": 1}'))
    assert reply["Status"] == 202


STREAM = """
export const handler = awslambda.streamifyResponse(async (event, stream, context) => {
  for (let i = 0; i < event.n; i++) {
    stream.write('piece ' + i + ';');
    await new Promise((done) => setTimeout(done, 5));
  }
  if (event.fail) throw new RangeError('too late');
  stream.end();
});
"""


def streamed(server, function, event, **more):
    events = server.client().invoke_with_response_stream(FunctionName=function, Payload=json.dumps(event), **more)
    chunks, complete = [], None
    for item in events["EventStream"]:
        if "PayloadChunk" in item:
            chunks.append(item["PayloadChunk"]["Payload"])
        else:
            complete = item["InvokeComplete"]
    return chunks, complete, events


def test_a_streamed_answer(server, name):
    server.create({"index.mjs": STREAM}, name=name, runtime=server.runtime("nodejs"), handler="index.handler")
    chunks, complete, head = streamed(server, name, {"n": 5}, LogType="Tail")
    assert b"".join(chunks) == b"".join(b"piece %d;" % i for i in range(5)) and len(chunks) > 1
    assert "ErrorCode" not in complete and b"REPORT" in base64.b64decode(complete["LogResult"])
    assert head["ExecutedVersion"] == "$LATEST" and head["StatusCode"] == 200
    chunks, complete, _ = streamed(server, name, {"n": 2, "fail": True})
    assert complete["ErrorCode"] and "too late" in complete["ErrorDetails"]


def test_a_buffered_handler_under_a_stream(server, echo):
    chunks, complete, _ = streamed(server, echo, {"a": [1, 2]})
    assert json.loads(b"".join(chunks)) == {"a": [1, 2]} and "ErrorCode" not in complete


def test_every_python_that_the_host_has(server):
    names = [r["name"] for r in server.get("/samovar/v1/runtimes")["runtimes"] if r["name"].startswith("python")]
    assert names
    for runtime in names:
        function = unique("py")
        server.create("import sys\ndef handler(e, c):\n    return 'python%d.%d' % sys.version_info[:2]\n",
                      name=function, runtime=runtime)
        assert server.invoke(function).payload == runtime


def test_a_call_right_after_create_waits(server, lam, name):
    """The first request never fails for being first: not even while the function is Pending."""
    lam.create_function(FunctionName=name, Runtime=server.runtime(), Role=ROLE, Handler="app.handler",
                        Code={"ZipFile": pack(ECHO)})
    assert Answer(lam.invoke(FunctionName=name, Payload=b"1")).payload == 1


def test_a_call_on_a_function_deleted_meanwhile_ends(server, lam, name):
    server.create("import time\ndef handler(e, c):\n    time.sleep(3)\n    return 'done'\n", name=name)
    got = []
    call = threading.Thread(target=lambda: got.append(server.invoke(name).payload))
    call.start()
    until(lambda: any(i["function"] == name and i["state"] == "busy"
                      for i in server.get("/samovar/v1/instances")["instances"]), 60, "a busy instance")
    lam.delete_function(FunctionName=name)
    call.join(60)
    assert got == ["done"]
    with pytest.raises(ClientError):
        server.invoke(name)


def test_a_package_that_cannot_start_is_the_functions_own_fault(server, name):
    server.create({"readme.txt": "no bootstrap"}, name=name, runtime="provided.al2023", handler="any")
    answer = server.invoke(name, {})
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.payload["errorType"] == "Runtime.InvalidEntrypoint"
    assert "Couldn't find valid bootstrap(s)" in answer.payload["errorMessage"]
