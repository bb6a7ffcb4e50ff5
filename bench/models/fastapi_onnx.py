"""An ONNX model behind FastAPI, on onnxruntime, as its users write one."""
import os
from typing import Any

import numpy
import onnxruntime
from fastapi import Body, FastAPI

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # one row is not worth a pool of threads
session = onnxruntime.InferenceSession(os.environ["MODEL"] + ".onnx", options, providers=["CPUExecutionProvider"])


@app.post("/")
async def predict(event: Any = Body()) -> Any:
    [predictions] = session.run(None, {"X": numpy.array(event["instances"], numpy.float32)})
    return {"predictions": predictions.tolist()}
