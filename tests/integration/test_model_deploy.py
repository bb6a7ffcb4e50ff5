"""A model file deploys as a function: by itself, with its data files, in a folder, from a template."""

import json

import pytest

from harness import unique
from onnx_bytes import sum_model

ROW = {"instances": [[1, 2, 3]]}

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Forecast:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: NAME
      Runtime: onnx
      Handler: model.onnx
      CodeUri: URI
      MemorySize: 512
      AutoPublishAlias: live
"""


def test_a_model_file_is_a_function(server, tmp_path):
    name, file = unique("forecast"), tmp_path / "model.onnx"
    file.write_bytes(sum_model(3))
    (tmp_path / "app.py").write_text("not part of it")
    first = server.samovar("deploy", file, "--name", name)
    assert "created" in first.out and "memory 1769 MB" in first.err
    assert json.loads(server.samovar("invoke", name, "--payload", json.dumps(ROW)).out) == {"predictions": [[6.0]]}
    config = server.client().get_function_configuration(FunctionName=name)
    assert (config["Runtime"], config["Handler"], config["MemorySize"]) == ("onnx", "model.onnx", 1769)

    assert "unchanged" in server.samovar("deploy", file, "--name", name).out
    server.client().update_function_configuration(FunctionName=name, MemorySize=640)
    file.write_bytes(sum_model(3, weight=2.0))
    assert "updated" in server.samovar("deploy", file, "--name", name).out
    assert server.invoke(name, ROW).payload == {"predictions": [[12.0]]}
    assert server.client().get_function_configuration(FunctionName=name)["MemorySize"] == 640  # as it was set


def test_the_name_is_the_files(server, tmp_path):
    name = unique("named")
    (tmp_path / f"{name}.onnx").write_bytes(sum_model(3))
    done = server.samovar("deploy", f"{name}.onnx", "--memory", "512", "--timeout", "7", "--json", cwd=tmp_path)
    assert json.loads(done.out)["changes"][0]["name"] == name
    config = server.client().get_function_configuration(FunctionName=name)
    assert (config["Handler"], config["MemorySize"], config["Timeout"]) == (f"{name}.onnx", 512, 7)
    assert server.invoke(name, ROW).payload == {"predictions": [[6.0]]}


def test_data_files_and_settings_beside_a_model_go_with_it(server, tmp_path):
    name, file = unique("beside"), tmp_path / "large.onnx"
    model, weights = sum_model(3, weight=3.0, data_file="weights/w.bin")
    file.write_bytes(model)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/w.bin").write_bytes(weights)
    (tmp_path / "samovar.yaml").write_text("warm_up:\n  - instances: [[0, 0, 0]]\n")
    done = server.samovar("deploy", file, "--name", name)
    assert "samovar.yaml goes with it" in done.err and "weights/w.bin goes with it" in done.err
    assert server.invoke(name, ROW).payload == {"predictions": [[18.0]]}
    (tmp_path / "samovar.yaml").write_text("thread: 1\n")
    server.samovar("deploy", file, "--name", name)
    failed = server.samovar("invoke", name, "--payload", json.dumps(ROW), check=False)
    assert failed.returncode == 1 and "Model.InvalidSettings" in failed.out and "thread" in failed.out


def test_a_folder_that_holds_a_model(server, tmp_path):
    name = unique("folder")
    (tmp_path / "model.onnx").write_bytes(sum_model(3))
    done = server.samovar("deploy", tmp_path, "--name", name)
    assert "runtime onnx (for model.onnx)" in done.err
    assert server.invoke(name, ROW).payload == {"predictions": [[6.0]]}


@pytest.mark.parametrize("uri", ["model/", "model/model.onnx"])
def test_a_template_names_the_runtime(server, tmp_path, uri):
    name = unique("templated")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.onnx").write_bytes(sum_model(3))
    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("NAME", name).replace("URI", uri))
    server.samovar("deploy", tmp_path)
    assert server.invoke(name, ROW, Qualifier="live").payload == {"predictions": [[6.0]]}
    assert "unchanged" in server.samovar("deploy", tmp_path).out


def test_what_is_no_model_is_told_before_anything_is_sent(server, tmp_path):
    name, file = unique("wrong"), tmp_path / "model.onnx"
    model, _ = sum_model(3, data_file="w.bin")
    for content, words in ((b"a text that is no model\n", "model.onnx: "), (b"\x08\x08", "no ONNX model"),
                           (sum_model(3)[:40], "model.onnx: "), (model, '"w.bin", which is not in the package')):
        file.write_bytes(content)
        for source in (file, tmp_path):
            done = server.samovar("deploy", source, "--name", name, check=False)
            assert done.returncode == 2 and words in done.err and "docs/export.md" in done.err, done.err
    assert server.samovar("show", name, check=False).returncode == 4
    absent = server.samovar("deploy", tmp_path / "absent.onnx", check=False)
    assert absent.returncode == 2 and "absent.onnx: no such file" in absent.err
    file.write_bytes(sum_model(3))
    other = server.samovar("deploy", file, "--runtime", "python3.11", check=False)
    assert other.returncode == 2 and "its runtime is onnx" in other.err
    unknown = server.samovar("deploy", file, "--batch", "3", check=False)
    assert unknown.returncode == 2 and "--batch" in unknown.err
