"""Tree ensembles that Samovar walks itself: answers as ONNX Runtime alone gives them, to the last bit."""

import json
import lzma

import numpy
from onnx import helper

from harness import until
from models import DATA, FLOAT, build, deploy, node, value

def walker(server, function):
    """Who walks the trees, as the worker's log has it."""
    def find():
        return [line.split("trees are walked by ")[1] for line in server.samovar("logs", function).out.splitlines()
                if "trees are walked by " in line]
    return until(find, 15, "the worker's line")[0]


def trees(targets=1, width=6, mode="BRANCH_LEQ", count=40, seed=1, **more):
    """x (N, width) to y (N, targets), through a Mul before the trees and an Add after them."""
    random = numpy.random.default_rng(seed)
    columns = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(count):
        for at in range(31):  # complete, four levels of questions
            leaf = at > 14
            for name, entry in zip(columns, (tree, at, random.integers(width), round(random.normal(), 1), "LEAF" if leaf else mode,
                                             0 if leaf else 2 * at + 1, 0 if leaf else 2 * at + 2), strict=True):
                columns[name].append(entry)
            for target in range(targets if leaf else 0):
                for name, entry in zip(leaves, (tree, at, target, random.normal()), strict=True):
                    leaves[name].append(entry)
    ensemble = node("TreeEnsembleRegressor", ["scaled"], ["sums"], domain="ai.onnx.ml", n_targets=targets,
                    **{f"nodes_{name}": column for name, column in columns.items()},
                    **{f"target_{name}": column for name, column in leaves.items()}, **more)
    by, plus = helper.make_tensor("by", FLOAT, [], [2.0]), helper.make_tensor("plus", FLOAT, [], [0.5])
    return build([node("Mul", ["x", "by"], ["scaled"]), ensemble, node("Add", ["sums", "plus"], ["y"])],
                 [value("x", FLOAT, ["N", width])], [value("y", FLOAT, ["N", targets])], [by, plus],
                 domains=[("ai.onnx.ml", 3)], opset=17)


def rows_of(width=6, count=90):
    rows = numpy.random.default_rng(3).normal(size=(count, width)).round(1).astype(numpy.float32).tolist()
    rows[1], rows[2], rows[3] = ["NaN"] * width, ["Infinity"] * width, [-0.0] * width
    return rows


def same_as_onnxruntime(server, model, rows):
    """One row, and many: the very bytes that a function with `trees: onnxruntime` answers. Who walks the trees."""
    ours, theirs = deploy(server, model), deploy(server, model, "trees: onnxruntime")
    for event in [{"instances": [row]} for row in rows[:8]] + [{"instances": rows[:n]} for n in (3, 8, 21, len(rows))]:
        assert server.invoke(ours, event).body == server.invoke(theirs, event).body
    assert walker(server, theirs) == "ONNX Runtime (samovar.yaml says so)"
    return walker(server, ours)


def test_a_forest_of_scikit_learn_is_walked_and_answers_the_same(server):
    model = lzma.decompress((DATA / "rf200.onnx.xz").read_bytes())
    rows = json.loads((DATA / "rf200_sample.json").read_text())["X"]
    assert same_as_onnxruntime(server, model, rows) == "Samovar"


def test_trees_within_a_larger_graph_are_walked_and_the_rest_stays(server):
    for model in (trees(), trees(targets=3), trees(mode="BRANCH_LT", base_values=[0.25]), trees(mode="BRANCH_GTE", aggregate_function="AVERAGE"),
                  trees(mode="BRANCH_GT", nodes_missing_value_tracks_true=[1, 0] * 620)):
        assert same_as_onnxruntime(server, model, rows_of()) == "Samovar"


def test_what_is_out_of_the_ordinary_stays_with_onnx_runtime(server):
    for model, why in ((trees(mode="BRANCH_EQ"), "comparisons other than"), (trees(aggregate_function="MIN"), "an aggregate but"),
                       (trees(targets=2, post_transform="SOFTMAX"), "a transformation after the trees")):
        assert same_as_onnxruntime(server, model, rows_of()).startswith(f"ONNX Runtime ({why}")
