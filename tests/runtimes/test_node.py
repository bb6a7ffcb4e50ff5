"""What our Node.js runtime does on its channel."""

import json
import re
import time

import pytest

from channel import (ARN, ERROR, INIT_ERROR, RESPONSE, SHUTDOWN, STREAM_BEGIN, STREAM_CHUNK, STREAM_END)

ECHO = "exports.handler = async (event) => event;"
PRELUDE = "application/vnd.awslambda.http-integration-response"


def joined(frames):
    assert frames[0].kind == STREAM_BEGIN and all(f.kind == STREAM_CHUNK for f in frames[1:-1]), frames
    assert frames[-1].kind == STREAM_END
    return b"".join(f.payload for f in frames[1:-1])


@pytest.fixture
def ready(node_runtime, task):
    """A runtime that has started: ready(code) or ready({name: code}, handler=...)."""
    def begin(files, **more):
        runtime = node_runtime(task({"app.js": files} if isinstance(files, str) else files), **more)
        assert re.fullmatch(r"nodejs\d+\.\d+\.\d+", runtime.ready())
        return runtime
    return begin


def test_it_answers_one_event_after_another(ready):
    runtime = ready(ECHO)
    for event in (None, {}, {"a": [1, 2.5, "ü", None, True]}, "x" * 70_000, ["y" * 9_000_000], "z" * 65_300):
        frame = runtime.invoke(event)
        assert (frame.kind, frame.meta, frame.json) == (RESPONSE, [""], event)


def test_frames_may_come_in_pieces_and_together(ready):
    runtime, sent = ready(ECHO), []
    whole, runtime.socket = runtime.socket, type("Kept", (), {"sendall": staticmethod(sent.append)})
    runtime.send_event({"n": "ü"})
    runtime.socket = whole
    for byte in sent[0]:
        whole.sendall(bytes([byte]))
    assert runtime.recv().json == {"n": "ü"}
    whole.sendall(sent[0] + sent[0][:10])
    assert runtime.recv().json == {"n": "ü"}
    whole.sendall(sent[0][10:])
    assert runtime.recv().json == {"n": "ü"}


@pytest.mark.parametrize("files, handler", [
    ({"app.js": "exports.handler = async () => 'cjs'"}, "app.handler"),
    ({"app.cjs": "exports.handler = async () => 'cjs'"}, "app.handler"),
    ({"app.mjs": "export const handler = async () => 'cjs'"}, "app.handler"),
    ({"app.mjs": "export default { handler: async () => 'cjs' }"}, "app.handler"),
    ({"app.js": "export const handler = async () => 'cjs'", "package.json": '{"type":"module"}'}, "app.handler"),
    ({"app.mjs": "import x from './x.json' with { type: 'json' }; export const handler = async () => x.a",
      "x.json": '{"a": "cjs"}'}, "app.handler"),
    ({"src/deep/app.js": "exports.handler = async () => 'cjs'"}, "src/deep/app.handler"),
    ({"app.js": "exports.a = { b: { c: async () => 'cjs' } }"}, "app.a.b.c"),
    ({"node_modules/pkg/index.js": "exports.handler = async () => 'cjs'"}, "pkg.handler"),
    ({"app.js": "module.exports = { handler: async () => require('dep') }",
      "node_modules/dep/index.js": "module.exports = 'cjs'"}, "app.handler"),
    ({"app": "exports.handler = async () => 'cjs'"}, "app.handler"),
    ({"app.mjs": "const x = await Promise.resolve('cjs'); export const handler = async () => x"}, "app.handler"),
])
def test_every_kind_of_module_is_found(ready, files, handler):
    assert ready(files, handler=handler).invoke().json == "cjs"


@pytest.mark.parametrize("code, answer", [
    ("exports.handler = (e, c, callback) => callback(null, 1)", 1),
    ("exports.handler = (e, c, callback) => { setTimeout(() => callback(null, 2), 20) }", 2),
    ("exports.handler = (e, c) => c.succeed(3)", 3),
    ("exports.handler = (e, c) => c.done(null, 4)", 4),
    ("exports.handler = (e, c) => { setTimeout(() => c.succeed(5), 20) }", 5),
    ("exports.handler = () => 6", None),  # no promise and no callback: the loop runs dry
    ("exports.handler = () => { setTimeout(() => {}, 20) }", None),
    ("exports.handler = async () => {}", None),
    ("exports.handler = async () => () => 1", None),
    ("exports.handler = () => new Promise(() => {})", None),
    ("exports.handler = () => ({ then: (resolve) => resolve(7) })", 7),
    ("exports.handler = (e, c, callback) => { callback(null, 8); callback(null, 9); c.fail('no') }", 8),
    ("exports.handler = async (e, c, callback) => { callback(null, 'first'); return 10 }", "first"),
    ("let n = 0; exports.handler = (e, c, callback) => { setTimeout(() => n = 11, 30); callback(null, {}.x) }", None),
])
def test_handlers_of_every_shape_answer(ready, code, answer):
    runtime = ready(code)
    for _ in range(3):
        frame = runtime.invoke()
        assert (frame.kind, frame.json) == (RESPONSE, answer)


def test_a_callback_waits_for_an_empty_event_loop_unless_told_not_to(ready):
    runtime = ready("let seen = 'nothing';\n"
                    "exports.handler = (event, context, callback) => {\n"
                    "  context.callbackWaitsForEmptyEventLoop = event;\n"
                    "  const before = seen; seen = 'nothing';\n"
                    "  setTimeout(() => { seen = 'timer' }, 150); callback(null, before) }")
    begin = time.monotonic()
    runtime.invoke(True)
    assert time.monotonic() - begin > 0.14
    assert runtime.invoke(False).json == "timer"
    # Between calls nothing runs: the timer of the last call comes during the next, if it is long.
    time.sleep(0.3)
    assert runtime.invoke(True).json == "nothing"


def test_what_an_old_call_left_behind_cannot_answer_for_a_new_one(ready):
    runtime = ready("let old; exports.handler = (event, context, callback) => {\n"
                    "  if (event === 1) { old = callback; context.callbackWaitsForEmptyEventLoop = false; context.succeed('one') }\n"
                    "  else { old(null, 'stale'); setTimeout(() => callback(null, 'two'), 10) } }")
    assert runtime.invoke(1, request_id="a").json == "one"
    assert runtime.invoke(2, request_id="b").json == "two"


def test_the_context_says_what_lambda_says(ready):
    runtime = ready("exports.handler = async (event, c) => [c, c.getRemainingTimeInMillis()]")
    context, left = runtime.invoke(request_id="abc", seconds=20, tenant="blue", client_context='{"custom":{"a":1}}',
                                   identity='{"cognitoIdentityId":"i"}').json
    assert 0 < left <= 20_000
    assert context == {
        "callbackWaitsForEmptyEventLoop": True, "functionName": "tried", "functionVersion": "7",
        "memoryLimitInMB": "256", "logGroupName": "/aws/lambda/tried", "logStreamName": "2026/11/24/[7]abc",
        "invokedFunctionArn": ARN, "awsRequestId": "abc", "tenantId": "blue",
        "clientContext": {"custom": {"a": 1}}, "identity": {"cognitoIdentityId": "i"}}
    assert "clientContext" not in runtime.invoke().json[0]


def test_the_trace_is_in_the_environment_during_its_call(ready):
    runtime = ready("exports.handler = async () => process.env._X_AMZN_TRACE_ID ?? null")
    assert runtime.invoke(trace="Root=1-2-3").json == "Root=1-2-3"
    assert runtime.invoke().json is None


@pytest.mark.parametrize("code, kind, message", [
    ("exports.handler = async () => { throw new TypeError('t') }", "TypeError", "t"),
    ("exports.handler = () => { throw new Error('now') }", "Error", "now"),
    ("exports.handler = (e, c, callback) => callback(new RangeError('r'))", "RangeError", "r"),
    ("exports.handler = (e, c, callback) => callback('text')", "string", "text"),
    ("exports.handler = (e, c) => c.fail()", "string", "handled"),
    ("exports.handler = async () => Promise.reject({ a: 1 })", "object", "[object Object]"),
    ("exports.handler = async () => Promise.reject()", "string", "handled"),
    ("exports.handler = async () => { const a = {}; a.a = a; return a }", "Error", "Unable to stringify response body"),
    ("exports.handler = async () => 1n", "Error", "Unable to stringify response body"),
    ("exports.handler = async () => { const e = new Error('m'); e.name = 'Mine'; throw e }", "Mine", "m"),
    ("class My extends Error {}; exports.handler = async () => { throw new My('m') }", "Error", "m"),
])
def test_an_error_is_told_and_the_process_goes_on(ready, code, kind, message):
    runtime = ready(code)
    for _ in range(2):
        frame = runtime.invoke()
        assert (frame.kind, frame.meta) == (ERROR, [kind])
        assert (frame.json["errorType"], frame.json["errorMessage"]) == (kind, message)
        assert isinstance(frame.json["trace"], list)
    assert "\tid-1\tERROR\tInvoke Error \t{\"errorType\":" in runtime.log(until="Invoke Error")


@pytest.mark.parametrize("act, kind, code, title", [
    ("setTimeout(() => { throw new TypeError('late') }, 5)", "TypeError", 129, "Uncaught Exception"),
    ("Promise.reject(new Error('nobody'))", "Runtime.UnhandledPromiseRejection", 128, "Unhandled Promise Rejection"),
])
def test_what_nothing_catches_is_answered_and_ends_the_process(ready, act, kind, code, title):
    runtime = ready("exports.handler = () => { %s; return new Promise((r) => setTimeout(r, 500)) }" % act)
    frame = runtime.invoke()
    assert (frame.kind, frame.meta, frame.json["errorType"]) == (ERROR, [kind], kind)
    assert runtime.exit_code() == code
    assert f"ERROR\t{title} \t{{" in runtime.whole_log()


@pytest.mark.parametrize("act, code", [("process.exit(3)", 3), ("process.exit()", 0), ("process.abort()", -6),
                                       ("process.kill(process.pid, 'SIGKILL')", -9)])
def test_what_ends_the_process_gives_no_answer(ready, act, code):
    runtime = ready("exports.handler = () => { console.log('last words'); %s; return new Promise(() => {}) }" % act)
    assert runtime.invoke() is None and runtime.exit_code() == code
    assert "last words" in runtime.whole_log()


@pytest.mark.parametrize("files, handler, kind, message", [
    ({"app.js": ""}, "nowhere.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'"),
    ({"app.js": "require('not-there')"}, "app.handler", "Runtime.ImportModuleError",
     "Error: Cannot find module 'not-there'"),
    ({"app.mjs": "import 'not-there'"}, "app.handler", "Error", "Cannot find package 'not-there'"),
    ({"app.js": "exports.x = 1"}, "app.handler", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
    ({"app.js": "exports.handler = 1"}, "app.handler", "Runtime.HandlerNotFound", "app.handler is not a function"),
    ({"app.js": "exports.handler = ("}, "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError:"),
    ({"app.mjs": "export const ="}, "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError:"),
    ({"app.js": ""}, "app", "Runtime.MalformedHandlerName", "Bad handler"),
    ({"app.js": ""}, "../app.handler", "Runtime.MalformedHandlerName", "'../app.handler' is not a valid handler name."),
    ({"app.js": "throw new TypeError('at start')"}, "app.handler", "TypeError", "at start"),
    ({"app.js": "throw 'text'"}, "app.handler", "string", "text"),
    ({"app.js": "setTimeout(() => {}, 9); exports.handler = async () => {}; Promise.reject(new Error('p'))"},
     "app.handler", "Runtime.UnhandledPromiseRejection", "Error: p"),
])
def test_errors_of_the_start_are_told(node_runtime, task, files, handler, kind, message):
    runtime = node_runtime(task(files), handler=handler)
    frame = runtime.recv()
    assert frame.kind == INIT_ERROR, frame
    assert (frame.meta, frame.json["errorType"]) == ([kind], kind)
    assert frame.json["errorMessage"].startswith(message), frame.json
    assert runtime.exit_code() in (1, 128)
    assert "\tundefined\tERROR\tUn" in runtime.whole_log()


def test_the_log_has_lambdas_form(ready):
    runtime = ready("console.log('start');\nexports.handler = async () => {\n"
                    "  console.log('a %d', 1, { b: 2 }); console.info('i'); console.warn('w'); console.error('e');\n"
                    "  console.debug('d'); console.trace('t'); console.fatal('f'); console.log('two\\nlines');\n"
                    "  process.stdout.write('raw\\n') }")
    runtime.invoke()
    lines = runtime.log(until="raw\n").split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(stamp + "\tundefined\tINFO\tstart", lines[0])
    said = [re.fullmatch(stamp + "\tid-1\t(.*)", line) for line in lines[1:9]]
    assert [m[1] for m in said] == ["INFO\ta 1 { b: 2 }", "INFO\ti", "WARN\tw", "ERROR\te", "DEBUG\td", "TRACE\tt",
                                    "FATAL\tf", "INFO\ttwo"]
    assert lines[9:] == ["lines", "raw", ""]


def test_the_log_may_be_json(ready):
    runtime = ready("exports.handler = async (e) => { console.log('a %d', 1); console.warn({ b: 2 }); console.debug('no');\n"
                    "  console.error('text', new TypeError('t')); console.error(new RangeError('r')); throw new Error('x') }",
                    environment={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "info"})
    runtime.invoke(tenant="blue")
    lines = [json.loads(line) for line in runtime.log(until='"x"').splitlines()]
    for line in lines:
        assert line.pop("timestamp") and line.pop("requestId") == "id-1" and line.pop("tenantId") == "blue"
    assert lines[0] == {"level": "INFO", "message": "a 1"}
    assert lines[1] == {"level": "WARN", "message": {"b": 2}}
    assert lines[2].pop("stackTrace") and lines[2].pop("message").startswith("text TypeError: t")
    assert lines[2] == {"level": "ERROR", "errorType": "TypeError", "errorMessage": "t"}
    assert lines[3]["message"]["errorType"] == "RangeError" and lines[4]["message"]["errorMessage"] == "x"
    assert len(lines) == 5


def test_it_ends_when_told_and_when_the_server_goes(ready):
    code = "process.on('exit', () => console.log('swept'));" + ECHO
    told = ready(code)
    told.send(SHUTDOWN, b"idle")
    assert told.exit_code() == 0 and "swept" in told.whole_log()
    left = ready(code)
    left.socket.close()
    assert left.exit_code() == 0


@pytest.mark.parametrize("bad", [b"\x04\0\0\0\x63\0\0\0", b"\xff\xff\xff\xff\x01\0\0\0", b"\x01\0\0\0\x01\0\0\0",
                                 b"\x08\0\0\0\x01\0\xff\xff\0\0\0\0"])
def test_it_ends_at_a_frame_that_it_does_not_know(ready, bad):
    runtime = ready(ECHO)
    runtime.socket.sendall(bad)
    assert runtime.recv() is None and runtime.exit_code() == 1


def test_programs_that_the_handler_starts_do_not_get_the_channel(ready):
    runtime = ready("const { spawnSync } = require('child_process');\n"
                    "exports.handler = async () => spawnSync('test', ['-e', '/proc/self/fd/3']).status")
    assert runtime.invoke().json == 1


# ---- streams


STREAM = """
const { pipeline } = require('stream/promises'), { Readable } = require('stream');
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  %s
});
"""


def test_a_streaming_handlers_pieces_come_as_they_are_written(ready):
    runtime = ready(STREAM % "stream.write('ü'); await new Promise(r => setTimeout(r, 20)); stream.write(Buffer.from('b'));"
                             "stream.write({ n: 1 }); stream.write(new Uint8Array([99])); stream.end('d');")
    for mode in "streaming", "buffered":
        frames = runtime.invoke(mode=mode)
        assert joined(frames) == "üb{\"n\":1}cd".encode() and len(frames) == 7
        assert (frames[0].meta, frames[-1].meta) == (["application/octet-stream"], [""])


def test_a_stream_has_a_content_type_until_it_is_written_to(ready):
    runtime = ready(STREAM % "stream.setContentType('text/plain'); stream.write('a');"
                             "try { stream.setContentType('x/y') } catch (e) { stream.write(e.name) } stream.end()")
    frames = runtime.invoke(mode="streaming")
    assert (frames[0].meta, joined(frames)) == (["text/plain"], b"aRuntime.InvalidStreamingOperation")


@pytest.mark.parametrize("act, body", [
    ("stream.write('hi'); stream.end()", b"hi"), ("stream.end('hi')", b"hi"), ("stream.end()", b""),
    ("await pipeline(Readable.from(['h', 'i']), stream)", b"hi")])
def test_an_http_answer_has_its_head_first(ready, act, body):
    runtime = ready(STREAM % ("stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } });" + act))
    frames = runtime.invoke(mode="streaming")
    assert frames[0].meta == [PRELUDE]
    assert joined(frames) == b'{"statusCode":201,"headers":{"a":"b"}}' + bytes(8) + body


def test_a_large_stream_waits_for_a_slow_reader(ready):
    runtime = ready(STREAM % "await pipeline(Readable.from((function* () { for (let i = 0; i < 300; i++) yield Buffer.alloc(100000, i) })()), stream)")
    runtime.send_event(mode="streaming")
    time.sleep(0.5)
    frames = [runtime.recv()]
    while frames[-1].kind != STREAM_END:
        frames.append(runtime.recv())
    body = joined(frames)
    assert len(body) == 30_000_000 and body[100_000 * 17] == 17
    assert runtime.invoke(mode="streaming")[0].kind == STREAM_BEGIN


@pytest.mark.parametrize("act, begun, kind, message", [
    ("throw new TypeError('early')", False, "TypeError", "early"),
    ("stream.write('x'); await new Promise(r => setTimeout(r, 20)); throw new TypeError('late')", True, "TypeError", "late"),
    ("stream.cork(); stream.write('x'); stream.write('')", True, "Error", "Response stream is not finished."),
    ("stream.write('x')", True, "Error", "Response stream is not finished."),
    ("stream.write('x'); await new Promise(() => {})", True, "Error", "Response stream is not finished."),
    ("stream.destroy(new RangeError('gone'))", False, "RangeError", "gone"),
])
def test_a_stream_that_fails_says_so_where_it_stands(ready, act, begun, kind, message):
    runtime = ready(STREAM % act)
    for _ in range(2):
        answer = runtime.invoke(mode="streaming")
        if begun:
            assert joined(answer) == b"x"
            answer = answer[-1]
        else:
            assert answer.kind == ERROR
        assert (answer.meta, answer.json["errorMessage"]) == ([kind], message)


def test_an_exception_in_mid_stream_that_nothing_catches_ends_it(ready):
    runtime = ready(STREAM % "stream.write('x'); setTimeout(() => { throw new Error('late') }, 20); await new Promise(r => setTimeout(r, 500))")
    frames = runtime.invoke(mode="streaming")
    assert joined(frames) == b"x" and frames[-1].meta == ["Error"] and runtime.exit_code() == 129


def test_a_streaming_handler_must_be_asynchronous(ready):
    runtime = ready("exports.handler = awslambda.streamifyResponse(() => 1)")
    assert runtime.invoke().json["errorMessage"] == "Streaming does not support non-async handlers."


def test_a_warm_call_is_one_read_and_one_write(ready):
    """Counted by the kernel: no other read or write between two events."""
    runtime = ready("const fs = require('fs');\nconst io = () => Object.fromEntries(fs.readFileSync('/proc/self/io', 'utf8')"
                    ".trim().split('\\n').map((l) => l.split(': ')));\nexports.handler = async (e) => e ? io() : e")
    runtime.invoke(1)
    before, again = runtime.invoke(1).json, runtime.invoke(1).json
    for _ in range(50):
        runtime.invoke()
    after = runtime.invoke(1).json
    look = int(again["syscr"]) - int(before["syscr"]) - 1
    assert int(after["syscr"]) - int(again["syscr"]) <= 51 + look + 4  # a few for V8's threads
    assert int(after["syscw"]) - int(again["syscw"]) <= 51 + 4
