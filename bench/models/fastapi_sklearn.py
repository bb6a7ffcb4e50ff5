"""A scikit-learn model behind FastAPI, as its users write one."""
import os
from typing import Any

import joblib
import numpy
from fastapi import Body, FastAPI

app = FastAPI()
model = joblib.load(os.environ["MODEL"] + ".joblib")
if hasattr(model, "n_jobs"):
    model.n_jobs = 1  # one row is not worth a pool of threads


@app.post("/")
async def predict(event: Any = Body()) -> Any:
    return {"predictions": model.predict(numpy.array(event["instances"], numpy.float32)).tolist()}
