"""The AWS CLI, as a person or a script uses it."""

import json

from harness import ROLE, pack, unique


def test_a_day_with_the_aws_cli(server, tmp_path):
    name, zipped, out = unique("cli"), tmp_path / "code.zip", tmp_path / "out.json"
    event = tmp_path / "event.json"
    zipped.write_bytes(pack("def handler(e, c):\n    print('seen')\n    return {'got': e, 'v': c.function_version}\n"))
    aws = lambda *args, **more: server.aws("lambda", *args, **more)  # noqa: E731
    made = json.loads(aws("create-function", "--function-name", name, "--runtime", server.runtime(), "--role", ROLE,
                          "--handler", "app.handler", "--zip-file", f"fileb://{zipped}").out)
    assert made["FunctionName"] == name
    aws("wait", "function-active-v2", "--function-name", name)
    event.write_text('{"a": 1}')
    answer = json.loads(aws("invoke", "--function-name", name, "--payload", f"fileb://{event}", "--log-type", "Tail",
                            out).out)
    assert answer["StatusCode"] == 200 and "LogResult" in answer
    assert json.loads(out.read_text()) == {"got": {"a": 1}, "v": "$LATEST"}
    aws("update-function-configuration", "--function-name", name, "--timeout", "8", "--environment",
        "Variables={AA=1,BB=2}")
    aws("wait", "function-updated-v2", "--function-name", name)
    assert json.loads(aws("publish-version", "--function-name", name).out)["Version"] == "1"
    aws("create-alias", "--function-name", name, "--name", "live", "--function-version", "1")
    aws("invoke", "--function-name", f"{name}:live", out)
    assert json.loads(out.read_text()) == {"got": {}, "v": "1"}  # no payload is an empty object
    assert json.loads(aws("invoke", "--function-name", name, "--invocation-type", "Event", out).out)["StatusCode"] == 202
    listed = json.loads(aws("list-functions", "--query", "Functions[].FunctionName").out)
    assert name in listed
    assert json.loads(aws("get-account-settings").out)["AccountLimit"]["ConcurrentExecutions"] > 0
    gone = aws("get-function", "--function-name", name + "x", check=False)
    assert gone.returncode != 0 and "ResourceNotFoundException" in gone.err
    aws("delete-function", "--function-name", name)
    assert name not in aws("list-functions").out


def test_a_function_error_is_told(server, tmp_path):
    name, out = unique("cli"), tmp_path / "out.json"
    server.create("def handler(e, c):\n    raise ValueError('no')\n", name=name)
    answer = json.loads(server.aws("lambda", "invoke", "--function-name", name, out).out)
    assert answer["FunctionError"] == "Unhandled" and json.loads(out.read_text())["errorType"] == "ValueError"
