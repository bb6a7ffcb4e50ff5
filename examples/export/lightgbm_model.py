"""A LightGBM model to ONNX, with onnxmltools: lightgbm_model.py FOLDER

Writes model.onnx, and rows.json: rows and what the original answers to them."""

import json
import pathlib
import sys

import lightgbm
import numpy as np
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

FEATURES = 8
folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(1)
rows = random.normal(size=(2000, FEATURES)).astype(np.float32)
target = 3 * rows[:, 0] + np.sin(2 * rows[:, 1]) * rows[:, 2]
model = lightgbm.LGBMRegressor(n_estimators=50, verbose=-1).fit(rows, target)

converted = convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, FEATURES]))], target_opset=15)
(folder / "model.onnx").write_bytes(converted.SerializeToString())

test = random.normal(size=(50, FEATURES)).astype(np.float32)
(folder / "rows.json").write_text(json.dumps({"instances": test.tolist(), "expected": model.predict(test).tolist()}))
