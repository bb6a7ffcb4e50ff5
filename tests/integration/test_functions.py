"""What a function is: create, read, update, delete, with boto3; its waiters, paginators and errors."""

import base64
import hashlib
import json
import re

import pytest
from botocore.exceptions import ClientError

from errors import BAD, CONFLICT, GONE, SHAPE, STALE, refused
from harness import ECHO, HTTP, ROLE, arn, pack, unique


def test_a_function_goes_from_created_to_deleted(server, lam, name):
    zipped = pack(ECHO)
    made = lam.create_function(
        FunctionName=name, Runtime=server.runtime(), Role=ROLE, Handler="app.handler",
        Code={"ZipFile": zipped}, Description="d", MemorySize=256, Timeout=7,
        Environment={"Variables": {"AA": "1"}}, EphemeralStorage={"Size": 600})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["State"] in ("Pending", "Active")
    assert made["FunctionArn"] == arn(name) and made["Version"] == "$LATEST"
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(zipped).digest()).decode()
    assert made["CodeSize"] == len(zipped)
    lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    lam.get_waiter("function_exists").wait(FunctionName=name)
    got = lam.get_function(FunctionName=name)
    config = got["Configuration"]
    assert config["State"] == "Active" and config["LastUpdateStatus"] == "Successful"
    assert (config["MemorySize"], config["Timeout"], config["Description"]) == (256, 7, "d")
    assert config["Environment"] == {"Variables": {"AA": "1"}}
    assert config["EphemeralStorage"] == {"Size": 600}
    assert config["PackageType"] == "Zip" and config["Architectures"] == ["x86_64"]
    assert config["TracingConfig"] == {"Mode": "PassThrough"}
    assert config["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{name}"
    assert got["Code"]["RepositoryType"] == "S3"
    assert HTTP.request("GET", got["Code"]["Location"]).data == zipped
    for spelled in (arn(name), f"000000000000:function:{name}", arn(name, "$LATEST")):
        assert lam.get_function_configuration(FunctionName=spelled)["FunctionName"] == name
    assert lam.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)
    with refused(GONE, 404, f"Function not found: {arn(name)}"):
        lam.get_function(FunctionName=name)
    with refused(GONE, 404):
        lam.delete_function(FunctionName=name)


def test_update_code_and_configuration(server, lam, name):
    server.create(name=name)
    assert server.invoke(name, {"x": 1}).payload == {"x": 1}
    before = lam.get_function_configuration(FunctionName=name)
    new = "import os\ndef handler(e, c):\n    return os.environ.get('AA', 'none')\n"
    tried = lam.update_function_code(FunctionName=name, ZipFile=pack(new), DryRun=True)
    assert tried["CodeSha256"] != before["CodeSha256"]
    assert server.invoke(name, 5).payload == 5  # the dry run changed nothing
    changed = lam.update_function_code(FunctionName=name, ZipFile=pack(new))
    assert changed["RevisionId"] != before["RevisionId"]
    server.updated(name)
    assert server.invoke(name).payload == "none"
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": {"AA": "b"}}, Timeout=9)
    server.updated(name)
    assert server.invoke(name).payload == "b"
    config = lam.get_function_configuration(FunctionName=name)
    assert config["Timeout"] == 9 and config["Handler"] == "app.handler"


def test_an_update_needs_the_revision_it_names(server, lam, name):
    server.create(name=name)
    with refused(STALE, 412, "The Revision Id provided does not match the latest Revision Id."):
        lam.update_function_configuration(FunctionName=name, RevisionId="0" * 8 + "-" + "0" * 27, Timeout=4)
    with refused(STALE, 412):
        lam.update_function_code(FunctionName=name, RevisionId="stale", ZipFile=pack(ECHO))
    with refused(STALE, 412):
        lam.publish_version(FunctionName=name, RevisionId="stale")
    now = lam.get_function_configuration(FunctionName=name)["RevisionId"]
    lam.update_function_configuration(FunctionName=name, RevisionId=now, Timeout=4)


def test_names_and_bodies_that_are_refused(server, lam, name):
    server.create(name=name)
    with refused(CONFLICT, 409, "Function already exist"):
        lam.create_function(FunctionName=name, Runtime=server.runtime(), Role=ROLE, Handler="a.b",
                            Code={"ZipFile": pack(ECHO)})
    common = dict(Role=ROLE, Handler="a.b", Runtime=server.runtime(), Code={"ZipFile": pack(ECHO)})
    fresh_name = unique()
    with refused(BAD, 400, "Could not unzip uploaded file"):
        lam.create_function(FunctionName=fresh_name, **{**common, "Code": {"ZipFile": b"no zip"}})
    with refused(BAD, 400, "python3.99"):
        lam.create_function(FunctionName=fresh_name, **{**common, "Runtime": "python3.99"})
    unchecked = server.client(parameter_validation=False)  # else boto3 itself refuses
    with refused(SHAPE, 400, "memorySize"):
        unchecked.create_function(FunctionName=fresh_name, MemorySize=127, **common)
    with refused(SHAPE, 400, "timeout"):
        unchecked.create_function(FunctionName=fresh_name, Timeout=0, **common)
    with refused(BAD, 400, "4KB limit"):
        lam.create_function(FunctionName=fresh_name, Environment={"Variables": {"LARGE": "x" * 4097}}, **common)
    with refused(BAD, 400, "AWS_REGION"):
        lam.create_function(FunctionName=fresh_name, Environment={"Variables": {"AWS_REGION": "x"}}, **common)
    with refused(GONE, 404):
        lam.get_function(FunctionName=fresh_name)


def test_the_list_is_paged(server, lam):
    names = sorted(unique("page") for _ in range(5))
    for each in names:
        server.create(name=each)
    pages = list(lam.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Functions"]) <= 2 for page in pages)
    listed = [f["FunctionName"] for page in pages for f in page["Functions"]]
    assert [n for n in listed if n in names] == names
    assert len(listed) == len(set(listed))
    for each in names:
        lam.delete_function(FunctionName=each)


def test_versions_are_frozen(server, lam, name):
    server.create("def handler(e, c):\n    return [1, c.function_version]\n", name=name)
    first = lam.publish_version(FunctionName=name, Description="one")
    assert (first["Version"], first["Description"]) == ("1", "one")
    assert first["FunctionArn"] == arn(name, "1")
    assert lam.publish_version(FunctionName=name)["Version"] == "1"  # nothing changed since
    sha = lam.update_function_code(
        FunctionName=name, ZipFile=pack("def handler(e, c):\n    return [2, c.function_version]\n"))["CodeSha256"]
    server.updated(name)
    with refused(BAD, 400, "is different from current CodeSHA256"):
        lam.publish_version(FunctionName=name, CodeSha256="somenonexistentsha256")
    assert lam.publish_version(FunctionName=name, CodeSha256=sha)["Version"] == "2"
    lam.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="2", WaiterConfig={"Delay": 0.05})
    assert server.invoke(name, Qualifier="1").payload == [1, "1"]
    assert server.invoke(arn(name, "2")).payload == [2, "2"]
    assert server.invoke(name).version == "$LATEST"
    versions = [v["Version"] for page in lam.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 2}) for v in page["Versions"]]
    assert versions == ["$LATEST", "1", "2"]
    lam.delete_function(FunctionName=name, Qualifier="1")
    with refused(GONE, 404, arn(name, "1")):
        lam.get_function(FunctionName=name, Qualifier="1")
    with refused(BAD, 400, "$LATEST version cannot be deleted"):
        lam.delete_function(FunctionName=name, Qualifier="$LATEST")
    with refused(BAD, 400, "The derived qualifier from the function name does not match"):
        lam.get_function(FunctionName=arn(name, "2"), Qualifier="3")


def test_publish_on_create_and_update(server, lam, name):
    made = server.create(name=name, Publish=True)
    assert made["Version"] == "1"
    updated = lam.update_function_code(FunctionName=name, ZipFile=pack(ECHO + "# 2\n"), Publish=True)
    assert updated["Version"] == "2"


def test_an_alias_moves_and_shares(server, lam, name):
    server.create("def handler(e, c):\n    return c.function_version\n", name=name, Publish=True)
    lam.update_function_code(FunctionName=name, Publish=True,
                             ZipFile=pack("# 2\ndef handler(e, c):\n    return c.function_version\n"))
    server.updated(name)
    made = lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="x")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201 and made["AliasArn"] == arn(name, "live")
    assert server.invoke(name, Qualifier="live").version == "1"
    half = lam.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert half["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    seen = [server.invoke(name, Qualifier="live").version for _ in range(60)]
    assert 8 < seen.count("2") < 52, seen  # either bound fails by chance once in 10^8 runs
    moved = lam.update_alias(FunctionName=name, Name="live", FunctionVersion="2",
                             RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in moved or not moved["RoutingConfig"].get("AdditionalVersionWeights")
    assert {server.invoke(name, Qualifier="live").payload for _ in range(5)} == {"2"}
    assert lam.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "2"
    assert [a["Name"] for a in lam.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    with refused(CONFLICT, 409, "Alias already exists"):
        lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    with refused(GONE, 404, arn(name, "9")):
        lam.create_alias(FunctionName=name, Name="other", FunctionVersion="9")
    with refused(BAD, 400, "$LATEST is not supported for an alias pointing to more than 1 version"):
        lam.create_alias(FunctionName=name, Name="other", FunctionVersion="$LATEST",
                         RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
    with refused(BAD, 400, "Number of items in AdditionalVersionWeights cannot be greater than 1"):
        lam.update_alias(FunctionName=name, Name="live",
                         RoutingConfig={"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}})
    with refused(SHAPE, 400, "routingConfig.additionalVersionWeights"):
        lam.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"1": 2.0}})
    with refused(SHAPE, 400, "'2024' at 'name'"):
        lam.create_alias(FunctionName=name, Name="2024", FunctionVersion="1")
    with refused(STALE, 412):
        lam.update_alias(FunctionName=name, Name="live", RevisionId="stale", FunctionVersion="1")
    with refused(CONFLICT, 409):
        lam.delete_function(FunctionName=name, Qualifier="2")  # the alias points to it
    assert lam.delete_alias(FunctionName=name, Name="live")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused(GONE, 404, f"Cannot find alias arn: {arn(name, 'live')}"):
        lam.get_alias(FunctionName=name, Name="live")


def test_layers_lie_under_opt_in_order(server, lam, name):
    layer = unique("layer")
    first = lam.publish_layer_version(
        LayerName=layer, Content={"ZipFile": pack({"python/shared.py": "WORD = 'one'\n", "a.txt": "1"})},
        CompatibleRuntimes=["python3.11"], Description="words", LicenseInfo="MIT")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201 and first["Version"] == 1
    second = lam.publish_layer_version(
        LayerName=layer + "-b", Content={"ZipFile": pack({"python/shared.py": "WORD = 'two'\n", "b.txt": "2"})})
    code = ("import os, shared\ndef handler(e, c):\n    return [shared.WORD, sorted(os.listdir('/opt')),"
            " open('/opt/a.txt').read()]\n")
    server.create(code, name=name, Layers=[first["LayerVersionArn"], second["LayerVersionArn"]])
    assert server.invoke(name).payload == ["two", ["a.txt", "b.txt", "python"], "1"]
    config = lam.get_function_configuration(FunctionName=name)
    assert [each["Arn"] for each in config["Layers"]] == [first["LayerVersionArn"], second["LayerVersionArn"]]
    got = lam.get_layer_version(LayerName=layer, VersionNumber=1)
    assert got["LicenseInfo"] == "MIT" and HTTP.request("GET", got["Content"]["Location"]).status == 200
    assert lam.get_layer_version_by_arn(Arn=first["LayerVersionArn"])["Version"] == 1
    assert layer in [each["LayerName"] for page in lam.get_paginator("list_layers").paginate()
                     for each in page["Layers"]]
    assert lam.publish_layer_version(LayerName=layer, Content={"ZipFile": pack({"c": "3"})})["Version"] == 2
    assert [v["Version"] for v in lam.list_layer_versions(LayerName=layer)["LayerVersions"]] == [2, 1]
    lam.delete_layer_version(LayerName=layer, VersionNumber=1)
    with refused(GONE, 404, "The resource you requested does not exist."):
        lam.get_layer_version(LayerName=layer, VersionNumber=1)
    assert server.invoke(name).error == ""  # a function keeps the layer that it was made with
    with refused(BAD, 400, "does not exist"):
        lam.update_function_configuration(FunctionName=name, Layers=[first["LayerVersionArn"]])
    lam.add_layer_version_permission(LayerName=layer, VersionNumber=2, StatementId="s1", Principal="*",
                                     Action="lambda:GetLayerVersion")
    assert "s1" in lam.get_layer_version_policy(LayerName=layer, VersionNumber=2)["Policy"]
    with refused(CONFLICT, 409, "The statement id (s1) provided already exists"):
        lam.add_layer_version_permission(LayerName=layer, VersionNumber=2, StatementId="s1", Principal="*",
                                         Action="lambda:GetLayerVersion")
    lam.remove_layer_version_permission(LayerName=layer, VersionNumber=2, StatementId="s1")


def test_more_layers_than_lambda_takes(server, lam, name):
    arns = [lam.publish_layer_version(
        LayerName=unique("many"), Content={"ZipFile": pack({f"f{i}": str(i)})})["LayerVersionArn"] for i in range(8)]
    server.create("import os\ndef handler(e, c):\n    return sorted(os.listdir('/opt'))\n", name=name, Layers=arns)
    assert server.invoke(name).payload == [f"f{i}" for i in range(8)]


def test_tags(server, lam, name):
    server.create(name=name, Tags={"a": "1"})
    lam.tag_resource(Resource=arn(name), Tags={"b": "2", "c": "3"})
    lam.untag_resource(Resource=arn(name), TagKeys=["a"])
    assert lam.list_tags(Resource=arn(name))["Tags"] == {"b": "2", "c": "3"}
    assert lam.get_function(FunctionName=name)["Tags"] == {"b": "2", "c": "3"}
    with refused(BAD, 400, "Number of tags exceeds resource tag limit."):
        lam.tag_resource(Resource=arn(name), Tags={f"k{i}": "v" for i in range(51)})
    with refused(GONE, 404):
        lam.list_tags(Resource=arn(name + "x"))
    with refused(SHAPE, 400, "resource"):
        lam.list_tags(Resource="arn:aws:something")


def test_resource_policy(server, lam, name):
    server.create(name=name)
    with refused(GONE, 404, "The resource you requested does not exist."):
        lam.get_policy(FunctionName=name)

    added = lam.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction",
                               Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::bucket")
    statement = json.loads(added["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"} and statement["Resource"] == arn(name)
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}
    policy = lam.get_policy(FunctionName=name)
    assert [s["Sid"] for s in json.loads(policy["Policy"])["Statement"]] == ["s"]
    with refused(CONFLICT, 409, "The statement id (s) provided already exists"):
        lam.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    with refused(STALE, 412, "GetPolicy"):
        lam.add_permission(FunctionName=name, StatementId="t", Action="lambda:InvokeFunction",
                           Principal="s3.amazonaws.com", RevisionId="00000000-0000-0000-0000-000000000000")
    with refused(GONE, 404, "Statement nope is not found in resource policy."):
        lam.remove_permission(FunctionName=name, StatementId="nope")
    lam.remove_permission(FunctionName=name, StatementId="s", RevisionId=policy["RevisionId"])
    with refused(GONE, 404):
        lam.get_policy(FunctionName=name)


def test_reserved_concurrency_settings(server, lam, name):
    server.create(name=name)
    free = lam.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert "ReservedConcurrentExecutions" not in lam.get_function_concurrency(FunctionName=name)
    assert lam.put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=7)["ReservedConcurrentExecutions"] == 7
    assert lam.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 7
    assert lam.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 7}
    settings = lam.get_account_settings()
    limit = settings["AccountLimit"]
    assert limit["UnreservedConcurrentExecutions"] == free - 7
    assert settings["AccountUsage"]["FunctionCount"] >= 1
    with refused(BAD, 400, "UnreservedConcurrentExecution below its minimum value"):
        lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=limit["ConcurrentExecutions"])
    with refused(BAD, 400, "This operation is permitted on Lambda functions only."):
        lam.put_function_concurrency(FunctionName=arn(name, "$LATEST"), ReservedConcurrentExecutions=1)
    assert lam.delete_function_concurrency(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "ReservedConcurrentExecutions" not in lam.get_function_concurrency(FunctionName=name)


def test_event_invoke_config(server, lam, name):
    server.create(name=name)
    target = unique("target")
    server.create(name=target)
    put = lam.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnSuccess": {"Destination": arn(target)}})
    assert put["FunctionArn"] == arn(name, "$LATEST")
    update = lam.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    assert (update["MaximumRetryAttempts"], update["MaximumEventAgeInSeconds"]) == (0, 60)
    got = lam.get_function_event_invoke_config(FunctionName=name)
    assert got["DestinationConfig"]["OnSuccess"] == {"Destination": arn(target)}
    assert len(lam.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]) == 1
    with refused(BAD, 400, "You must specify at least one of error handling or destination setting."):
        lam.put_function_event_invoke_config(FunctionName=name)
    with refused(BAD, 400, "You can't specify the function as a destination for itself."):
        lam.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn(name)}})
    with refused(BAD, 400, "is invalid."):
        lam.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn("doesnotexist")}})
    lam.delete_function_event_invoke_config(FunctionName=name)
    with refused(GONE, 404, f"The function {arn(name, '$LATEST')} doesn't have an EventInvokeConfig"):
        lam.get_function_event_invoke_config(FunctionName=name)


def test_url_config(server, lam, name):
    server.create(name=name)
    with refused(GONE, 404, "The resource you requested does not exist."):
        lam.get_function_url_config(FunctionName=name)
    made = lam.create_function_url_config(FunctionName=name, AuthType="NONE", Cors={"AllowOrigins": ["*"]})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201 and made["InvokeMode"] == "BUFFERED"
    assert made["FunctionUrl"].startswith("http") and made["FunctionUrl"].endswith("/")
    with refused(CONFLICT, 409, "FunctionUrlConfig exists for this Lambda function"):
        lam.create_function_url_config(FunctionName=name, AuthType="NONE")
    changed = lam.update_function_url_config(FunctionName=name, AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM")
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    got = lam.get_function_url_config(FunctionName=name)
    assert (got["AuthType"], got["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")
    assert len(lam.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]) == 1
    with refused(SHAPE, 400, "[RESPONSE_STREAM, BUFFERED]"):
        lam.update_function_url_config(FunctionName=name, InvokeMode="UNKNOWN")
    lam.delete_function_url_config(FunctionName=name)
    with refused(GONE, 404):
        lam.delete_function_url_config(FunctionName=name)


# Operations that the model has and we do not answer yet; each must say so by its own name, never as if
# a function were missing.
UNSUPPORTED = {
    "ListEventSourceMappings": {}, "ListCodeSigningConfigs": {}, "ListCapacityProviders": {},
    "ListDurableExecutionsByFunction": {"FunctionName": "any"},
}


@pytest.mark.parametrize("operation", UNSUPPORTED)
def test_what_is_not_answered_yet_has_a_named_error(lam, operation):
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    try:
        getattr(lam, method)(**UNSUPPORTED[operation])
    except ClientError as error:
        response = error.response
        assert response["Error"]["Code"] not in (GONE, "UnknownOperationException", "404"), response["Error"]
        assert operation in response["Error"]["Message"], response["Error"]
        assert response["ResponseMetadata"]["HTTPStatusCode"] in (400, 501), response


def test_errors_travel_as_the_sdks_expect(server):
    reply = server.raw("GET", "/2015-03-31/functions/absent")
    assert reply.status == 404 and reply.headers["x-amzn-ErrorType"].split(":")[0] == GONE
    assert reply.json()["Message"] == f"Function not found: {arn('absent')}" and reply.json()["Type"] == "User"
    assert reply.headers["x-amzn-RequestId"]
    reply = server.raw("POST", "/2015-03-31/functions", b"{not json")
    assert reply.status == 400, reply.data


def test_code_uploaded_beforehand(server, lam, name):
    zipped = pack("def handler(e, c):\n    return 'uploaded'\n")
    sha = server.raw("PUT", "/samovar/v1/uploads", zipped).json()
    assert sha == {"sha256": hashlib.sha256(zipped).hexdigest(), "size": len(zipped)}
    assert server.raw("HEAD", f"/samovar/v1/uploads/{sha['sha256']}").status == 200
    assert server.raw("HEAD", f"/samovar/v1/uploads/{'0' * 64}").status == 404
    lam.create_function(FunctionName=name, Runtime=server.runtime(), Role=ROLE, Handler="app.handler",
                        Code={"S3Bucket": "samovar-uploads", "S3Key": sha["sha256"]})
    server.active(name)
    assert server.invoke(name).payload == "uploaded"


def test_settings_that_have_one_value_here(server, lam, name):
    server.create(name=name)
    assert lam.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert lam.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "Auto"
