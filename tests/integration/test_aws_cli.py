"""The AWS CLI, as a person or a script uses it."""

import json

from harness import ROLE, pack, unique
from models import deploy, publish, scaled


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


def test_a_model_behind_an_endpoint_with_the_aws_cli(server, tmp_path):
    function, one, two, config, endpoint = (unique(stem) for stem in ("model", "one", "two", "config", "endpoint"))
    row, out = tmp_path / "row.csv", tmp_path / "out.csv"
    row.write_text("1,2\n")
    aws = lambda *args: server.aws("sagemaker", *args)  # noqa: E731
    call = lambda *args: json.loads(server.aws(  # noqa: E731
        "sagemaker-runtime", "invoke-endpoint", "--content-type", "text/csv", "--body", f"fileb://{row}", *args, out).out)
    deploy(server, scaled(2.0), name=function)
    assert publish(server, function, scaled(2.0)) == "1"
    assert publish(server, function, scaled(3.0)) == "2"
    call("--endpoint-name", function)  # never created: the function of that name, as it is now
    assert out.read_text().split() == ["3,6"]
    for model, version in ((one, 1), (two, 2)):
        aws("create-model", "--model-name", model, "--primary-container", f"Image={function}:{version}",
            "--execution-role-arn", ROLE)
    variant = "VariantName={0},ModelName={0},InitialVariantWeight=1,InstanceType=ml.m5.large,InitialInstanceCount=1"
    aws("create-endpoint-config", "--endpoint-config-name", config, "--production-variants", variant.format(one))
    aws("create-endpoint-config", "--endpoint-config-name", config + "-half", "--production-variants",
        variant.format(one), variant.format(two))
    aws("create-endpoint", "--endpoint-name", endpoint, "--endpoint-config-name", config)
    aws("wait", "endpoint-in-service", "--endpoint-name", endpoint)
    assert call("--endpoint-name", endpoint)["InvokedProductionVariant"] == one
    assert out.read_text().split() == ["2,4"]
    aws("update-endpoint", "--endpoint-name", endpoint, "--endpoint-config-name", config + "-half")
    aws("wait", "endpoint-in-service", "--endpoint-name", endpoint)
    assert call("--endpoint-name", endpoint, "--target-variant", two)["InvokedProductionVariant"] == two
    assert out.read_text().split() == ["3,6"]
    shares = json.loads(aws("describe-endpoint", "--endpoint-name", endpoint).out)["ProductionVariants"]
    assert [share["CurrentWeight"] for share in shares] == [1, 1]
    aws("delete-endpoint", "--endpoint-name", endpoint)


def test_a_function_error_is_told(server, tmp_path):
    name, out = unique("cli"), tmp_path / "out.json"
    server.create("def handler(e, c):\n    raise ValueError('no')\n", name=name)
    answer = json.loads(server.aws("lambda", "invoke", "--function-name", name, out).out)
    assert answer["FunctionError"] == "Unhandled" and json.loads(out.read_text())["errorType"] == "ValueError"
