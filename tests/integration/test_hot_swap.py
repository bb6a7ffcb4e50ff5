"""An alias turns to another version of a model: no call fails, and none waits for the new one to load."""

import threading

import pytest
from botocore.exceptions import ClientError

from harness import Answer, pack, unique, until
from models import ROWS, ask, body, deploy, publish, scaled

EVENT = {"instances": [[1, 1]]}


def serving(server, function):
    """Version to its instances that serve."""
    counts = {}
    for instance in server.get("/samovar/v1/instances")["instances"]:
        if instance["function"] == function and instance["state"] in ("idle", "busy"):
            counts[instance["version"]] = counts.get(instance["version"], 0) + 1
    return counts


class Callers:
    """Threads that call an alias until stopped; what each answer was."""

    def __init__(self, server, target, threads=4):
        self.server, self.target, self.stop = server, target, threading.Event()
        self.values, self.failures, self.waited = [], [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        client = self.server.client()
        while not self.stop.is_set():
            try:
                answer = Answer(client.invoke(FunctionName=self.target, Payload=body(EVENT), LogType="Tail"))
                assert not answer.error, answer.payload
                self.values.append((answer.version, answer.payload["predictions"][0][0]))
                if "Init Duration" in answer.log:
                    self.waited.append(answer.log)
            except Exception as error:  # the test reports it
                self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_no_call_fails_and_none_waits_for_the_new_version_to_load(server):
    function = deploy(server, scaled(1), Publish=True)
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    ask(server, f"{function}:live", EVENT)
    versions = ["1"] + [publish(server, function, scaled(by)) for by in (2, 3, 4)]
    with Callers(server, f"{function}:live") as callers:
        for version in versions[1:] + ["1"]:
            lam.update_alias(FunctionName=function, Name="live", FunctionVersion=version)
            assert serving(server, function).get(version), version  # before the update was answered
            seen = len(callers.values)
            until(lambda: any(v == version for v, _ in callers.values[seen:]))
    assert not callers.failures, callers.failures[:3]
    assert not callers.waited, callers.waited[:1]
    assert {v for v, _ in callers.values} == set(versions)
    assert all(value == versions.index(v) + 1 for v, value in callers.values)


def test_a_version_that_cannot_be_loaded_does_not_take_over(server):
    function = deploy(server, scaled(1), Publish=True)
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    ask(server, f"{function}:live", EVENT)
    broken = publish(server, function, ROWS[:-20])
    before = lam.get_alias(FunctionName=function, Name="live")
    with pytest.raises(ClientError) as refused:
        lam.update_alias(FunctionName=function, Name="live", FunctionVersion=broken)
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert f"Version {broken} cannot take over: Model.LoadFailed: model.onnx" in error["Message"]
    after = lam.get_alias(FunctionName=function, Name="live")
    assert after["FunctionVersion"] == "1" and after["RevisionId"] == before["RevisionId"]
    assert ask(server, f"{function}:live", EVENT) == {"predictions": [[1, 1]]}
    with pytest.raises(ClientError):  # nor a part of the calls
        lam.update_alias(FunctionName=function, Name="live", FunctionVersion="1",
                         RoutingConfig={"AdditionalVersionWeights": {broken: 0.1}})


def test_a_canary_is_loaded_before_it_gets_its_share(server):
    function = deploy(server, scaled(1), Publish=True)
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    ask(server, f"{function}:live", EVENT)
    second = publish(server, function, scaled(2))
    lam.update_alias(FunctionName=function, Name="live", RoutingConfig={"AdditionalVersionWeights": {second: 0.1}})
    assert serving(server, function) == {"1": 1, second: 1}


def test_nothing_starts_where_the_old_version_is_at_zero(server):
    function = deploy(server, scaled(1), Publish=True)
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    second = publish(server, function, scaled(2))
    lam.update_alias(FunctionName=function, Name="live", FunctionVersion=second)
    assert serving(server, function) == {}
    assert ask(server, f"{function}:live", EVENT) == {"predictions": [[2, 2]]}


def test_a_python_function_is_warm_too_and_may_turn_to_what_does_not_start(server):
    code = "def handler(event, context):\n    return context.function_version\n"
    function = unique()
    server.create(code, name=function, Publish=True)
    lam = server.client()
    lam.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    server.invoke(f"{function}:live")
    second = publish_python(server, function, code + "# two\n")
    lam.update_alias(FunctionName=function, Name="live", FunctionVersion=second)
    answer = server.invoke(f"{function}:live", LogType="Tail")
    assert answer.payload == second and "Init Duration" not in answer.log
    broken = publish_python(server, function, "raise ValueError('no')\n")
    assert lam.update_alias(FunctionName=function, Name="live", FunctionVersion=broken)["FunctionVersion"] == broken
    assert server.invoke(f"{function}:live").error == "Unhandled"  # as on AWS


def publish_python(server, function, code):
    lam = server.client()
    lam.update_function_code(FunctionName=function, ZipFile=pack(code))
    server.updated(function)
    return lam.publish_version(FunctionName=function)["Version"]
