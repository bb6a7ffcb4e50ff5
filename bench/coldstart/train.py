"""Trains the function's models: python train.py OUTPUT_FOLDER. The same on every machine and run."""

import json
import pathlib
import pickle
import sys

import numpy
import pandas
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

COLUMNS = ["age", "income", "visits", "distance"]

dice = numpy.random.default_rng(4)
rows = pandas.DataFrame(dice.normal(size=(2000, 4)), columns=COLUMNS)
target = rows["age"] * 2 + rows["income"] * rows["visits"] + dice.normal(scale=0.1, size=2000)
models = {"model": make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=8, random_state=4)),
          "forest": make_pipeline(StandardScaler(), RandomForestRegressor(5, max_depth=8, random_state=4))}

out = pathlib.Path(sys.argv[1])
asked = pandas.DataFrame(dice.normal(size=(64, 4)), columns=COLUMNS)
answers = [{"row": row} for row in asked.values.tolist()]
for name, model in models.items():
    model.fit(rows, target)
    (out / f"{name}.pickle").write_bytes(pickle.dumps(model))
    for answer, value in zip(answers, model.predict(asked).tolist()):
        answer[name] = value
(out / "answers.json").write_text(json.dumps(answers))
