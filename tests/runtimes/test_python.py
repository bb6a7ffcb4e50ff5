"""What our Python runtime does on its channel, in every Python of the host."""

import json
import os
import time

import pytest

from channel import (ARN, ERROR, INIT_ERROR, INVOKE, RESPONSE, SHUTDOWN, STREAM_BEGIN, STREAM_CHUNK,
                     STREAM_END)

ECHO = "def handler(event, context): return event"
PRELUDE = "application/vnd.awslambda.http-integration-response"


def pieces(frames):
    assert frames[0].kind == STREAM_BEGIN and all(f.kind == STREAM_CHUNK for f in frames[1:-1])
    assert frames[-1].kind == STREAM_END
    return [f.payload for f in frames[1:-1]]


def test_it_says_what_it_is(python_runtime, python, task):
    name = python_runtime(task({"app.py": ECHO})).ready()
    assert name.startswith("python3.") and name.count(".") == 2


def test_it_answers_one_event_after_another(python_runtime, task):
    runtime = python_runtime(task({"app.py": ECHO}))
    runtime.ready()
    for event in (None, {}, {"a": [1, 2.5, "ü", None, True]}, "x" * 70_000, ["y" * 9_000_000]):
        frame = runtime.invoke(event)
        assert (frame.kind, frame.meta, frame.json) == (RESPONSE, [""], event)


def test_it_may_be_told_to_look_for_the_next_event_before_it_sleeps(python_runtime, task):
    """Whether that comes at once, after a sleep, or in pieces; and it hears the end while it looks."""
    runtime = python_runtime(task({"app.py": ECHO}))
    runtime.ready()
    for pause in (0, 0.02, 0):
        for turn in range(100):
            assert runtime.invoke({"turn": turn}, flags=1).json == {"turn": turn}
        time.sleep(pause)  # longer than it looks
    runtime.send_event({"last": True}, flags=1)
    assert runtime.recv().json == {"last": True}
    runtime.socket.close()
    assert runtime.exit_code() == 0


def test_frames_may_come_in_pieces_and_together(python_runtime, task):
    runtime = python_runtime(task({"app.py": ECHO}))
    runtime.ready()
    sent = []
    runtime.send, whole = lambda kind, meta, payload, flags: sent.append((kind, meta, payload)), runtime.send
    runtime.send_event({"n": 1})
    runtime.send = whole
    kind, meta, payload = sent[0]
    import struct
    bytes_ = struct.pack("<IBBH", 4 + len(meta) + len(payload), kind, 0, len(meta)) + meta + payload
    for byte in bytes_:
        runtime.socket.sendall(bytes([byte]))
    assert runtime.recv().json == {"n": 1}
    runtime.socket.sendall(bytes_ + bytes_[:10])
    assert runtime.recv().json == {"n": 1}
    runtime.socket.sendall(bytes_[10:])
    assert runtime.recv().json == {"n": 1}


def test_the_context_says_what_lambda_says(python_runtime, task):
    code = """
def handler(event, c):
    return [c.function_name, c.function_version, c.invoked_function_arn, c.memory_limit_in_mb, c.aws_request_id,
            c.log_group_name, c.log_stream_name, c.get_remaining_time_in_millis(), c.client_context,
            c.identity.cognito_identity_id, c.tenant_id]
"""
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    got = runtime.invoke(request_id="abc", seconds=20).json
    assert 0 < got.pop(7) <= 20_000
    assert got == ["tried", "7", ARN, "256", "abc", "/aws/lambda/tried", "2026/11/24/[7]abc", None, None, None]
    assert runtime.invoke(seconds=-5).json[7] == 0


def test_the_trace_is_in_the_environment_during_its_call(python_runtime, task):
    runtime = python_runtime(task({"app.py": "import os\ndef handler(e, c): return os.environ.get('_X_AMZN_TRACE_ID')"}))
    runtime.ready()
    assert runtime.invoke(trace="Root=1-2-3").json == "Root=1-2-3"
    assert runtime.invoke(trace="").json is None
    assert runtime.invoke(trace="Root=" + "9" * 5000).json == "Root=" + "9" * 5000


def test_programs_that_a_handler_starts_see_the_trace(python_runtime, task):
    runtime = python_runtime(task({"app.py": "import subprocess\ndef handler(e, c):\n"
                                             "  return subprocess.check_output(['sh', '-c', 'echo $_X_AMZN_TRACE_ID'], text=True)"}))
    runtime.ready()
    for trace in ("Root=1", "Root=22", "", "Root=333"):
        assert runtime.invoke(trace=trace).json == trace + "\n"


def test_what_a_call_wrote_is_in_the_log_before_its_answer(python_runtime, task):
    code = "import sys\ndef handler(e, c):\n  print('out', end='')\n  sys.stderr.write('err')\n  return 1"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    for _ in range(20):
        runtime.invoke()
        # What the other end of a pipe has was written before; only our reader may be late.
        runtime.log(until="outerr")
        runtime._log.clear()


@pytest.mark.parametrize("act, code", [
    ("sys.exit(3)", 3), ("sys.exit()", 0), ("os._exit(9)", 9), ("raise KeyboardInterrupt", None),
    ("os.kill(os.getpid(), 9)", -9), ("raise GeneratorExit", 1)])
def test_what_ends_the_process_gives_no_answer(python_runtime, task, act, code):
    runtime = python_runtime(task({"app.py": f"import os, sys\ndef handler(e, c):\n  print('last words')\n  {act}"}))
    runtime.ready()
    assert runtime.invoke() is None
    assert code in (None, runtime.exit_code())
    assert runtime.exit_code() != 0 or code == 0
    assert "last words" in runtime.whole_log()


def test_an_exit_at_the_start_says_nothing(python_runtime, task):
    runtime = python_runtime(task({"app.py": "import sys\nsys.exit(4)"}))
    assert runtime.recv() is None and runtime.exit_code() == 4


def test_it_goes_on_after_an_error(python_runtime, task):
    runtime = python_runtime(task({"app.py": "def handler(e, c): return 1 / e"}))
    runtime.ready()
    assert runtime.invoke(0).meta == ["ZeroDivisionError"]
    assert runtime.invoke(2).json == 0.5


def test_it_ends_when_told_and_when_the_server_goes(python_runtime, task):
    code = "import atexit, sys\natexit.register(lambda: print('swept'))\n" + ECHO
    told = python_runtime(task({"app.py": code}))
    told.ready()
    told.send(SHUTDOWN, b"idle")
    assert told.exit_code() == 0 and "swept" in told.whole_log()
    left = python_runtime(task({"app.py": code}))
    left.ready()
    left.socket.close()
    assert left.exit_code() == 0


@pytest.mark.parametrize("bad", [b"\x04\0\0\0\x63\0\0\0", b"\xff\xff\xff\xff\x01\0\0\0", b"\x01\0\0\0\x01\0\0\0",
                                 b"\x08\0\0\0\x01\0\xff\xff\0\0\0\0"])
def test_it_ends_at_a_frame_that_it_does_not_know(python_runtime, task, bad):
    runtime = python_runtime(task({"app.py": ECHO}))
    runtime.ready()
    runtime.socket.sendall(bad)
    assert runtime.recv() is None and runtime.exit_code() == 1


def test_programs_that_the_handler_starts_do_not_get_the_channel(python_runtime, task):
    code = "import os\ndef handler(e, c): return os.system('test -e /proc/self/fd/3') != 0"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    assert runtime.invoke().json is True


def test_standard_input_is_at_its_end(python_runtime, task):
    runtime = python_runtime(task({"app.py": "import sys\ndef handler(e, c): return sys.stdin.read()"}))
    runtime.ready()
    assert runtime.invoke().json == ""


def test_a_handler_may_spoil_its_streams(python_runtime, task):
    code = ("import sys, io\ndef handler(e, c):\n  if e == 1: sys.stdout = io.StringIO()\n  if e == 2: sys.stdout = None\n"
            "  if e == 3: sys.stderr.close()\n  if e == 4: raise ValueError('v')\n  return e")
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    assert [runtime.invoke(n).json for n in (1, 2, 3)] == [1, 2, 3]
    assert runtime.invoke(4).meta == ["ValueError"]


def test_text_that_utf8_cannot_say_is_an_error_or_escaped(python_runtime, task):
    runtime = python_runtime(task({"app.py": "def handler(e, c):\n  if e: raise ValueError('\\ud800')\n  return '\\ud800'"}))
    version = runtime.ready()
    frame = runtime.invoke()
    if int(version.split(".")[1]) < 12:
        assert frame.payload == b'"\\ud800"'
    else:
        assert frame.meta == ["Runtime.MarshalError"]
    assert runtime.invoke(1).meta == ["ValueError"]


def test_an_exception_that_cannot_be_printed_is_told_all_the_same(python_runtime, task):
    code = "class E(Exception):\n  def __str__(self): raise RuntimeError\ndef handler(e, c): raise E"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    assert runtime.invoke().json["errorMessage"] == "<unprintable E object>"


def test_code_layers_and_the_interpreters_own_are_found_in_that_order(python_runtime, task, python):
    site = f"opt/python/lib/{os.path.basename(python)}/site-packages"
    files = {"app.py": "import a, b, c, json\ndef handler(e, x): return [a.w, b.w, c.w]", "a.py": "w = 'task'",
             f"{site}/a.py": "w = 'site'", f"{site}/b.py": "w = 'site'", "opt/python/b.py": "w = 'layer'",
             "opt/python/c.py": "w = 'layer'"}
    runtime = python_runtime(task(files))
    runtime.ready()
    assert runtime.invoke().json == ["task", "site", "layer"]


def test_code_that_imports_awss_client_finds_its_types(python_runtime, task):
    code = ("from awslambdaric.lambda_context import LambdaContext\nimport snapshot_restore_py as s\n"
            "@s.register_after_restore\ndef again(): pass\n"
            "def handler(e, c): return isinstance(c, LambdaContext)")
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    assert runtime.invoke().json is True
    own = python_runtime(task({"app.py": "import awslambdaric\ndef handler(e, c): return awslambdaric.w",
                               "awslambdaric.py": "w = 'own'"}))
    own.ready()
    assert own.invoke().json == "own"


def test_an_iterator_becomes_a_stream_where_the_caller_takes_one(python_runtime, task):
    code = "def handler(e, c):\n  yield 'ü'\n  yield b''\n  yield b'b'\n  yield bytearray(b'c')\n  yield {'n': 1}"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    frames = runtime.invoke(mode="streaming")
    assert pieces(frames) == ["ü".encode(), b"b", b"c", b'{"n": 1}']
    assert frames[0].meta == ["application/octet-stream"] and frames[-1].meta == [""]
    assert runtime.invoke().meta == ["Runtime.MarshalError"]  # buffered, it is what AWS says


def test_a_dict_as_a_streams_first_piece_is_the_head_of_an_http_answer(python_runtime, task):
    code = "def handler(e, c):\n  yield {'statusCode': 201}\n  yield 'body'"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    frames = runtime.invoke(mode="streaming")
    assert frames[0].meta == [PRELUDE]
    assert pieces(frames) == [b'{"statusCode": 201}' + bytes(8), b"body"]


def test_an_empty_stream_and_a_plain_answer_may_be_streamed(python_runtime, task):
    runtime = python_runtime(task({"app.py": "def handler(e, c): return iter(()) if e else {'a': 1}"}))
    runtime.ready()
    assert pieces(runtime.invoke(1, mode="streaming")) == []
    assert runtime.invoke(0, mode="streaming").json == {"a": 1}


def test_a_stream_that_fails_says_so_where_it_stands(python_runtime, task):
    code = "def handler(e, c):\n  if not e: raise KeyError('early')\n  yield 'some'\n  raise ValueError('late')"
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    early = runtime.invoke(0, mode="streaming")
    assert (early.kind, early.meta) == (ERROR, ["KeyError"])
    late = runtime.invoke(1, mode="streaming")
    assert pieces(late) == [b"some"] and late[-1].meta == ["ValueError"]
    assert late[-1].json["errorMessage"] == "late"
    assert "[ERROR] ValueError: late" in runtime.log(until="late")


def test_a_warm_call_is_one_read_and_one_write(python_runtime, task):
    """Counted by the kernel: no other system call between two events."""
    code = ("import os\n"
            "def counts():\n"
            "  return {n: int(v) for n, v in (line.split(': ') for line in open('/proc/self/io'))}\n"
            "def handler(e, c): return counts() if e else e")
    runtime = python_runtime(task({"app.py": code}))
    runtime.ready()
    runtime.invoke(1)
    before = runtime.invoke(1).json
    for _ in range(50):
        runtime.invoke()
    after = runtime.invoke(1).json
    # Each call of counts() reads its file with a few calls of its own.
    per_look = runtime.invoke(1).json["syscr"] - after["syscr"] - 1
    assert after["syscr"] - before["syscr"] == 50 + 1 + per_look
    assert after["syscw"] - before["syscw"] == 50 + 1


def test_the_time_goes_by_while_a_handler_runs(python_runtime, task):
    runtime = python_runtime(task({"app.py": "import time\ndef handler(e, c):\n  a = c.get_remaining_time_in_millis()\n"
                                             "  time.sleep(.05)\n  return a - c.get_remaining_time_in_millis()"}))
    runtime.ready()
    assert runtime.invoke().json >= 45


def test_a_broken_handler_name_leaves_no_process(python_runtime, task):
    runtime = python_runtime(task({"app.py": "raise SystemError('x')"}))
    frame = runtime.recv()
    assert (frame.kind, frame.meta) == (INIT_ERROR, ["SystemError"])
    assert runtime.exit_code() == 1
