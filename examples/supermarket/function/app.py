"""How many customers will come tomorrow? Loads the pipeline once, at start, and answers rows.

Takes   {"instances": [[100 numbers], ...]}, or each row as {"feature name": number, ...};
        directly (Invoke) or as the body of an HTTP request (function URL).
Answers {"predictions": [number, ...]}
"""

import base64
import json
import pathlib

import joblib
import numpy as np

_model = joblib.load(pathlib.Path(__file__).parent / "model.joblib")
PIPELINE, FEATURES = _model["pipeline"], _model["features"]
PIPELINE.predict(np.zeros((1, len(FEATURES))))  # the first call pays for what scikit-learn loads late


class BadRequest(ValueError):
    """The caller's rows are wrong; the message says which and how."""


def matrix(request):
    rows = request.get("instances") if isinstance(request, dict) else None
    if not isinstance(rows, list) or not rows:
        raise BadRequest('expected {"instances": [row, ...]} with at least one row')
    table = []
    for index, row in enumerate(rows):
        if isinstance(row, dict):
            missing = [name for name in FEATURES if name not in row]
            if missing:
                raise BadRequest(f"instances[{index}] lacks {len(missing)} features, first {missing[0]}")
            row = [row[name] for name in FEATURES]
        if not isinstance(row, list) or len(row) != len(FEATURES):
            raise BadRequest(f"instances[{index}] must hold {len(FEATURES)} numbers")
        table.append(row)
    try:
        values = np.asarray(table, dtype=float)
    except (TypeError, ValueError):
        raise BadRequest("instances must hold numbers only") from None
    if not np.isfinite(values).all():
        raise BadRequest("instances must hold finite numbers only")
    return values


def predict(request):
    return {"predictions": [float(p) for p in PIPELINE.predict(matrix(request))]}


def handler(event, context):
    if "requestContext" not in event:
        return predict(event)
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    try:
        return predict(json.loads(body))  # a plain object: the URL answers it as JSON with status 200
    except ValueError as error:  # BadRequest and malformed JSON alike
        return {"statusCode": 400, "headers": {"Content-Type": "application/json"},
                "body": json.dumps({"error": str(error)})}
