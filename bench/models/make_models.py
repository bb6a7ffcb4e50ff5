"""Trains, converts and checks the models of the benchmark: make_models.py FOLDER.

A forest of 200 trees and a gradient boosting of 200, over 100 features; scikit-learn to ONNX by skl2onnx.
Writes NAME.joblib, NAME.onnx, NAME.rows (512 rows of 100 little-endian float32) and NAME.json ({"rows", "want"}).
"""
import json
import pathlib
import sys

import joblib
import numpy
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

folder = pathlib.Path(sys.argv[1])
random = numpy.random.default_rng(1)
x = random.normal(size=(4000, 100)).astype(numpy.float32)
y = x[:, 0] * 3 + numpy.sin(x[:, 1]) * 5 + x[:, 2] * x[:, 3] + random.normal(size=4000)
for name, model in {"forest": RandomForestRegressor(200, max_depth=12, random_state=1, n_jobs=2),
                    "boosting": GradientBoostingRegressor(n_estimators=200, max_depth=4, subsample=0.5, random_state=1)}.items():
    model.fit(x[:3000], y[:3000])
    converted = to_onnx(model, x[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    difference = numpy.abs(session.run(None, {"X": x[3000:]})[0].ravel() - model.predict(x[3000:])).max()
    if difference > 1e-3:
        sys.exit(f"{name}: the converted model differs by {difference}")
    joblib.dump(model, folder / f"{name}.joblib")
    (folder / f"{name}.onnx").write_bytes(converted)
    rows = x[3488:]
    (folder / f"{name}.rows").write_bytes(rows.tobytes())
    (folder / f"{name}.json").write_text(json.dumps({"rows": rows.tolist(), "want": model.predict(rows).tolist()}))
