"""`samovar model export`: one real export of a scikit-learn pipeline, compared and served; and what is refused.

The environment of the converters is kept in build/export, so that only the first run installs it.
"""

import json
import subprocess
import textwrap

import pytest

from harness import BINARY, ROOT, clean_environment, run, unique

CACHE = ROOT / "build/export"
TRAIN = textwrap.dedent("""
    import json, sys
    import joblib, numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, PoissonRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.semi_supervised import LabelPropagation
    random = np.random.default_rng(3)
    rows = random.normal(40, 9, size=(400, 5))
    counts = random.poisson(np.exp((rows[:, 0] - 40) / 9))
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=20).fit(rows, counts)
    joblib.dump(make_pipeline(StandardScaler(), PoissonRegressor()).fit(rows, counts), "linear.joblib")
    joblib.dump({"pipeline": model, "about": "counts"}, "trees.joblib", compress=3)
    joblib.dump(LogisticRegression(max_iter=1000).fit(rows, np.where(counts > 1, "many", "few")), "classes.joblib")
    joblib.dump(LabelPropagation().fit(rows, counts > 1), "none.joblib")
    json.dump({"rows": rows[:20].tolist(), "trees": model.predict(rows[:20]).tolist()}, open("answers.json", "w"))
    np.savetxt("rows.csv", rows[:20], delimiter=",", header="a,b,c,d,e", comments="")
""")


def export(folder, *args, check=True):
    return run([BINARY, "model", "export", *map(str, args), "--cache", CACHE], check=check, cwd=folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models saved by the scikit-learn that trains the example, and what they answer."""
    folder = tmp_path_factory.mktemp("trained")
    subprocess.run([ROOT / "examples/supermarket/build/venv/bin/python", "-c", TRAIN], cwd=folder, check=True, timeout=120)
    return folder


def test_an_exported_pipeline_answers_as_the_original(server, trained):
    done = export(trained, "trees.joblib", "-o", "trees.onnx", "--features", 5, "--rows", "rows.csv", "--json")
    report = json.loads(done.out)
    assert [(check["rows"], check["count"]) for check in report["checks"]] == [("random", 1000), ("rows.csv", 20)]
    assert all(check["relative_difference"] < 1e-4 for check in report["checks"])
    assert report["inputs"] == ["X tensor(float) [None, 5]"] and report["bytes"] == (trained / "trees.onnx").stat().st_size
    name, answers = unique("trees"), json.loads((trained / "answers.json").read_text())
    server.samovar("deploy", trained / "trees.onnx", "--name", name)
    served = server.invoke(name, {"instances": answers["rows"]}).payload["predictions"]
    assert served == pytest.approx(answers["trees"], rel=1e-4)

    text = export(trained, "classes.joblib", "-o", "classes.onnx")
    assert "1000 random rows: largest difference" in text.out and "samovar deploy classes.onnx" in text.err
    server.samovar("deploy", trained / "classes.onnx", "--name", f"{name}-classes")
    one = server.invoke(f"{name}-classes", {"instances": answers["rows"][:1]}).payload["predictions"][0]
    assert one["label"] in ("many", "few") and sum(one["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_exported_is_told_and_writes_nothing(trained):
    (trained / "cut.joblib").write_bytes((trained / "linear.joblib").read_bytes()[:-20])
    (trained / "narrow.csv").write_text("1,2\n3,4\n")
    for args, words in (
            (["absent.joblib"], "absent.joblib: no such file"),
            (["answers.json"], "holds no scikit-learn model"),
            (["cut.joblib"], "cut.joblib cannot be loaded"),
            (["linear.joblib", "--features", 7], "--features 7: the model takes 5 a row"),
            (["linear.joblib", "--rows", "narrow.csv"], "narrow.csv: expected rows of 5 numbers"),
            (["linear.joblib", "--tolerance", "1e-12"], "nothing was written"),
            (["none.joblib"], "LabelPropagation")):
        done = export(trained, *args, "-o", "wrong.onnx", check=False)
        assert done.returncode == 2 and words in done.err and "Traceback" not in done.err, (args, done.err)
    assert not (trained / "wrong.onnx").exists()


def test_a_disk_that_fills_up_leaves_the_model_that_was_there(trained, small_disk):
    disk = small_disk(64 << 10)
    there = disk.path / "linear.onnx"
    export(trained, "linear.joblib", "-o", there)
    before = there.read_bytes()
    disk.fill(leave=0)
    done = export(trained, "trees.joblib", "-o", there, check=False)
    assert done.returncode == 2 and f"--out {there}: No space left on device" in done.err, done.err
    assert there.read_bytes() == before and {path.name for path in disk.path.iterdir()} == {"linear.onnx", "ballast"}


@pytest.mark.parametrize("args, words", [
    (["model"], "say what: export"), (["model", "export", "x.joblib"], "--out is required"),
    (["model", "export", "x.joblib", "-o", "y.onnx", "--wrong"], "--wrong"),
    (["model", "export", "x.joblib", "-o", "y.onnx", "--features", "many"], "--features")])
def test_wrong_command_lines(args, words):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=120, env=clean_environment())
    assert done.returncode == 2 and words in done.stderr, done.stderr
