"""Trains the function's model: python train.py OUTPUT_FOLDER. The same model on every machine and run."""

import json
import pathlib
import pickle
import sys

import numpy
import pandas
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = ["age", "income", "visits", "distance"]

dice = numpy.random.default_rng(4)
rows = pandas.DataFrame(dice.normal(size=(2000, 4)), columns=COLUMNS)
target = rows["age"] * 2 + rows["income"] * rows["visits"] + dice.normal(scale=0.1, size=2000)
model = make_pipeline(StandardScaler(), RandomForestRegressor(5, max_depth=8, random_state=4))
model.fit(rows, target)

out = pathlib.Path(sys.argv[1])
(out / "model.pickle").write_bytes(pickle.dumps(model))
asked = pandas.DataFrame(dice.normal(size=(64, 4)), columns=COLUMNS)
(out / "answers.json").write_text(json.dumps([
    {"row": row, "answer": answer} for row, answer in zip(asked.values.tolist(), model.predict(asked).tolist())]))
