"""An XGBoost classifier to ONNX, with onnxmltools: xgboost_model.py FOLDER

Writes model.onnx, and rows.json: rows and what the original answers to them."""

import json
import pathlib
import sys

import numpy as np
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

FEATURES = 8
folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(2)
rows = random.normal(size=(2000, FEATURES)).astype(np.float32)
target = (rows[:, 0] > 0).astype(int) + (rows[:, 1] * rows[:, 2] > 0)
model = xgboost.XGBClassifier(n_estimators=40, max_depth=4).fit(rows, target)

converted = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, FEATURES]))], target_opset=15)
(folder / "model.onnx").write_bytes(converted.SerializeToString())

test = random.normal(size=(50, FEATURES)).astype(np.float32)
labels, chances = model.predict(test).tolist(), model.predict_proba(test).tolist()
expected = [{"label": label, "probabilities": chance} for label, chance in zip(labels, chances)]
(folder / "rows.json").write_text(json.dumps({"instances": test.tolist(), "expected": expected}))
