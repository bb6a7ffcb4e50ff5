#!/usr/bin/env python3
"""Trains the model and prints its error beside two naive forecasts.

The last two months are held out: the model sees none of them, neither to learn nor to choose.
Writes function/model.joblib (what is deployed), data/test_rows.json (what the demo sends), and
data/test_rows.npy (all held-out rows, on which the ONNX model is compared).
"""

import json
import pathlib
import sys
import time

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import features

HERE = pathlib.Path(__file__).resolve().parent
HELD_OUT_FROM = "2017-11-01"


def pipeline():
    """Counts are small and scatter as counts do, so both halves fit a Poisson mean."""
    linear = make_pipeline(StandardScaler(), PoissonRegressor(alpha=0.3, max_iter=500))
    trees = HistGradientBoostingRegressor(
        loss="poisson", learning_rate=0.04, max_iter=150, max_leaf_nodes=15, min_samples_leaf=60,
        l2_regularization=2.0, random_state=7)
    return VotingRegressor([("linear", linear), ("trees", trees)])


def matrix(frame, columns):
    """Rows whose numbers are exact in single precision, in which ONNX calculates: no row then lies so near to a
    tree's threshold that rounding puts it on the other side."""
    return frame[columns].to_numpy(dtype=np.float32).astype(float)


def report(truth, forecasts):
    print(f"\n  {'forecast':<28}{'mean abs. error':>16}{'root mean sq.':>15}")
    for name, values in forecasts.items():
        error = values - truth
        print(f"  {name:<28}{np.abs(error).mean():>16.3f}{np.sqrt((error ** 2).mean()):>15.3f}")
    print()


def main():
    begin = time.monotonic()
    data = HERE / "data"
    if not (data / "transactions.parquet").exists():
        sys.exit(f"{data} has no transactions.parquet; ./demo or tools/setup fetches it")
    print("reading receipts and making features ...", flush=True)
    frame = features.build(data)
    columns = features.names(frame)
    assert len(columns) == 100, len(columns)
    train, test = frame[frame.day < HELD_OUT_FROM], frame[frame.day >= HELD_OUT_FROM]
    print(f"{len(frame):,} rows of {frame.shop.nunique()} shops, {len(columns)} features; "
          f"training on {len(train):,}, testing on {len(test):,} from {HELD_OUT_FROM}", flush=True)
    model = pipeline().fit(matrix(train, columns), train.customers.to_numpy())
    truth = test.customers.to_numpy()
    report(truth, {
        "this model": model.predict(matrix(test, columns)),
        "yesterday": test.customers_lag_0.to_numpy(),
        "same day last week": test.customers_lag_6.to_numpy()})

    joblib.dump({"pipeline": model, "features": columns}, HERE / "function" / "model.joblib", compress=3)
    # The busiest shop's days: each row as the function takes it, with what came true.
    shop = frame.shop.iloc[0]
    rows = [{"shop": int(row.shop), "day": str(row.day.date()), "customers": int(row.customers),
             "features": [round(float(row[name]), 4) for name in columns]}
            for _, row in test[test.shop == shop].iterrows()]
    (data / "test_rows.json").write_text(json.dumps({"names": columns, "rows": rows}))
    np.save(data / "test_rows.npy", matrix(test, columns))
    size = (HERE / "function" / "model.joblib").stat().st_size
    print(f"model.joblib: {size / 1e6:.1f} MB; {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
