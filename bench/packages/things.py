"""The twenty heaviest things that people deploy: what to write into requirements.txt, a function that uses it, its answer.

A function has `work()`, which is called at each call; what stands before it runs once.
"""

SECOND_LINE = "requests"

THINGS = {
    "numpy": ("numpy", "import numpy as np\ndef work():\n    return float(np.linalg.det(np.eye(50) * 2) > 1e15)", 1.0),
    "scipy": ("scipy", "from scipy import optimize\ndef work():\n    return round(optimize.brentq(lambda x: x * x - 2, 0, 2), 6)",
              1.414214),
    "pandas": ("pandas", "import pandas as pd\ndef work():\n"
               "    return int(pd.DataFrame({'k': [1, 1, 2], 'v': [1, 2, 4]}).groupby('k').v.sum()[2])", 4),
    "scikit-learn": ("scikit-learn", "from sklearn.linear_model import LinearRegression\n"
                     "MODEL = LinearRegression().fit([[1], [2], [3]], [2, 4, 6])\n"
                     "def work():\n    return round(float(MODEL.predict([[4]])[0]), 6)", 8.0),
    "statsmodels": ("statsmodels", "import statsmodels.api as sm\ndef work():\n"
                    "    return round(float(sm.OLS([2, 4, 6.1], sm.add_constant([1, 2, 3])).fit().rsquared), 2)", 1.0),
    "lightgbm": ("lightgbm", "import lightgbm as lgb, numpy as np\nX = np.arange(100).reshape(-1, 1)\n"
                 "MODEL = lgb.train({'verbose': -1, 'num_threads': 1}, lgb.Dataset(X, X[:, 0] * 2.0), 10)\n"
                 "def work():\n    return float(MODEL.predict([[90]])[0]) > 90", True),
    "xgboost": ("xgboost", "import xgboost as xgb, numpy as np\nX = np.arange(100.0).reshape(-1, 1)\n"
                "MODEL = xgb.train({'nthread': 1}, xgb.DMatrix(X, X[:, 0] * 2), 10)\n"
                "def work():\n    return float(MODEL.predict(xgb.DMatrix(np.array([[90.0]])))[0]) > 90", True),
    "tensorflow-cpu": ("tensorflow-cpu", "import tensorflow as tf\ndef work():\n"
                       "    return float(tf.reduce_sum(tf.ones((3, 3)) @ tf.ones((3, 3))))", 27.0),
    "torch": ("torch", "import torch\ndef work():\n    return float((torch.ones(3, 3) @ torch.ones(3, 3)).sum())", 27.0),
    "onnxruntime": ("onnxruntime", "import onnxruntime as ort\ndef work():\n    return 'CPUExecutionProvider' in "
                    "ort.get_available_providers()", True),
    "transformers": ("transformers", "from transformers import BertConfig, BertTokenizerFast\ndef work():\n"
                     "    return BertConfig().hidden_size", 768),
    "spacy": ("spacy", "import spacy\nNLP = spacy.blank('en')\ndef work():\n    return len(NLP('Samovars boil water.'))", 4),
    "opencv-python-headless": ("opencv-python-headless", "import cv2, numpy as np\ndef work():\n"
                               "    return list(cv2.resize(np.zeros((10, 10, 3), np.uint8), (4, 5)).shape)", [5, 4, 3]),
    "pillow": ("pillow", "import io\nfrom PIL import Image\ndef work():\n    out = io.BytesIO()\n"
               "    Image.new('RGB', (8, 8), 'red').save(out, 'PNG')\n    return Image.open(out).getpixel((1, 1))[0]", 255),
    "pyarrow": ("pyarrow", "import pyarrow as pa, pyarrow.compute as pc\ndef work():\n"
                "    return pc.sum(pa.array([1, 2, 3])).as_py()", 6),
    "polars": ("polars", "import polars as pl\ndef work():\n    return pl.DataFrame({'a': [1, 2, 3]})['a'].sum()", 6),
    "lxml": ("lxml", "from lxml import etree\ndef work():\n    return etree.fromstring('<a><b>x</b></a>').xpath('//b')[0].text",
             "x"),
    "cryptography": ("cryptography", "from cryptography.fernet import Fernet\nKEY = Fernet.generate_key()\n"
                     "def work():\n    return Fernet(KEY).decrypt(Fernet(KEY).encrypt(b'x')).decode()", "x"),
    "psycopg": ("psycopg[binary]", "import psycopg\ndef work():\n    return psycopg.pq.__impl__", "binary"),
    "shapely": ("shapely", "from shapely import Point\ndef work():\n    return round(Point(0, 0).buffer(1).area)", 3),
}
HANDLER = "\n\ndef handler(event, context):\n    return work()\n"


def write(folder, thing, pinned=None, comment=""):
    """A project of that thing; answers what its function must answer."""
    requirement, code, answer = THINGS[thing]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(pinned or f"{requirement}\n{SECOND_LINE}\n")
    (folder / "app.py").write_text(f"# {comment}\n{code}{HANDLER}")
    return answer
