"""The measured function: a model's answer for one row. Everything heavy happens at import."""

import os
import pathlib
import pickle
import time

import pandas

COLUMNS = ["age", "income", "visits", "distance"]
MODEL = pickle.loads((pathlib.Path(__file__).parent / os.environ.get("MODEL", "model.pickle")).read_bytes())
# Private state beside the model, as small objects: they lie all over the heap, in small pages.
STATE = [bytes([i & 255]) * 1000 for i in range(int(os.environ.get("STATE_MB", "0")) * 1000)]


def handler(event, context):
    for _ in range(event.get("repeat", 1)):
        answer = float(MODEL.predict(pandas.DataFrame([event["row"]], columns=COLUMNS))[0])
    if "hold" in event:  # busy, and to be found from outside by the open file
        with open(f"/tmp/held-{event['hold']}", "w"):
            time.sleep(event["seconds"])
    return answer
