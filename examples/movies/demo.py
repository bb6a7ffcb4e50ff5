#!/usr/bin/env python3
"""Shows what `./demo` says of the films: demo.py [--rows N]. The server is the one of AWS_ENDPOINT_URL.

Loads the trained films, prints how good the recommendations are beside popularity and exact search, recommends,
adds a film and recommends again, and starts functions beside an empty collection and one of 1 GB (--rows 262144).
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import sys
import time
import zipfile
from base64 import b64decode, b64encode
from io import BytesIO

import boto3
import numpy as np
import urllib3

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "function")]
from embed import fold_in, liking  # noqa: E402
from train import BEST, DIMENSION, quality  # noqa: E402

os.environ.setdefault("AWS_ACCESS_KEY_ID", "any")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "any")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
HTTP = urllib3.PoolManager(timeout=120)
LAMBDA = boto3.client("lambda")
ROOT = "/samovar/v1/collections"
STARTS, WIDE, AT_A_TIME = 7, 1024, 4096  # of the large collection: its dimension, and rows in a batch

# Its film is there before the first call, as a recommender's would be.
START = """
import os
from samovar import collection
FILMS = collection(os.environ["FILMS"])
def handler(event, context):
    return FILMS.get("1") is not None
"""


def ask(method, path="", body=None):
    reply = HTTP.request(method, ENDPOINT + ROOT + path, body=None if body is None else json.dumps(body))
    if reply.status >= 300:
        sys.exit(f"{method} {path}: {reply.status} {reply.data.decode()}")
    return json.loads(reply.data) if reply.data else None


def make(name, dimension=DIMENSION):
    """A collection with nothing in it, in place of one that an earlier run left."""
    if name in [one["name"] for one in ask("GET")["collections"]]:
        ask("DELETE", "/" + name)
    ask("POST", body={"name": name, "dimension": dimension, "metric": "dot"})


def put(name, rows):
    changes = [{"op": "put", "id": id, "vector": vector, "attributes": attributes} for id, vector, attributes in rows]
    return ask("POST", f"/{name}/batch", {"changes": changes})


def call(name, event):
    answer = LAMBDA.invoke(FunctionName=name, Payload=json.dumps(event))
    value = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        sys.exit(f"{name}: {value['errorMessage']}")
    return value


def show(films):
    for place, film in enumerate(films, 1):
        new = "  <- just added" if film.get("added") else ""
        print(f"  {place:>3}. {film['title']} ({film['year']}), {', '.join(film['genres'])}{new}")


def show_quality():
    """The searches of train.py's test once more, by the collection."""
    data = json.loads((HERE / "data/test.json").read_text())
    gram, vectors = np.array(data["gram"]), {film: np.array(vector) for film, vector in data["vectors"].items()}
    films = list(vectors)
    matrix, place = np.array([vectors[film] for film in films]), {film: i for i, film in enumerate(films)}
    make("movies-test")
    put("movies-test", [(film, list(vector), {}) for film, vector in vectors.items()])
    same = []

    def rank(given, stars):
        much = np.array([liking(s) for s in stars])
        user = fold_in(np.array([vectors[film] for film in given])[much > 0], much[much > 0], gram)
        hits = ask("POST", "/movies-test/search", {"vector": user.tolist(), "k": BEST + len(given)})["hits"]
        found = [hit["id"] for hit in hits if hit["id"] not in given][:BEST]
        scores = matrix @ user
        scores[[place[film] for film in given]] = -np.inf
        same.append(len(set(found) & {films[i] for i in np.argsort(-scores)[:BEST]}) / BEST)
        return found

    tests = [(list(t["given"]), list(t["given"].values()), set(t["hidden"])) for t in data["tests"]]
    recall, ndcg = quality(rank, [t for t in tests if max(t[1]) > 2])
    print(f"  {'embeddings, the collection':<28}{recall:>10.3f}{ndcg:>10.3f}")
    print(f"  the collection's answers hold {np.mean(same):.1%} of those of exact search")
    ask("DELETE", "/movies-test")


def show_a_new_film():
    fan = {"50": 5, "172": 5, "174": 4, "181": 5, "210": 4}
    titles = [row["attributes"]["title"] for row in ask("POST", "/movies/get", {"ids": list(fan)})["rows"]]
    print(f"  for somebody who liked {', '.join(titles)}:")
    show(call("recommend", {"ratings": fan, "k": 5})["films"])
    film = {"id": "new", "title": "A New Film", "year": 2026, "genres": ["Action", "Adventure", "Sci-Fi"], "like": ["50", "172"]}
    call("add_movie", {**film, "id": "warm-up"})
    ask("DELETE", "/movies/rows/warm-up")
    call("recommend", {"ratings": fan})
    began = time.perf_counter()
    added = call("add_movie", film)
    written = time.perf_counter()
    films = call("recommend", {"ratings": fan, "k": 5})["films"]
    seen = time.perf_counter()
    if "new" not in [one["id"] for one in films]:
        sys.exit(f"the new film of generation {added['generation']} is not there: {films}")
    print(f"\n  add_movie put a film in (generation {added['generation']}, on disk) in {1000 * (written - began):.1f} ms; "
          f"the next call of recommend, {1000 * (seen - written):.1f} ms later, has it:")
    show(films)


def load_large(name, rows):
    began = time.perf_counter()
    make(name, WIDE)
    chance = np.random.default_rng(1)
    for first in range(0, rows, AT_A_TIME):
        block = chance.standard_normal((min(AT_A_TIME, rows - first), WIDE), dtype=np.float32)
        put(name, [(str(first + i), b64encode(row.tobytes()).decode(), {}) for i, row in enumerate(block)])
        if sys.stdout.isatty():
            print(f"\r  loading {first + len(block)} of {rows} rows of {WIDE} numbers", end="", flush=True)
    return time.perf_counter() - began


def make_start(name, films):
    """A function that has one collection before its first call; instances start afresh, not as clones."""
    package = BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", START)
    try:
        LAMBDA.delete_function(FunctionName=name)
    except LAMBDA.exceptions.ResourceNotFoundException:
        pass
    LAMBDA.create_function(FunctionName=name, Runtime=runtime(), Role="arn:aws:iam::000000000000:role/any", Handler="app.handler",
                           Code={"ZipFile": package.getvalue()}, MemorySize=1769, Environment={"Variables": {"FILMS": films}},
                           Tags={"samovar:clone": "off", "samovar:collections": films + ":r"})
    LAMBDA.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})


def start_time(name, number):
    """Milliseconds from nothing to the first answer of a new instance, and of that the function's initialisation."""
    LAMBDA.update_function_configuration(FunctionName=name, Description=f"start {number}")
    LAMBDA.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    began = time.perf_counter()
    answer = LAMBDA.invoke(FunctionName=name, Payload="{}", LogType="Tail")
    took = 1000 * (time.perf_counter() - began)
    if "FunctionError" in answer:
        sys.exit(f"{name}: {answer['Payload'].read().decode()}")
    return took, float(re.search(r"Init Duration: ([\d.]+)", b64decode(answer["LogResult"]).decode())[1])


def show_starts(rows):
    make("movies-none")
    put("movies-none", [("1", [0.0] * DIMENSION, {})])
    took = load_large("movies-large", rows)
    stats = ask("GET", "/movies-large")["stats"]
    size = f"{stats['shared_bytes'] / 2**30:.2f} GB"
    start = "\r" if sys.stdout.isatty() else ""
    print(f"{start}  {stats['rows']} rows of {WIDE} numbers, {size} in shared memory, loaded in {took:.0f} s")
    kinds = {"movies-none": "one film", "movies-large": size + " of films"}
    for films in kinds:
        make_start(films + "-start", films)
        start_time(films + "-start", 0)  # the first one warms the file cache
    times = {films: [] for films in kinds}
    for number in range(1, STARTS + 1):  # in turns, so that what else the machine does hits both
        for films in kinds:
            times[films].append(start_time(films + "-start", number))
    medians = {}
    for films, what in kinds.items():
        whole, own = zip(*times[films])
        medians[films] = statistics.median(whole)
        print(f"  a new instance with {what:<17} answers after {medians[films]:.0f} ms ({min(whole):.0f} to {max(whole):.0f}); "
              f"of that initialisation {statistics.median(own):.0f} ms")
        LAMBDA.delete_function(FunctionName=films + "-start")
        ask("DELETE", "/" + films)
    print(f"  {medians['movies-large'] / medians['movies-none']:.2f} times as long (medians of {STARTS} starts each, without clones)")


def runtime():
    return LAMBDA.get_function_configuration(FunctionName="recommend")["Runtime"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--rows", type=int, default=262_144, help="of the large collection; 262,144 are 1 GB")
    given = arguments.parse_args()
    make("movies")
    with open(HERE / "data/movies.jsonl", encoding="utf-8") as lines:
        films = [json.loads(line) for line in lines]
    put("movies", [(film["id"], film["vector"], film["attributes"]) for film in films])
    show_quality()
    print()
    show_a_new_film()
    print()
    show_starts(given.rows)


if __name__ == "__main__":
    main()
