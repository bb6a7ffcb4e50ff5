"""Tree ensembles that Samovar walks itself: answers as ONNX Runtime alone gives them, to the last bit."""

import json
import lzma

import numpy
from onnx import TensorProto, helper, numpy_helper

from harness import until
from models import DATA, FLOAT, INT64, STRING, build, deploy, node, trees_with_zipmap, value

def walker(server, function):
    """Who walks the trees, as the worker's log has it."""
    def find():
        return [line.split("trees are walked by ")[1] for line in server.samovar("logs", function).out.splitlines()
                if "trees are walked by " in line]
    return until(find, 60, "the worker's line")[0]


def ensemble(kind, leaf, targets=1, width=6, mode="BRANCH_LEQ", count=40, seed=1, **more):
    """The node of `count` complete trees of four levels, from "scaled"; `only`: the one target that leaves know."""
    random = numpy.random.default_rng(seed)
    columns = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    positive, only = more.pop("positive", False), more.pop("only", None)
    for tree in range(count):
        for at in range(31):
            last = at > 14
            for name, entry in zip(columns, (tree, at, random.integers(width), round(random.normal(), 1), "LEAF" if last else mode,
                                             0 if last else 2 * at + 1, 0 if last else 2 * at + 2), strict=True):
                columns[name].append(entry)
            for target in (range(targets) if only is None else [only]) if last else []:
                weight = random.random() / count if positive else random.normal() / 4
                for name, entry in zip(leaves, (tree, at, target, weight), strict=True):
                    leaves[name].append(entry)
    outputs = ["sums"] if kind == "TreeEnsembleRegressor" else ["label", "sums"]
    return node(kind, ["scaled"], outputs, domain="ai.onnx.ml", **{f"nodes_{name}": column for name, column in columns.items()},
                **{f"{leaf}_{name}": column for name, column in leaves.items()}, **more)


def trees(targets=1, width=6, **more):
    """x (N, width) to y (N, targets), through a Mul before the trees and an Add after them."""
    made = ensemble("TreeEnsembleRegressor", "target", targets, width, n_targets=targets, **more)
    by, plus = helper.make_tensor("by", FLOAT, [], [2.0]), helper.make_tensor("plus", FLOAT, [], [0.5])
    return build([node("Mul", ["x", "by"], ["scaled"]), made, node("Add", ["sums", "plus"], ["y"])],
                 [value("x", FLOAT, ["N", width])], [value("y", FLOAT, ["N", targets])], [by, plus],
                 domains=[("ai.onnx.ml", 3)], opset=17)


def classifier(classes=3, texts=False, width=6, zipmap=False, **more):
    """x (N, width) to a label and a score a class."""
    labels = {"classlabels_strings": list("abcdefgh"[:classes])} if texts else {"classlabels_int64s": list(range(5, 5 + classes))}
    made = ensemble("TreeEnsembleClassifier", "class", classes, width, **labels, **more)
    by, outputs = helper.make_tensor("by", FLOAT, [], [2.0]), [value("label", STRING if texts else INT64, ["N"])]
    nodes = [node("Mul", ["x", "by"], ["scaled"]), made]
    if zipmap:
        nodes.append(node("ZipMap", ["sums"], ["maps"], domain="ai.onnx.ml", **labels))
        outputs.append(helper.make_value_info("maps", helper.make_sequence_type_proto(
            helper.make_map_type_proto(STRING if texts else INT64, helper.make_tensor_type_proto(FLOAT, [])))))
    else:
        outputs.append(value("sums", FLOAT, ["N", classes]))
    return build(nodes, [value("x", FLOAT, ["N", width])], outputs, [by], domains=[("ai.onnx.ml", 3)], opset=17)


def newer_trees(targets=1, mode=0, missing=False, aggregate=1, post_transform=0, width=6, count=40, seed=1):
    """The same shape as a TreeEnsemble of ai.onnx.ml 5: branches and leaves apart; and a tree whose branch has one leaf."""
    random = numpy.random.default_rng(seed)
    branches = 15 * count + 1
    tracks = {"nodes_missing_value_tracks_true": [int(random.integers(2)) for _ in range(branches)]} if missing else {}
    ids, leafs = {1: [], 2: []}, []
    for at in range(15 * count):
        tree, here = divmod(at, 15)
        for side in (1, 2):
            child = 2 * here + side
            ids[side].append(16 * tree + child - 15 if child > 14 else 15 * tree + child)
        leafs.append(int(2 * here + 1 > 14))
    for side in (1, 2):
        ids[side].append(16 * count)
    made = node(
        "TreeEnsemble", ["scaled"], ["sums"], domain="ai.onnx.ml", n_targets=targets, aggregate_function=aggregate, post_transform=post_transform,
        tree_roots=[15 * tree for tree in range(count)] + [15 * count],
        nodes_featureids=[int(random.integers(width)) for _ in range(branches)],
        nodes_splits=numpy_helper.from_array(random.normal(size=branches).round(1).astype(numpy.float32)),
        nodes_modes=helper.make_tensor("m", TensorProto.UINT8, [branches], [mode] * branches),
        nodes_truenodeids=ids[1], nodes_trueleafs=leafs + [1], nodes_falsenodeids=ids[2], nodes_falseleafs=leafs + [1],
        leaf_targetids=[int(random.integers(targets)) for _ in range(16 * count + 1)],
        leaf_weights=helper.make_tensor("w", FLOAT, [16 * count + 1], random.normal(size=16 * count + 1) / 4), **tracks)
    by, plus = helper.make_tensor("by", FLOAT, [], [2.0]), helper.make_tensor("plus", FLOAT, [], [0.5])
    return build([node("Mul", ["x", "by"], ["scaled"]), made, node("Add", ["sums", "plus"], ["y"])],
                 [value("x", FLOAT, ["N", width])], [value("y", FLOAT, ["N", targets])], [by, plus], domains=[("ai.onnx.ml", 5)])


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


def test_classifiers_are_walked_with_their_labels_and_scores(server):
    for model in (classifier(), classifier(texts=True, zipmap=True, post_transform="SOFTMAX"), classifier(post_transform="LOGISTIC", positive=True),
                  classifier(base_values=[0.5, -0.5, 0.25]), classifier(2, only=0, positive=True, count=40, texts=True),
                  classifier(2, only=0, post_transform="LOGISTIC", base_values=[0.25]), classifier(2, only=1, positive=True), classifier(2, zipmap=True)):
        assert same_as_onnxruntime(server, model, rows_of()) == "Samovar"


def test_the_newer_operator_is_walked_too(server):
    for model in (newer_trees(), newer_trees(mode=1, targets=3), newer_trees(mode=2, missing=True), newer_trees(mode=3, aggregate=0)):
        assert same_as_onnxruntime(server, model, rows_of()) == "Samovar"


def test_what_is_out_of_the_ordinary_stays_with_onnx_runtime(server):
    for model, why in ((trees(mode="BRANCH_EQ"), "comparisons other than"), (trees(aggregate_function="MIN"), "an aggregate but"),
                       (newer_trees(mode=4), "comparisons other than"), (newer_trees(aggregate=2), "an aggregate but"),
                       (newer_trees(targets=2, post_transform=1), "a transformation after the trees"),
                       (trees(targets=2, post_transform="SOFTMAX"), "a transformation after the trees"),
                       (trees_with_zipmap(), "leaves that know some classes only")):
        assert same_as_onnxruntime(server, model, rows_of(2 if "some" in why else 6)).startswith(f"ONNX Runtime ({why}")
