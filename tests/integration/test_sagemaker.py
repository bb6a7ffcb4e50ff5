"""SageMaker's two APIs, judged by boto3: models, configurations, endpoints, and calls of them."""

import io
import json
import threading

import pytest
from botocore.exceptions import ClientError

from errors import refused
from harness import ROLE, arn, until, unique
from sagemaker import call, config_of, endpoint_of, in_service, model_of, published, sagemaker_arn

ECHO = "def handler(event, context):\n    return {'event': event, 'version': context.function_version}\n"
MADE_AT = "import time\nSTARTED = time.time()\ndef handler(event, context):\n    return {'v': VERSION}\n"
INVALID, WRONG = "ValidationException", "ValidationError"


def test_an_endpoint_is_made_described_called_and_deleted(server, control, runtime):
    function = published(server, ECHO)
    model = model_of(control, arn(function, 1))
    config = config_of(control, ("AllTraffic", model, 1))
    endpoint = unique("endpoint")
    made = control.create_endpoint(EndpointName=endpoint, EndpointConfigName=config,
                                   Tags=[{"Key": "team", "Value": "shop"}])
    assert made["EndpointArn"] == sagemaker_arn("endpoint", endpoint)
    in_service(control, endpoint)
    known = control.describe_endpoint(EndpointName=endpoint)
    assert known["EndpointStatus"] == "InService" and known["EndpointConfigName"] == config
    variant = known["ProductionVariants"][0]
    assert variant["VariantName"] == "AllTraffic" and variant["CurrentWeight"] == 1
    assert variant["DeployedImages"][0]["ResolvedImage"] == f"{function}:1"
    assert variant["CurrentInstanceCount"] == 1
    answer = call(runtime, endpoint, b'{"x": 1}')
    assert json.loads(answer["Body"]) == {"event": {"x": 1}, "version": "1"}
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    control.delete_endpoint(EndpointName=endpoint)
    control.get_waiter("endpoint_deleted").wait(EndpointName=endpoint, WaiterConfig={"Delay": 0.05})
    with refused(INVALID, 400, f'Could not find endpoint "{sagemaker_arn("endpoint", endpoint)}".'):
        control.describe_endpoint(EndpointName=endpoint)
    with refused(WRONG, 400, f"Endpoint {endpoint} of account 000000000000 not found."):
        call(runtime, endpoint)
    control.delete_endpoint_config(EndpointConfigName=config)
    control.delete_model(ModelName=model)


def test_what_was_given_is_described_as_it_came(server, control):
    function = published(server, ECHO)
    model = model_of(control, f"{function}:1", Environment={"A": "b"})
    known = control.describe_model(ModelName=model)
    assert known["PrimaryContainer"] == {"Image": f"{function}:1", "Environment": {"A": "b"}}
    assert known["ModelArn"] == sagemaker_arn("model", model) and known["ExecutionRoleArn"] == ROLE
    config = unique("config")
    variant = {"VariantName": "v", "ModelName": model, "ServerlessConfig": {
        "MemorySizeInMB": 2048, "MaxConcurrency": 5}}
    control.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
    known = control.describe_endpoint_config(EndpointConfigName=config)
    assert known["ProductionVariants"] == [{**variant, "InitialVariantWeight": 1.0}]
    endpoint = endpoint_of(control, config)
    shown = control.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    assert shown["CurrentServerlessConfig"] == variant["ServerlessConfig"]


def test_an_endpoint_that_was_never_created_is_the_function_of_its_name(server, runtime):
    function = published(server, ECHO)
    answer = call(runtime, function, b"[1, 2]")
    assert json.loads(answer["Body"]) == {"event": [1, 2], "version": "$LATEST"}
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    nobody = unique()
    with refused(WRONG, 400, f"Endpoint {nobody} of account 000000000000 not found."):
        call(runtime, nobody)


def test_bodies_that_are_not_json_come_in_an_event(server, runtime):
    code = """
import base64
def handler(event, context):
    body = base64.b64decode(event["body"])
    if body == b"bad":
        return {"statusCode": 422, "body": "no such row"}
    return {"statusCode": 200, "headers": {"content-type": event["headers"].get("accept", "text/plain"),
            "X-Amzn-SageMaker-Custom-Attributes": "seen=" + event["headers"]["x-amzn-sagemaker-custom-attributes"]},
            "body": base64.b64encode(body[::-1]).decode(), "isBase64Encoded": True}
"""
    function = published(server, code)
    for kind, body in (("text/csv", b"1,2,3\n"), ("application/x-npy", bytes(range(256)))):
        answer = call(runtime, function, body, ContentType=kind, Accept="application/x-mine",
                      CustomAttributes="a")
        assert answer["Body"] == body[::-1] and answer["ContentType"] == "application/x-mine"
        assert answer["CustomAttributes"] == "seen=a"
    with refused("ModelError", 424) as failed:
        call(runtime, function, b"bad", ContentType="text/csv", CustomAttributes="a")
    response = failed.value.response
    assert response["OriginalStatusCode"] == 422 and response["OriginalMessage"] == "no such row"


def test_what_a_function_does_wrong_is_a_model_error(server, runtime):
    code = """
def handler(event, context):
    if event.get("slow"):
        import time; time.sleep(60)
    raise ValueError("no such thing")
"""
    function = unique()
    server.create(code, name=function, Timeout=3)
    with refused("ModelError", 424) as failed:
        call(runtime, function)
    response = failed.value.response
    assert response["OriginalStatusCode"] == 500 and response["OriginalMessage"] == "no such thing"
    assert response["Error"]["Message"] == (
        'Received server error (500) from primary with message "no such thing"')
    assert response["LogStreamArn"].endswith(f":log-group:/aws/lambda/{function}")
    with refused("ModelError", 424) as failed:
        call(runtime, function, b'{"slow": true}')
    assert failed.value.response["OriginalStatusCode"] == 0
    with refused("ModelError", 424) as failed:
        call(runtime, function, b"{")
    assert failed.value.response["OriginalStatusCode"] == 400


def test_variants_share_calls_by_weight_and_can_be_named(server, control, runtime):
    one, two = published(server, ECHO), published(server, ECHO)
    config = config_of(control, ("a", model_of(control, f"{one}:1"), 3), ("b", model_of(control, two), 1),
                       ("c", model_of(control, two), 0))
    endpoint = endpoint_of(control, config)
    with refused(INVALID, 400, "InitialVariantWeight of one variant at least must be above 0"):
        config_of(control, ("a", model_of(control, two), 0), ("b", model_of(control, two), 0))
    with refused(INVALID, 400, "one of the endpoint's variants at least must be above 0"):
        control.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredWeight": 0}])
    went = [call(runtime, endpoint)["InvokedProductionVariant"] for _ in range(200)]
    assert 110 <= went.count("a") <= 185 and went.count("a") + went.count("b") == 200
    answer = call(runtime, endpoint, TargetVariant="c")
    assert answer["InvokedProductionVariant"] == "c"
    assert json.loads(answer["Body"])["version"] == "$LATEST"
    with refused(WRONG, 400, f"Variant nobody not found for endpoint {endpoint}"):
        call(runtime, endpoint, TargetVariant="nobody")
    control.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[
        {"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredWeight": 0},
        {"VariantName": "c", "DesiredWeight": 5, "DesiredInstanceCount": 2}])
    assert {call(runtime, endpoint)["InvokedProductionVariant"] for _ in range(20)} == {"c"}
    shown = {v["VariantName"]: v for v in control.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]}
    assert shown["c"]["CurrentWeight"] == 5 and shown["c"]["DesiredInstanceCount"] == 2
    with refused(INVALID, 400, 'The variant name(s) "x" is/are not present'):
        control.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=[
            {"VariantName": "x", "DesiredWeight": 1}])


def test_a_variant_whose_function_was_deleted_says_so_and_the_others_serve(server, control, runtime):
    stays, goes = published(server, ECHO), published(server, ECHO)
    endpoint = endpoint_of(control, config_of(control, ("a", model_of(control, stays), 1),
                                              ("b", model_of(control, goes), 1)))
    server.client().delete_function(FunctionName=goes)
    with refused(WRONG, 400, f"Variant b of endpoint {endpoint}: Function not found"):
        call(runtime, endpoint, TargetVariant="b")
    assert call(runtime, endpoint, TargetVariant="a")["InvokedProductionVariant"] == "a"



def test_no_call_fails_while_an_endpoint_turns(server, control, runtime):
    name = unique()
    models = []
    for version in (1, 2):
        code = f"VERSION = {version}\n" + MADE_AT
        if version == 1:
            server.create(code, name=name, Publish=True)
        else:
            from harness import pack
            server.client().update_function_code(FunctionName=name, ZipFile=pack(code), Publish=True)
            server.updated(name)
        models.append(model_of(control, f"{name}:{version}"))
    configs = [config_of(control, ("v", m, 1)) for m in models]
    endpoint = endpoint_of(control, configs[0])
    stop, seen, failed = threading.Event(), [], []

    def caller():
        client = server.client("sagemaker-runtime")
        while not stop.is_set():
            try:
                seen.append(json.loads(call(client, endpoint)["Body"])["v"])
            except Exception as error:  # any failure at all is what must not be
                failed.append(error)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(seen) > 20, what="calls of the first version")
        for config, version in ((configs[1], 2), (configs[0], 1), (configs[1], 2)):
            control.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
            in_service(control, endpoint)
            at = len(seen)
            until(lambda: len(seen) > at + 20, what="calls after the turn")
            # What was under way when it turned may still come from the old one.
            assert set(seen[at + 8:]) == {version}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed, failed[:3]


def test_a_turn_to_what_cannot_run_leaves_what_serves(server, control, runtime):
    good = published(server, ECHO)
    bad = published(server, ECHO)
    endpoint = endpoint_of(control, config_of(control, ("v", model_of(control, good), 1)))
    broken = config_of(control, ("v", model_of(control, bad), 1))
    server.client().delete_function(FunctionName=bad)
    control.update_endpoint(EndpointName=endpoint, EndpointConfigName=broken)
    in_service(control, endpoint)
    known = control.describe_endpoint(EndpointName=endpoint)
    assert "The variant v cannot be made ready" in known["FailureReason"]
    assert known["EndpointConfigName"] != broken
    assert json.loads(call(runtime, endpoint)["Body"])["version"] == "$LATEST"
    lost = unique("endpoint")
    control.create_endpoint(EndpointName=lost, EndpointConfigName=broken)
    until(lambda: control.describe_endpoint(EndpointName=lost)["EndpointStatus"] == "Failed")


def test_streams_come_in_parts(server, runtime):
    node = server.runtime("nodejs")
    code = {"index.mjs": """
export const handler = awslambda.streamifyResponse(async (event, out) => {
  out.setContentType("text/plain");
  out.write("one ");
  await new Promise(r => setTimeout(r, 50));
  if (event.fail) throw new Error("broke");
  out.write("two");
  out.end();
});
"""}
    function = unique()
    server.create(code, name=function, runtime=node, handler="index.handler")
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName=function, Body=b"{}", ContentType="application/json")
    assert answer["ContentType"] == "text/plain" and answer["InvokedProductionVariant"] == "AllTraffic"
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"one two" and len(parts) == 2
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName=function, Body=b'{"fail": true}', ContentType="application/json")
    with pytest.raises(ClientError) as failed:
        list(answer["Body"])
    assert "ModelStreamError" in str(failed.value) and "broke" in str(failed.value)
    echo = published(server, ECHO)
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=echo, Body=b"1")
    assert json.loads(b"".join(e["PayloadPart"]["Bytes"] for e in answer["Body"]))["event"] == 1
    with refused(WRONG, 400, "not found"):
        runtime.invoke_endpoint_with_response_stream(EndpointName=unique(), Body=b"1")


def test_lists_have_pages_filters_and_orders(server, control):
    function = published(server, ECHO)
    stem = unique("list")
    names = [model_of(control, function, name=f"{stem}-{i:02}") for i in range(7)]
    pages = control.get_paginator("list_models").paginate(
        NameContains=stem, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 3})
    pages = [[m["ModelName"] for m in page["Models"]] for page in pages]
    assert [len(p) for p in pages] == [3, 3, 1] and sum(pages, []) == names
    latest = control.list_models(NameContains=stem)["Models"]
    assert [m["ModelName"] for m in latest] == names[::-1]
    middle = latest[3]["CreationTime"]
    later = control.list_models(NameContains=stem, CreationTimeAfter=middle)["Models"]
    assert all(m["CreationTime"] > middle for m in later)
    with refused(INVALID, 400, "The token in NextToken is not valid."):
        control.list_models(NextToken="?")
    config = config_of(control, ("v", names[0], 1))
    assert config in [c["EndpointConfigName"] for c in control.list_endpoint_configs()["EndpointConfigs"]]
    endpoint = endpoint_of(control, config)
    serving = control.list_endpoints(StatusEquals="InService", NameContains=endpoint)["Endpoints"]
    assert [e["EndpointName"] for e in serving] == [endpoint]
    assert control.list_endpoints(StatusEquals="Failed", NameContains=endpoint)["Endpoints"] == []


def test_tags_are_added_listed_and_deleted(server, control):
    model = model_of(control, published(server, ECHO))
    resource = sagemaker_arn("model", model)
    control.add_tags(ResourceArn=resource, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    control.delete_tags(ResourceArn=resource, TagKeys=["a", "never"])
    assert control.list_tags(ResourceArn=resource)["Tags"] == [{"Key": "b", "Value": "2"}]
    with refused("ResourceNotFound", 400):
        control.list_tags(ResourceArn=sagemaker_arn("model", "nobody"))


def test_refusals_say_what_aws_says(server, control):
    function = published(server, ECHO)
    model = model_of(control, function)
    config = config_of(control, ("v", model, 1))
    endpoint = endpoint_of(control, config)
    none = sagemaker_arn
    refusals = [
        (f'Cannot create already existing model "{none("model", model)}".',
         control.create_model, dict(ModelName=model, PrimaryContainer={"Image": function})),
        (f'Cannot create already existing endpoint configuration "{none("endpoint-config", config)}".',
         control.create_endpoint_config, dict(EndpointConfigName=config, ProductionVariants=[
             {"VariantName": "v", "ModelName": model}])),
        (f'Cannot create already existing endpoint "{none("endpoint", endpoint)}".',
         control.create_endpoint, dict(EndpointName=endpoint, EndpointConfigName=config)),
        (f'Could not find model "{none("model", "nobody")}".',
         control.describe_model, dict(ModelName="nobody")),
        (f'Could not find model "{none("model", "nobody")}".',
         control.create_endpoint_config, dict(EndpointConfigName=unique(), ProductionVariants=[
             {"VariantName": "v", "ModelName": "nobody"}])),
        (f'Could not find endpoint configuration "{none("endpoint-config", "nobody")}".',
         control.create_endpoint, dict(EndpointName=unique(), EndpointConfigName="nobody")),
        (f'Could not find endpoint "{none("endpoint", "nobody")}".',
         control.delete_endpoint, dict(EndpointName="nobody")),
        ("PrimaryContainer.Image: Function not found: " + arn("nobody"),
         control.create_model, dict(ModelName=unique(), PrimaryContainer={"Image": "nobody"})),
        ("names no function", control.create_model, dict(ModelName=unique(), PrimaryContainer={
            "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1"})),
        ("PrimaryContainer.ModelDataUrl: 's3://mine/model.tar.gz' cannot be fetched here",
         control.create_model, dict(ModelName=unique(), PrimaryContainer={
             "Image": "onnx", "ModelDataUrl": "s3://mine/model.tar.gz"})),
        ("PrimaryContainer: a model needs a container", control.create_model, dict(ModelName=unique())),
        ("pipelines of several containers", control.create_model, dict(ModelName=unique(), Containers=[
            {"Image": "a"}, {"Image": "b"}])),
        ("AsyncInferenceConfig is not served here", control.create_endpoint_config,
         dict(EndpointConfigName=unique(), ProductionVariants=[{"VariantName": "v", "ModelName": model}],
              AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://b/k"}})),
        ("the variant name 'v' comes twice", control.create_endpoint_config,
         dict(EndpointConfigName=unique(), ProductionVariants=[
             {"VariantName": "v", "ModelName": model}, {"VariantName": "v", "ModelName": model}])),
    ]
    for message, operation, given in refusals:
        with refused(INVALID, 400, message):
            operation(**given)
    loose = server.client("sagemaker", parameter_validation=False)
    with refused(INVALID, 400, "Value '-x' at 'modelName' failed to satisfy constraint"):
        loose.create_model(ModelName="-x")
    with refused("UnknownOperationException", 400, "ListTrainingJobs"):
        control.list_training_jobs()


def test_models_configurations_and_endpoints_outlive_a_kill(fresh):
    server = fresh()
    control, function = server.client("sagemaker"), published(server, ECHO)
    config = config_of(control, ("v", model_of(control, f"{function}:1"), 1))
    endpoint = endpoint_of(control, config)
    late = unique("endpoint")
    control.create_endpoint(EndpointName=late, EndpointConfigName=config)  # acknowledged is on disk
    before = control.describe_endpoint(EndpointName=endpoint)
    server.kill9()
    server.start()
    control, runtime = server.client("sagemaker"), server.client("sagemaker-runtime")
    after = control.describe_endpoint(EndpointName=endpoint)
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert after == before
    for name in (endpoint, late):
        in_service(control, name)
        assert json.loads(call(runtime, name)["Body"])["version"] == "1"


def test_a_package_becomes_a_function_with_versions(server, control, runtime):
    from harness import pack
    name, hashes = unique("model"), []
    for number in (1, 2):
        body = pack(f"def handler(event, context):\n    return [{number}, context.function_version]\n")
        upload = json.loads(server.raw("PUT", "/samovar/v1/uploads", body).data)
        hashes.append(upload["sha256"])
    for number, digest in enumerate(hashes, 1):
        control.create_model(ModelName=name, PrimaryContainer={
            "Image": server.runtime(), "ModelDataUrl": f"s3://samovar-uploads/{digest}",
            "Environment": {"SAMOVAR_HANDLER": "app.handler"}})
        endpoint = endpoint_of(control, config_of(control, ("v", name, 1)))
        assert json.loads(call(runtime, endpoint)["Body"]) == [number, str(number)]
        control.delete_model(ModelName=name)
    taken = published(server, ECHO)
    with refused(INVALID, 400, f"there is a function {taken} that was not made of a model"):
        control.create_model(ModelName=taken, PrimaryContainer={
            "Image": server.runtime(), "ModelDataUrl": f"s3://samovar-uploads/{hashes[0]}"})


def test_with_keys_a_signature_is_asked_for(fresh):
    server = fresh()
    key = json.loads(server.raw("POST", "/samovar/v1/keys").data)
    good = dict(aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"])
    assert server.client("sagemaker", **good).list_models()["Models"] == []
    with refused("UnrecognizedClientException", 403):
        server.client("sagemaker").list_models()
    with refused("UnrecognizedClientException", 403):
        call(server.client("sagemaker-runtime"), "x")
    with refused(WRONG, 400, "Endpoint x of account"):
        call(server.client("sagemaker-runtime", **good), "x")
    assert server.raw("POST", "/endpoints/x/invocations", b"{}").status == 403
