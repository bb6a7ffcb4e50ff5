"""Models as templates: instances are clones, which share the weights and answer the same."""

import lzma

import numpy
import pytest
from onnx import helper

from harness import Server, until
from models import DATA, FLOAT, INT64, ask, build, deploy, node, value
from test_clones import states, template
from test_scaling import instances

WIDTH = 1 << 22  # 16 MB of weights


@pytest.fixture(scope="module")
def heavy():
    weights = helper.make_tensor("w", FLOAT, [WIDTH], numpy.arange(WIDTH, dtype="float32").tobytes(), raw=True)
    return build([node("Gather", ["w", "at"], ["y"])], [("at", INT64, ["N"])], [("y", FLOAT, ["N"])], [weights])


def test_instances_of_a_model_are_clones_that_share_its_weights(server, heavy):
    name = deploy(server, heavy)
    client = server.client()
    version = client.publish_version(FunctionName=name)["Version"]
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=3)
    until(lambda: client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)["Status"] == "READY",
          60, "provisioned instances")
    rows = [i for i in instances(server, name) if i["version"] == version and i["kind"] == "clone"]
    assert len([i for i in rows if i["provisioned"]]) == 3, rows
    made = until(lambda: template(server, name, version) if template(server, name, version)["memory_mb"] > 16 else None,
                 60, "the template's memory to be counted")
    assert made["stage"] == "clonable", made
    for at in ([0, 7], [WIDTH - 1, 2]):
        got = ask(server, f"{name}:{version}", {"inputs": {"at": at}})
        assert got == {"outputs": {"y": [float(i) for i in at]}}
    rows = [i for i in instances(server, name) if i["version"] == version and i["kind"] == "clone"]
    assert max(i["memory_mb"] for i in rows) < 10, rows


def test_a_template_holds_its_model_and_not_what_loading_took(server):
    name = deploy(server, lzma.decompress((DATA / "rf200.onnx.xz").read_bytes()))
    ask(server, name, {"instances": [[0.5] * 100]})
    made = until(lambda: template(server, name) if template(server, name)["memory_mb"] > 2 else None, 60,
                 "the template's memory to be counted")
    assert made["memory_mb"] < 40, made  # 10 MB of trees; loading takes 100 more


def test_a_model_loads_without_a_copy_of_its_file_beside_the_session(server):
    width = 1 << 24  # 64 MB of weights; ONNX Runtime alone needs two and a half times that
    weights = helper.make_tensor("w", FLOAT, [width], numpy.tile(numpy.arange(256, dtype="float32"), width >> 8).tobytes(),
                                 raw=True)
    model = build([node("Gather", ["w", "at"], ["y"])], [("at", INT64, ["N"])], [("y", FLOAT, ["N"])], [weights])
    name = deploy(server, model, MemorySize=224, Timeout=60)
    assert ask(server, name, {"inputs": {"at": [0, 257]}}) == {"outputs": {"y": [0.0, 1.0]}}


def test_all_clones_of_a_model_answer_as_it_does_when_it_starts_afresh(heavy):
    event = {"inputs": {"at": [3, 1, 4, 1, 5]}}
    with Server("keep_alive.policy=fixed", "keep_alive.fixed=1s") as server:
        fresh = deploy(server, heavy, Tags={"samovar:clone": "off"})
        wanted = ask(server, fresh, event)
        assert [i["kind"] for i in instances(server, fresh)] == ["fresh"]
        cloned, seen = deploy(server, heavy), set()
        for _ in range(3):
            assert ask(server, cloned, event) == wanted
            assert ask(server, cloned, event) == wanted
            seen |= {i["id"] for i in instances(server, cloned) if i["kind"] == "clone" and i["invocations"] > 0}
            until(lambda: states(server, cloned) == ["spare", "template"], 60, "a spare, and nothing else")
        assert len(seen) == 3


@pytest.mark.parametrize("operator", ["RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"])
def test_a_model_that_draws_random_numbers_is_not_cloned_and_says_why(server, operator):
    kind = {"Multinomial": 6}.get(operator, FLOAT)  # int32
    more = {"sample_size": 2} if operator == "Multinomial" else {}
    model = build([node(operator, ["x"], ["y"], **more)], [("x", FLOAT, ["N", 2])], [value("y", kind, ["N", 2])])
    name = deploy(server, model)
    ask(server, name, {"inputs": {"x": [[0.5, 0.5]]}})
    made = template(server, name)
    assert made["stage"] == "not clonable", made
    assert made["reasons"][0]["problem"] == f"the model draws random numbers ({operator}), which clones would share"
    assert [i["kind"] for i in instances(server, name)] == ["fresh"]


def test_a_model_with_threads_is_not_cloned_and_says_what_helps(server, heavy):
    name = deploy(server, heavy, settings="threads: 2")
    ask(server, name, {"inputs": {"at": [1]}})
    made = template(server, name)
    assert made["stage"] == "not clonable", made
    assert made["reasons"][0] == {"problem": "samovar.yaml gives it 2 threads", "remedy": "threads: 1"}
