"""examples/supermarket with a model of two lines, so that the tests need neither the receipts nor scikit-learn."""

import json
import re
import shutil
import sys
import urllib.parse

import pytest

from harness import HTTP, ROOT, run, unique
from onnx_bytes import sum_model


@pytest.fixture
def deployed(server, tmp_path):
    """The example's function, its name, and what `samovar deploy` reported."""
    example = tmp_path / "supermarket"
    shutil.copytree(ROOT / "examples/supermarket", example,
                    ignore=shutil.ignore_patterns("data", "build", ".samovar-build", "model.joblib"))
    (example / "function/requirements.txt").write_text("")
    (example / "function/joblib.py").write_text(
        "class P:\n    def predict(self, rows): return [sum(r) for r in rows]\n"
        "def load(path): return {'pipeline': P(), 'features': [f'f{i}' for i in range(100)]}\n")
    (example / "function/numpy.py").write_text(
        "class A(list):\n    def all(self): return True\n"
        "def zeros(shape): return [[0.0] * shape[1]] * shape[0]\n"
        "def asarray(table, dtype): return [[float(x) for x in row] for row in table]\n"
        "def isfinite(values): return A()\n")
    template, name = (example / "template.yaml").read_text(), unique("market")
    (example / "template.yaml").write_text(template.replace("FunctionName: supermarket", f"FunctionName: {name}")
                                           .replace("python3.11", server.runtime()))
    deploy = lambda: json.loads(server.samovar("deploy", example, "--json").out)  # noqa: E731
    return type("Deployed", (), {"name": name, "report": deploy(), "again": staticmethod(deploy)})


def call_url(server, deployed, body):
    host = urllib.parse.urlsplit(deployed.report["outputs"]["Url"]).netloc
    return HTTP.request("POST", server.endpoint + "/", body=body, headers={"Host": host})


def test_the_example_deploys_and_predicts(server, deployed):
    event = {"instances": [[1] * 100, {f"f{i}": 2 for i in range(100)}]}
    assert server.invoke(deployed.name, event, Qualifier="live").payload == {"predictions": [100.0, 200.0]}
    assert call_url(server, deployed, json.dumps(event)).json() == {"predictions": [100.0, 200.0]}
    wrong = call_url(server, deployed, '{"instances": [[1, 2]]}')
    assert wrong.status == 400 and "100 numbers" in wrong.json()["error"]


def test_its_onnx_twin_answers_behind_the_same_alias(server, deployed, tmp_path):
    (tmp_path / "model.onnx").write_bytes(sum_model(100, flat=True))
    rows = [{"features": [float(i + day) for i in range(100)]} for day in range(5)]
    (tmp_path / "rows.json").write_text(json.dumps({"rows": rows}))

    def twin():
        done = run([sys.executable, ROOT / "examples/supermarket/twin.py", tmp_path / "model.onnx",
                    tmp_path / "rows.json", deployed.name], AWS_ENDPOINT_URL=server.endpoint)
        split = re.search(r"(\d+) answered by version (\d+), (\d+) by version (\d+)", done.out)
        assert int(split[1]) > 0 and int(split[3]) > 0 and int(split[1]) + int(split[3]) == 100, done.out
        return split[2], split[4]

    assert twin() == ("1", "2")
    runtimes = {v["Version"]: v["Runtime"]
                for v in server.client().list_versions_by_function(FunctionName=deployed.name)["Versions"]}
    assert runtimes == {"$LATEST": server.runtime(), "1": server.runtime(), "2": "onnx"}
    answers = [call_url(server, deployed, json.dumps({"instances": [row["features"] for row in rows]})).json()
               for _ in range(20)]
    assert all(answer == answers[0] for answer in answers)
    wrong = [call_url(server, deployed, '{"instances": [[1, 2]]}') for _ in range(20)]
    assert all(reply.status == 400 and reply.json()["error"] for reply in wrong)
    assert len({reply.data for reply in wrong}) == 2  # each says it in its own words

    deployed.again()  # the alias goes back to Python alone; a third version, since the second is another
    assert twin() == ("3", "2")
    deployed.again()
    assert twin() == ("3", "2")
