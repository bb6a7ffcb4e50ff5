"""What each library does in the fork-safety table: make() trains and saves in a process of its own;
load() in the template answers a function that predicts. Predictions are lists of floats."""

import json
import os


def rows(count=200, columns=8):
    """A small regression problem, the same everywhere."""
    import numpy

    random = numpy.random.default_rng(4)
    x = random.random((count, columns))
    return x, x @ numpy.arange(1.0, columns + 1) + numpy.sin(9 * x[:, 0])


class Library:
    """`modules` are the packages, the first of which the table names; `environment` is the function's."""

    environment = {}


class Numpy(Library):
    """Products, singular values and solutions, large enough that OpenBLAS uses its threads."""

    modules = ["numpy"]

    def make(self, path):
        import numpy

        numpy.save(path + ".npy", numpy.random.default_rng(4).random((400, 400)))

    def load(self, path):
        import numpy

        a = numpy.load(path + ".npy")
        return lambda: [*numpy.linalg.svd(a @ a)[1][:5], *numpy.linalg.solve(a, a[0])[:5]]


class Pandas(Library):
    """Joins and groups of a frame from a pickle."""

    modules = ["pandas"]

    def make(self, path):
        import pandas

        x, y = rows(20000)
        frame = pandas.DataFrame(x, columns=list("abcdefgh")).assign(y=y, shop=[f"shop {i % 7}" for i in range(len(y))])
        self.save(frame, path)

    def save(self, frame, path):
        frame.to_pickle(path + ".pickle")

    def read(self, path):
        import pandas

        return pandas.read_pickle(path + ".pickle")

    def load(self, path):
        frame = self.read(path)
        return lambda: list(
            frame.merge(frame.groupby("shop").y.mean().rename("mean"), on="shop").eval("y - mean").head(9)
        )


class PyArrow(Pandas):
    """The same from Parquet, with text in Arrow memory and compressed again, which starts its threads."""

    modules = ["pyarrow"]

    def save(self, frame, path):
        frame.to_parquet(path + ".parquet")

    def load(self, path):
        import io

        import pandas
        import pyarrow.compute
        import pyarrow.parquet

        frame = pandas.read_parquet(path + ".parquet")

        def predict():
            table, out = pyarrow.Table.from_pandas(frame), io.BytesIO()
            pyarrow.parquet.write_table(table, out)
            back = pyarrow.parquet.read_table(io.BytesIO(out.getvalue()), use_threads=True)
            means = back.group_by("shop").aggregate([("y", "mean")]).sort_by("shop")
            return [*means["y_mean"].to_pylist(), pyarrow.compute.sum(back["a"]).as_py()]

        return predict


class ScikitLearn(Library):
    """A forest, boosted trees (OpenMP), neighbours (OpenMP and BLAS) and a linear model, from joblib."""

    modules = ["scikit-learn", "numpy", "scipy"]

    def make(self, path):
        import joblib
        from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
        from sklearn.linear_model import LinearRegression
        from sklearn.neighbors import KNeighborsRegressor

        x, y = rows(2000)
        models = [
            RandomForestRegressor(20, random_state=1),
            HistGradientBoostingRegressor(random_state=1),
            KNeighborsRegressor(algorithm="brute"),
            LinearRegression(),
        ]
        joblib.dump([model.fit(x, y) for model in models], path + ".joblib")

    def load(self, path):
        import joblib

        models, x = joblib.load(path + ".joblib"), rows(500)[0]
        return lambda: [float(value) for model in models for value in model.predict(x)[:3]]


class Scipy(Library):
    """Decompositions, a sparse solution, an optimisation, and a transform on two workers."""

    modules = ["scipy", "numpy"]

    def make(self, path):
        Numpy().make(path)

    def load(self, path):
        import numpy
        import scipy.fft
        import scipy.linalg
        import scipy.optimize
        import scipy.sparse.linalg

        a = numpy.load(path + ".npy")

        def predict():
            _, upper = scipy.linalg.lu(a @ a.T, permute_l=True)
            sparse = scipy.sparse.csc_matrix(numpy.triu(a) + numpy.eye(len(a)) * 9)
            best = scipy.optimize.minimize(lambda v: ((v - a[0, :4]) ** 2).sum(), numpy.zeros(4)).x
            waves = abs(scipy.fft.fft2(a, workers=2)).ravel()
            return [
                *upper.diagonal()[:3],
                *scipy.sparse.linalg.spsolve(sparse, a[0])[:3],
                *map(float, best.round(4)),
                *waves[:3],
            ]

        return predict


class OnnxRuntime(Library):
    """A session over a small network, with its own choice of threads."""

    modules = ["onnxruntime", "onnx"]

    def make(self, path):
        import numpy
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        random = numpy.random.default_rng(4)
        weights = [
            numpy_helper.from_array(random.random((256, 256), dtype=numpy.float32) / 256, f"w{i}") for i in range(3)
        ]
        nodes = [
            node
            for i in range(3)
            for node in (
                helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"m{i}"]),
                helper.make_node("Tanh", [f"m{i}"], [f"x{i + 1}"]),
            )
        ]
        shape = [None, 256]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("x3", TensorProto.FLOAT, shape)],
            weights,
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path + ".onnx")

    def options(self, runtime):
        return None

    def load(self, path):
        import numpy
        import onnxruntime

        session = onnxruntime.InferenceSession(
            path + ".onnx", self.options(onnxruntime), providers=["CPUExecutionProvider"]
        )
        x = numpy.linspace(0, 1, 64 * 256, dtype=numpy.float32).reshape(64, 256)
        return lambda: [float(value) for value in session.run(None, {"x0": x})[0][0, :6]]


class OnnxRuntimeOneThread(OnnxRuntime):
    """The same with SessionOptions().intra_op_num_threads = 1, and without its telemetry."""

    environment = {"ORT_DISABLE_TELEMETRY": "1"}

    def options(self, runtime):
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return options


class LightGbm(Library):
    """A booster from its text file; OpenMP."""

    modules = ["lightgbm"]

    def make(self, path):
        import lightgbm

        x, y = rows(2000)
        lightgbm.train({"verbose": -1, "num_threads": 2}, lightgbm.Dataset(x, y), 50).save_model(path + ".txt")

    def load(self, path):
        import lightgbm

        booster, x = lightgbm.Booster(model_file=path + ".txt"), rows(500)[0]
        return lambda: list(booster.predict(x)[:6])


class XgBoost(Library):
    """A booster from its JSON; OpenMP."""

    modules = ["xgboost"]

    def make(self, path):
        import xgboost

        x, y = rows(2000)
        xgboost.train({"max_depth": 5}, xgboost.DMatrix(x, y), 50).save_model(path + ".json")

    def load(self, path):
        import xgboost

        booster, x = xgboost.Booster(model_file=path + ".json"), rows(500)[0]
        return lambda: [float(value) for value in booster.predict(xgboost.DMatrix(x))[:6]]


class PyTorch(Library):
    """A network from its state, without gradients; OpenMP."""

    modules = ["torch"]

    def network(self):
        import torch

        return torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 8))

    def make(self, path):
        import torch

        torch.manual_seed(4)
        torch.save(self.network().state_dict(), path + ".pt")

    def load(self, path):
        import torch

        network = self.network()
        network.load_state_dict(torch.load(path + ".pt"))
        network.eval()
        x = torch.linspace(0, 1, 512 * 256).reshape(512, 256)

        def predict():
            with torch.no_grad():
                return [float(value) for value in network(x)[0]]

        return predict


class TensorFlow(Library):
    """A Keras network from its file."""

    modules = ["tensorflow-cpu"]

    def make(self, path):
        import tensorflow

        tensorflow.keras.utils.set_random_seed(4)
        layers = tensorflow.keras.layers
        model = tensorflow.keras.Sequential([tensorflow.keras.Input((64,)), layers.Dense(128, "relu"), layers.Dense(4)])
        model.save(path + ".keras")

    def load(self, path):
        import numpy
        import tensorflow

        model = tensorflow.keras.models.load_model(path + ".keras")
        x = numpy.linspace(0, 1, 32 * 64, dtype="float32").reshape(32, 64)
        return lambda: [float(value) for value in model(x).numpy()[0]]


class TensorFlowLater(TensorFlow):
    """Imported while the function initialises; each clone loads the model at its first event."""

    def make(self, path):
        super().make(path)
        with open(path + ".expected", "w") as file:
            json.dump(super().load(path)(), file)

    def load(self, path):
        import tensorflow  # noqa: F401

        later = []

        def predict():
            if not later:
                later.append(super(TensorFlowLater, self).load(path))
            return later[0]()

        return predict


class Polars(Library):
    """A group of a frame; a thread pool of its own."""

    modules = ["polars"]

    def make(self, path):
        import polars

        polars.DataFrame({"shop": [i % 7 for i in range(1000)], "y": [i * 0.5 for i in range(1000)]}).write_ipc(
            path + ".ipc"
        )

    def load(self, path):
        import polars

        frame = polars.read_ipc(path + ".ipc")
        return lambda: frame.group_by("shop").agg(polars.col("y").mean()).sort("shop")["y"].to_list()


# name -> (environment of pip, what to run). Light ones first; the last two are large.
LIBRARIES = {
    "numpy": ("scientific", Numpy),
    "pandas": ("scientific", Pandas),
    "pandas with PyArrow": ("pyarrow", PyArrow),
    "scikit-learn": ("scientific", ScikitLearn),
    "scipy": ("scientific", Scipy),
    "onnxruntime": ("onnxruntime", OnnxRuntime),
    "onnxruntime, set up": ("onnxruntime", OnnxRuntimeOneThread),
    "LightGBM": ("lightgbm", LightGbm),
    "XGBoost": ("xgboost", XgBoost),
    "Polars": ("polars", Polars),
    "PyTorch": ("pytorch", PyTorch),
    "TensorFlow": ("tensorflow", TensorFlow),
    "TensorFlow, model in the handler": ("tensorflow", TensorFlowLater),
}


def of(name):
    return LIBRARIES[name][1]()


if __name__ == "__main__":
    of(os.environ["LIBRARY"]).make(os.environ["MODEL"])
