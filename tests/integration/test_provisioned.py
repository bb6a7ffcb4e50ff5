"""Provisioned concurrency of an alias, and what is refused of it. Of a version: test_clones.py."""

import pytest

from harness import unique, until
from test_clones import NUMBERS, clonable
from test_scaling import instances


@pytest.fixture
def versions(server, lam, name):
    """A function with versions 1 and 2, and an alias `live` of the first."""
    server.create(NUMBERS, name=name)
    for text in ("one", "two"):
        lam.update_function_configuration(FunctionName=name, Description=text)
        server.updated(name)
        lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def put(lam, function, qualifier, count=2):
    return lam.put_provisioned_concurrency_config(
        FunctionName=function, Qualifier=qualifier, ProvisionedConcurrentExecutions=count)


def ready(lam, function, qualifier):
    def there():
        config = lam.get_provisioned_concurrency_config(FunctionName=function, Qualifier=qualifier)
        return config if config["Status"] == "READY" else None
    return until(there, 60, "READY")


def provisioned(server, function):
    return sorted(i["version"] for i in instances(server, function) if i["provisioned"] and i["state"] == "idle")


def test_it_follows_an_alias_to_another_version(server, lam, versions):
    answer = put(lam, versions, "live")
    assert (answer["Status"], answer["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
    config = ready(lam, versions, "live")
    assert (config["AllocatedProvisionedConcurrentExecutions"], config["AvailableProvisionedConcurrentExecutions"]) == (2, 2)
    assert provisioned(server, versions) == ["1", "1"]
    (listed,) = lam.list_provisioned_concurrency_configs(FunctionName=versions)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":{versions}:live")
    assert server.invoke(versions, {}, Qualifier="live").payload["type"] == "provisioned-concurrency"

    lam.update_alias(FunctionName=versions, Name="live", FunctionVersion="2")
    until(lambda: provisioned(server, versions) == ["2", "2"], 60, "instances of the other version")
    ready(lam, versions, "live")
    answer = server.invoke(versions, {}, Qualifier="live")
    assert (answer.version, answer.payload["type"]) == ("2", "provisioned-concurrency")

    lam.delete_provisioned_concurrency_config(FunctionName=versions, Qualifier="live")
    until(lambda: not provisioned(server, versions), 60, "none")
    with pytest.raises(lam.exceptions.ProvisionedConcurrencyConfigNotFoundException):
        lam.get_provisioned_concurrency_config(FunctionName=versions, Qualifier="live")


def test_it_survives_a_restart(fresh):
    server = fresh()
    lam, function = server.client(), unique()
    server.create(NUMBERS, name=function)
    version = lam.publish_version(FunctionName=function)["Version"]
    put(lam, function, version)
    server.kill9()
    server.start()
    lam = server.client()
    assert ready(lam, function, version)["AvailableProvisionedConcurrentExecutions"] == 2


def test_what_cannot_be_provisioned_is_refused_and_changes_nothing(server, lam, versions):
    refused = lam.exceptions.InvalidParameterValueException
    for qualifier, count, error in [
            ("$LATEST", 1, refused), ("1", 10**6, refused),
            ("7", 1, lam.exceptions.ResourceNotFoundException), ("none", 1, lam.exceptions.ResourceNotFoundException)]:
        with pytest.raises(error):
            put(lam, versions, qualifier, count)
    put(lam, versions, "live", 1)
    with pytest.raises(lam.exceptions.ResourceConflictException):  # what the alias points at
        put(lam, versions, "1", 1)
    with pytest.raises(refused):
        lam.get_provisioned_concurrency_config(FunctionName=versions, Qualifier="$LATEST")
    (listed,) = lam.list_provisioned_concurrency_configs(FunctionName=versions)["ProvisionedConcurrencyConfigs"]
    assert listed["RequestedProvisionedConcurrentExecutions"] == 1
    lam.put_function_concurrency(FunctionName=versions, ReservedConcurrentExecutions=2)
    with pytest.raises(refused):
        put(lam, versions, "2", 2)


def test_an_initialisation_that_hangs_keeps_no_other_function_from_its_spare(server, lam, name):
    hangs = unique()
    server.create("import time\ntime.sleep(1000)\n", name=hangs)
    put(lam, hangs, lam.publish_version(FunctionName=hangs)["Version"], 1)
    until(lambda: any(i["state"] == "starting" for i in instances(server, hangs)), 60, "its start")
    clonable(server, name)
    assert any(i["state"] == "starting" for i in instances(server, hangs))
    lam.delete_function(FunctionName=hangs)


def test_a_version_with_snap_start_is_not_provisioned(server, lam, name):
    server.create(NUMBERS, name=name, SnapStart={"ApplyOn": "PublishedVersions"})
    version = lam.publish_version(FunctionName=name)["Version"]
    with pytest.raises(lam.exceptions.InvalidParameterValueException, match="SnapStart"):
        put(lam, name, version)
