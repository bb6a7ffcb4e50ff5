"""Converts a scikit-learn model to ONNX and compares the two: what `samovar model export` runs.

    export_model.py needs FILE
    export_model.py export FILE --out MODEL.onnx [--features N] [--rows FILE] [--count N] [--tolerance T]

Prints JSON objects, one a line. The first form imports nothing but the standard library, as the versions are
read from the file's bytes, and says {"needs": [packages]}. The second says {"checked": ...} for each set of
rows, then {"wrote": ...}. Either says {"error": ...} where it cannot.
"""

import argparse
import bz2
import csv
import gzip
import json
import lzma
import os
import pathlib
import re
import sys
import warnings
import zlib

# protobuf from version 6 on refuses numpy's integers, which this skl2onnx gives it.
PINNED = ["skl2onnx==1.20.0", "onnx==1.19.1", "protobuf==5.29.6", "onnxruntime==1.32.0"]
BOOSTERS = {"lightgbm": ["lightgbm==4.7.0", "onnxmltools==1.16.0"],
            "xgboost": ["xgboost-cpu==3.2.0", "onnxmltools==1.16.0"]}
# The share of rows that may lie so near to a tree's threshold that rounding puts them on its other side.
ON_A_THRESHOLD = 0.002
FORMATS = ((b"x", zlib.decompress), (b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress),
           (b"\xfd7zXZ", lzma.decompress), (b"]\x00", lzma.decompress))


class Refused(Exception):
    """Why the model cannot be exported, for people."""


def contents(path):
    data = pathlib.Path(path).read_bytes()
    for magic, unpack in FORMATS:
        if data.startswith(magic):
            try:
                return unpack(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return data
    return data


def needs(path):
    """Packages, with scikit-learn's version as the model has it."""
    data = contents(path)
    boosters = [name for name in BOOSTERS if re.search(name.encode() + rb"\.(sklearn|basic|core)", data)]
    if b"sklearn" not in data and not boosters:
        raise Refused(f"{path} holds no scikit-learn model: it must be saved by joblib.dump or pickle.dump")
    # "_sklearn_version" and then its value, a short text of the pickle format.
    found = re.findall(rb"_sklearn_version[^0-9]{1,12}?(\d+\.\d+(?:\.\d+)?(?:rc\d+)?)", data)
    packages = ["scikit-learn" + (f"=={max(found, key=found.count).decode()}" if found else "")]
    packages += PINNED + ["joblib"]
    # What numpy 1 saved came from a scikit-learn that was built for it.
    packages.append("numpy<2" if b"numpy.core" in data and b"numpy._core" not in data else "numpy")
    for name in boosters:
        packages += BOOSTERS[name]
    if re.search(rb"\bpandas\.core\b", data):
        packages.append("pandas")
    return list(dict.fromkeys(packages))


def load(path):
    import joblib
    try:
        model = joblib.load(path)
    except ModuleNotFoundError as error:
        raise Refused(f"{path} needs the module {error.name}; name its package with --with, or, where it is your "
                      "own file, set PYTHONPATH to its folder") from None
    except Exception as error:  # unpickling runs whatever the file says
        raise Refused(f"{path} cannot be loaded: {type(error).__name__}: {str(error)[:500]}") from None
    if isinstance(model, dict):
        inside = [value for value in model.values() if hasattr(value, "predict") or hasattr(value, "transform")]
        if len(inside) != 1:
            raise Refused(f"{path} holds a dict with {len(inside)} models; save one pipeline alone")
        model = inside[0]
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        raise Refused(f"{path} holds a {type(model).__name__}, which has neither predict nor transform")
    return model


class Renaming:
    """A container of ONNX nodes in which one output has another name."""

    def __init__(self, container, output, name):
        self.container, self.output, self.name = container, output, name

    def __getattr__(self, name):
        return getattr(self.container, name)

    def add_node(self, kind, inputs, outputs, **more):
        outputs = [outputs] if isinstance(outputs, str) else list(outputs)
        outputs = [self.name if output == self.output else output for output in outputs]
        self.container.add_node(kind, inputs, outputs, **more)


def register_links():
    """HistGradientBoostingRegressor with the losses poisson and gamma answers exp(sum of trees);
    skl2onnx 1.20 leaves the exp out."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.ensemble import HistGradientBoostingRegressor
    alias = "SklearnHistGradientBoostingRegressor"
    plain = get_converter(alias)

    def convert(scope, operator, container):
        loss = getattr(operator.raw_operator, "_loss", None)
        if type(getattr(loss, "link", None)).__name__ != "LogLink":
            plain(scope, operator, container)
            return
        output, raw = operator.outputs[0].full_name, scope.get_unique_variable_name("raw")
        plain(scope, operator, Renaming(container, output, raw))
        container.add_node("Exp", [raw], [output], op_version=13, name=scope.get_unique_operator_name("Exp"))

    update_registered_converter(HistGradientBoostingRegressor, alias, get_shape_calculator(alias), convert,
                                overwrite=True, options={"raw_scores": [True, False]})


def register_boosters(packages):
    """Tells skl2onnx of LightGBM's and XGBoost's models, as their public converters ask for."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (calculate_linear_classifier_output_shapes as classes,
                                                  calculate_linear_regressor_output_shapes as numbers)
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False],
               "output_class_labels": [True, False, "last_step"]}
    names = {re.split("[=<>]", package)[0] for package in packages}
    if "lightgbm" in names:
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
        update_registered_converter(lightgbm.LGBMRegressor, "LightGbmLGBMRegressor", numbers, convert_lightgbm,
                                    options={"split": None})
        update_registered_converter(lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", classes, convert_lightgbm,
                                    options=options)
    if "xgboost-cpu" in names:
        import xgboost
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        update_registered_converter(xgboost.XGBRegressor, "XGBoostXGBRegressor", numbers, convert_xgboost)
        update_registered_converter(xgboost.XGBClassifier, "XGBoostXGBClassifier", classes, convert_xgboost,
                                    options=options)


def flat(made):
    """The model with a single output of [rows] where it has [rows, 1]: as predict answers."""
    from onnx import TensorProto, helper
    graph = made.graph
    name, kind = graph.output[0].name, graph.output[0].type.tensor_type.elem_type
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [f"{name}_column" if each == name else each for each in names]
    graph.initializer.append(helper.make_tensor("one_dimension", TensorProto.INT64, [1], [-1]))
    graph.node.append(helper.make_node("Reshape", [f"{name}_column", "one_dimension"], [name], name="one_dimension"))
    graph.output[0].CopyFrom(helper.make_tensor_value_info(name, kind, [None]))
    return made


def read_rows(path, features):
    import numpy as np
    path = pathlib.Path(path)
    try:
        if path.suffix == ".npy":
            rows = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            rows = json.loads(path.read_text())
            rows = rows.get("instances", rows) if isinstance(rows, dict) else rows
        else:
            with open(path, newline="") as file:
                rows = [row for row in csv.reader(file) if row]
            try:
                [float(cell) for cell in rows[0]]
            except ValueError:
                rows = rows[1:]  # a line of names
        rows = np.asarray(rows, dtype=np.float64)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise Refused(f"--rows {path}: expected rows of numbers as .csv, .json or .npy ({error})") from None
    if rows.ndim != 2 or rows.shape[1] != features or len(rows) == 0:
        raise Refused(f"--rows {path}: expected rows of {features} numbers, got the shape {list(rows.shape)}")
    return rows


def scaler_of(model, features):
    """Mean and deviation of each feature, where a scaler in the model has learnt them."""
    import numpy as np
    todo, seen = [model], set()
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, (list, tuple)):
            todo += part
        elif hasattr(part, "get_params"):
            mean, scale = getattr(part, "mean_", None), getattr(part, "scale_", None)
            if np.shape(mean) == (features,) and np.shape(scale) == (features,):
                return mean, scale
            todo += vars(part).values()
    return None


def random_rows(count, features, model, given):
    """Rows as the given ones scatter, or those that a scaler in the model was fitted on; without either half
    from a normal and half from a uniform distribution."""
    import numpy as np
    random = np.random.default_rng(7)
    known = scaler_of(model, features)
    if given is not None and len(given) > 1:
        known = given.mean(axis=0), given.std(axis=0)
    if known:
        rows = known[0] + random.normal(size=(count, features)) * known[1]
    else:
        rows = np.concatenate([random.normal(size=(count // 2, features)),
                               random.uniform(0, 100, size=(count - count // 2, features))])
    return rows


def own_answer(model, rows, ask="predict"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fitted with names, asked without
        return getattr(model, ask if hasattr(model, ask) else "transform")(rows)


def answers(model, session, rows):
    """Pairs of the model's own answer and ONNX's, which must be alike. ONNX gets the rows in single precision, as
    a served request does; the original as they are."""
    import numpy as np
    converted = session.run(None, {session.get_inputs()[0].name: rows.astype(np.float32)})
    pairs = [(own_answer(model, rows), converted[0])]
    if hasattr(model, "predict_proba") and len(converted) > 1:
        pairs.append((own_answer(model, rows, "predict_proba"), converted[1]))
    return pairs


def compare(model, session, rows, tolerance):
    """The largest differences, and how many rows are beyond the tolerance or have another label."""
    import numpy as np
    largest, relative, beyond = 0.0, 0.0, np.zeros(len(rows), bool)
    for own, converted in answers(model, session, rows):
        own = np.asarray(own.todense() if hasattr(own, "todense") else own)
        converted = np.asarray(converted).reshape(own.shape)
        if own.dtype.kind in "OUSbiu":  # labels
            beyond |= (own.astype(str) != converted.astype(str)).reshape(len(rows), -1).any(axis=1)
            continue
        own, converted = own.astype(float), converted.astype(float)
        difference = np.abs(own - converted)
        difference[np.isnan(own) & np.isnan(converted)] = 0
        difference[np.isnan(difference)] = np.inf  # which max would pass over
        scaled = (difference / np.fmax(1.0, np.abs(own))).reshape(len(rows), -1)
        largest, relative = max(largest, float(difference.max())), max(relative, float(scaled.max()))
        beyond |= (scaled > tolerance).any(axis=1)
    return {"rows": len(rows), "largest_difference": largest, "relative_difference": relative,
            "beyond": int(beyond.sum())}


def first_sentence(error):
    """Of what a converter says, which often goes on with advice for its developers."""
    return " ".join(str(error).split("\nIt usually means")[0].split())[:1000]


def convert(model, features, packages):
    import numpy as np
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    register_links()
    register_boosters(packages)
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    boosted = any(package.startswith("onnxmltools") for package in packages)
    opset = {"": 18, "ai.onnx.ml": 3} if boosted else None  # what onnxmltools writes; else the newest
    try:
        made = to_onnx(model, initial_types=[("X", FloatTensorType([None, features]))], options=options,
                       target_opset=opset)
    except Exception as error:  # each converter has its own; the text says what it cannot do
        raise Refused(f"skl2onnx cannot convert this: {type(error).__name__}: {first_sentence(error)}") from None
    column = len(made.graph.output) == 1 and not hasattr(model, "predict_proba")
    if column and np.ndim(own_answer(model, np.zeros((2, features)))) == 1:
        made = flat(made)
    return made.SerializeToString()


def export(args):
    import onnxruntime
    model = load(args.file)
    own = getattr(model, "n_features_in_", None)
    features = args.features or own
    if not features:
        raise Refused("how many numbers a row has cannot be seen in the model; say --features")
    if own and own != features:
        raise Refused(f"--features {features}: the model takes {own} a row")
    given = read_rows(args.rows, features) if args.rows else None
    data = convert(model, features, needs(args.file))
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    checks = [("random", compare(model, session, random_rows(args.count, features, model, given), args.tolerance))]
    if given is not None:
        checks.append((args.rows, compare(model, session, given, args.tolerance)))
    for name, check in checks:
        print(json.dumps({"checked": name, **check}), flush=True)
    for name, check in checks:
        kind = "random" if name == "random" else "given"
        if check["beyond"] > (check["rows"] * ON_A_THRESHOLD if b"TreeEnsemble" in data else 0):
            raise Refused(f"the converted model differs in {check['beyond']} of {check['rows']} {kind} rows, by up to "
                          f"{check['largest_difference']:.3g} (relative {check['relative_difference']:.3g}); nothing "
                          f"was written (--tolerance {args.tolerance:g})")
    keep(args.out, data)
    inputs, outputs = ([f"{v.name} {v.type} {v.shape}" for v in values]
                       for values in (session.get_inputs(), session.get_outputs()))
    print(json.dumps({"wrote": args.out, "bytes": len(data), "inputs": inputs, "outputs": outputs}), flush=True)


def keep(path, data):
    """The file whole or not at all: on a full disk the one before it stays."""
    path = pathlib.Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else None
        if path.exists() and not path.is_file():
            return path.write_bytes(data)  # a device or a pipe
        part.write_bytes(data)
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Refused(f"--out {path}: {error.strerror}") from None


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("needs").add_argument("file")
    command = commands.add_parser("export")
    command.add_argument("file")
    command.add_argument("--out", required=True)
    command.add_argument("--features", type=int)
    command.add_argument("--rows")
    command.add_argument("--count", type=int, default=1000)
    command.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    try:
        if args.command == "needs":
            print(json.dumps({"needs": needs(args.file)}))
        else:
            export(args)
    except Refused as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
