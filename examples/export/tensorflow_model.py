"""A Keras network of TensorFlow to ONNX, with tf2onnx: tensorflow_model.py FOLDER

Writes model.onnx, and rows.json: rows and what the original answers to them."""

import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
import tf2onnx

FEATURES = 8
folder = pathlib.Path(sys.argv[1])
keras.utils.set_random_seed(4)
rows = np.random.default_rng(4).normal(size=(2000, FEATURES)).astype(np.float32)
target = 3 * rows[:, 0] + np.sin(2 * rows[:, 1]) * rows[:, 2]
model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(64, activation="relu"),
                          keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(rows, target, epochs=5, verbose=0)

# The first dimension is left open, so that requests of any number of rows, and batches of requests, fit.
call = tf.function(lambda X: model(X), input_signature=[tf.TensorSpec([None, FEATURES], tf.float32, name="X")])
tf2onnx.convert.from_function(call, input_signature=call.input_signature, opset=17,
                              output_path=str(folder / "model.onnx"))

test = np.random.default_rng(5).normal(size=(50, FEATURES)).astype(np.float32)
expected = np.asarray(model(test)).tolist()
(folder / "rows.json").write_text(json.dumps({"instances": test.tolist(), "expected": expected}))
