"""The same code and event in AWS's own Python runtime and in ours: the same answer, the same log."""

import json
import re
import subprocess
import time

import pytest

from channel import ARN, ERROR, INIT_ERROR, READY, RESPONSE, ROOT, WAIT

ANSWERS = """
import collections, datetime, decimal, enum, math
Point = collections.namedtuple("Point", "x y")
class Color(enum.IntEnum): RED = 1
class Word(str, enum.Enum): A = "a"
class Real(float): pass
class AsDict:
    def _asdict(self): return {"z": Point(1, 2)}
circle = []; circle.append(circle)
D = decimal.Decimal
VALUES = {
  "none": None, "text": "é\\u2028\\x7f/\\\\\\"\\n\\x01", "int": 10**30, "float": 1e-7, "negative_zero": -0.0,
  "nan": math.nan, "infinity": -math.inf, "bool": [True, False], "tuple": (1, (2, [3])),
  "nested": {"a": {"b": [{"c": ()}]}}, "decimal": D("1.10"),
  "decimals": {"a": [D("0.1"), D("1E+5"), {"b": D("-7")}], "s": "0.1"},
  "decimal_nan": [D("NaN"), D("sNaN")], "decimal_infinity": D("-Infinity"), "decimal_key": {D("1"): 2},
  "named": Point(1, 2), "named_inside": {"p": [Point(D("1.0"), Point(2, 3))]}, "as_dict": [AsDict()],
  "bytes": b"\\x00\\xffraw", "bytes_inside": {"a": b"x", "b": [b"\\xc3\\xa9"]}, "bytes_bad": [b"\\xff"],
  "bytes_key": {b"k": 1}, "keys": {1: 2, None: 3, True: 4, 1.5: 5}, "tuple_key": {(1, 2): 3},
  "enum": [Color.RED, Word.A, {Word.A: Color.RED}], "real": Real(1.5), "set": {1}, "datetime":
  datetime.datetime(2026, 1, 1), "object": object(), "function": len, "class": AsDict, "bytearray": bytearray(b"x"),
  "generator": (i for i in [1]), "range": range(3), "circle": circle, "ordered": collections.OrderedDict(b=1, a=2),
}
def handler(event, context): return VALUES[event]
"""
_ANSWERS = {}
exec(ANSWERS, _ANSWERS)
VALUES = list(_ANSWERS["VALUES"])

ERRORS = {
    "value": "def handler(e, c): raise ValueError('no ü')",
    "no_message": "def handler(e, c): raise ValueError",
    "own_class": "class My(Exception):\n  pass\ndef handler(e, c): raise My({'a': 1})",
    "deep": "def f(n):\n  if n: f(n - 1)\n  raise KeyError('k')\ndef handler(e, c): f(3)",
    "chained": "def handler(e, c):\n  try: 1/0\n  except Exception as x: raise RuntimeError('b') from x",
    "lines": "def handler(e, c): raise Exception('two\\nlines\\n  three')",
    "json_error": "import json\ndef handler(e, c): json.loads('{')",
    "import_late": "def handler(e, c): import not_there",
    "lambda": "handler = lambda e, c: e['missing']",
    "recursion": "def handler(e, c): raise RecursionError('stop')",
    "eval": "def handler(e, c): exec('raise ValueError(1)')",
}
NOT_STARTED = {
    "missing_module": ("nowhere.handler", {"app.py": ""}),
    "missing_import": ("app.handler", {"app.py": "import not_there_at_all"}),
    "missing_name": ("app.handler", {"app.py": "from os import not_there_at_all"}),
    "missing_handler": ("app.nope", {"app.py": "x = 1"}),
    "no_dot": ("app", {"app.py": ""}),
    "empty": ("", {"app.py": ""}),
    "empty_module": (".handler", {"app.py": ""}),
    "built_in": ("sys.exit", {"app.py": ""}),
    "syntax": ("app.handler", {"app.py": "def handler(:\n  pass\n"}),
    "tabs": ("app.handler", {"app.py": "if 1:\n\tx = 1\n        y = 2\n"}),
    "raises": ("app.handler", {"app.py": "def f(): raise ValueError('at start')\nf()\n"}),
    "raises_inside": ("pkg/mod.handler", {"pkg/__init__.py": "", "pkg/mod.py": "import other", "other.py": "1/0"}),
    "folder_missing": ("pkg/mod.handler", {"app.py": ""}),
}
LOGS = {
    "records": "import logging\nlog = logging.getLogger('mine')\nlog.error('at start')\n"
               "def handler(e, c):\n"
               "  logging.getLogger().setLevel('DEBUG')\n  log.debug('d %s', 1); log.warning({'a': 1}); print('p')\n"
               "  log.info('x', extra={'one': 1, 'two': None, 'three': {1}})\n  log.log(35, 'between')\n"
               "  c.log('from context\\n')\n"
               "  try: 1/0\n  except Exception: log.exception('caught %d', 7)",
    "unicode": "def handler(e, c): print('é\\u2028 \\ud800'.encode('utf-8', 'replace')); print('é')",
    "context": "def handler(e, c):\n  print(c)\n  print(c.client_context, c.identity, c.w3c())\n"
               "  return sorted(n for n in dir(c) if not n.startswith('_'))",
}


def event(body, **more):
    return {"invoke_id": "id-1", "x_amzn_trace_id": None, "invoked_function_arn": ARN, "client_context": None,
            "deadline_time_in_ms": int(time.time() * 1000) + 60_000, "cognito_identity": None, "tenant_id": None,
            "content_type": "application/json", "event_body": body, "invocation_id": None, **more}


@pytest.fixture
def both(python, awslambdaric, python_runtime, task):
    """Runs events in both runtimes; answers what each posted and logged."""
    def run(files, bodies, handler="app.handler", environment=None, **fields):
        version = subprocess.run([python, "-V"], capture_output=True, text=True).stdout.split()[1]
        env = {"AWS_EXECUTION_ENV": "AWS_Lambda_python" + version.rpartition(".")[0], **(environment or {})}
        folder = task(files)
        ours = python_runtime(folder, handler=handler, environment=env)
        answers = []
        first = ours.recv()
        if first.kind == INIT_ERROR:
            answers.append({"init_error": first.json})
            assert first.meta == [first.json["errorType"]]
            assert ours.exit_code() == 1
        else:
            assert first.kind == READY
            for body in bodies:
                frame = ours.invoke(raw=body.encode(), **fields)
                if frame.kind == ERROR:
                    assert frame.meta == [frame.json["errorType"]]
                    answers.append({"error": frame.json})
                else:
                    assert frame.kind == RESPONSE
                    raw = frame.meta[0] == "application/unknown"
                    answers.append({"result": frame.payload.decode("latin-1" if raw else "utf-8"),
                                    "content_type": frame.meta[0] or "application/json"})
        if first.kind == READY:
            ours.send(2)
        log = ours.whole_log()

        given = {key: value for key, value in fields.items() if key in ("client_context", "tenant_id")}
        given["cognito_identity"] = fields.get("identity")
        given["tenant_id"] = fields.get("tenant")
        output = folder / "aws.json"
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": ":UTC", "LAMBDA_TASK_ROOT": str(folder),
               "_HANDLER": handler, "AWS_LAMBDA_FUNCTION_NAME": "tried", "AWS_LAMBDA_FUNCTION_VERSION": "7",
               "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tried",
               "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/24/[7]abc", "SAMOVAR_LAYERS": str(folder / "opt"), **env}
        done = subprocess.run(
            [python, ROOT / "tests/runtimes/aws_python.py", awslambdaric, output,
             json.dumps([event(body, **given) for body in bodies])],
            env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT)
        theirs = json.loads(output.read_text()) if output.exists() else done.stdout.decode()
        return answers, theirs, log, aws_log(done.stdout.decode(errors="replace"))
    return run


def aws_log(text):
    """AWS's log as its platform shows it: records of several lines; without the warning that we leave out."""
    warning = re.compile(r'^(\[WARNING\]\t|\{"timestamp").*LAMBDA_WARNING: Unhandled exception.*?\n', re.M)
    return warning.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")


def without_times(log):
    # AWS's text form leaves the last line of a traceback open; its platform closes it.
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", "TIME", log).rstrip("\n")


def assert_alike(answers, theirs, log, their_log):
    assert answers == theirs
    assert without_times(log) == without_times(their_log)


def test_answers_are_the_same_text(both):
    answers, theirs, log, their_log = both({"app.py": ANSWERS}, [json.dumps(name) for name in VALUES])
    assert len(VALUES) > 35
    for name, ours, aws in zip(VALUES, answers, theirs):
        assert no_addresses(ours) == no_addresses(aws), name


def no_addresses(answer):
    return json.loads(re.sub(r"0x[0-9a-f]+", "0x", json.dumps(answer)))


def test_errors_of_a_handler_are_the_same(both):
    for name, code in ERRORS.items():
        answers, theirs, log, their_log = both({"app.py": code}, ["{}"])
        assert_alike(answers, theirs, log, their_log)
        assert answers[0]["error"]["requestId"] == "id-1", name


@pytest.mark.parametrize("name", NOT_STARTED)
def test_errors_of_the_start_are_the_same(both, name):
    handler, files = NOT_STARTED[name]
    answers, theirs, log, their_log = both(files, ["{}"], handler=handler)
    if name in ("no_dot", "empty"):  # a newer client words Python's own message alike
        assert answers[0]["init_error"]["errorType"] == "Runtime.MalformedHandlerName"
    assert_alike(answers, theirs, log, their_log)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("format", ["Text", "JSON"])
def test_logs_are_the_same(both, name, format):
    assert_alike(*both({"app.py": LOGS[name]}, ["{}"], environment={"AWS_LAMBDA_LOG_FORMAT": format}))


def test_a_log_level_counts_in_both_formats(both):
    code = "import logging\ndef handler(e, c):\n  for n in (10, 20, 30, 40): logging.log(n, 'at %d', n)"
    for format in "Text", "JSON":
        assert_alike(*both({"app.py": code}, ["{}"], environment={
            "AWS_LAMBDA_LOG_FORMAT": format, "AWS_LAMBDA_LOG_LEVEL": "INFO"}))


def test_errors_are_logged_as_json_alike(both):
    env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    assert_alike(*both({"app.py": ERRORS["value"]}, ["{}"], environment=env))
    assert_alike(*both({"app.py": "import nowhere"}, ["{}"], environment=env))


def test_contexts_are_the_same(both):
    context = {"custom": {"a": "é"}, "env": {"b": 1}, "client": {"installation_id": "i", "app_title": "t"},
               "w3c": {"traceparent": "00-1", "baggage": 7, "other": "x"}}
    identity = {"cognitoIdentityId": "us-east-1:1", "cognitoIdentityPoolId": "us-east-1:2"}
    assert_alike(*both({"app.py": LOGS["context"]}, ["{}"], client_context=json.dumps(context),
                       identity=json.dumps(identity), tenant="blue"))
    for broken in ({"client_context": "{"}, {"identity": "nope"}, {"client_context": "null"}):
        answers, theirs, _, _ = both({"app.py": LOGS["context"]}, ["{}"], **broken)
        assert kind(answers[0]) == kind(theirs[0])


def kind(answer):
    return answer.get("error", {}).get("errorType")


def test_a_handler_of_the_wrong_shape_fails_alike(both):
    answers, theirs, _, _ = both({"app.py": "def handler(e): pass"}, ["{}"])
    for document in (answers[0]["error"], theirs[0]["error"]):
        assert document["errorType"] == "TypeError" and document["stackTrace"]
    assert answers[0]["error"]["errorMessage"] == theirs[0]["error"]["errorMessage"]


def test_an_event_that_is_not_json_fails_alike(both):
    for body in ("", "tru", '{"a":', '"abc', "[1,"):
        answers, theirs, _, _ = both({"app.py": "def handler(e, c): return e"}, [body])
        assert answers == theirs
        assert answers[0]["error"]["errorType"] == "Runtime.UnmarshalError"
