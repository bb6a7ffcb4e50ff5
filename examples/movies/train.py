#!/usr/bin/env python3
"""Learns the films' embeddings from ratings and says how good they are: train.py [--data FOLDER]

Reads MovieLens 100K (data/ml-100k.inter and .item) or another MovieLens (ratings.csv and movies.csv in FOLDER).
Writes data/movies.jsonl for `samovar collections load` and function/model.npz.

The test is by time. Films are learned from the first 80 % of all ratings; of each later user the function
is given what they rated first and has to find what they liked after that, which nothing was learned from.
"""

import argparse
import csv
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "function"))
from embed import GENRES, Model, fold_in, genre_row, liking  # noqa: E402

DIMENSION, ROUNDS, TRAINED, BEST, LIKED, LEAST = 32, 10, 0.8, 10, 4, 5


class Ratings:
    """user, film (its place in `films`), stars and time, in order of time."""

    def __init__(self, films, rows):
        place = {film["id"]: i for i, film in enumerate(films)}
        whole = [row for row in rows if len(row) == 4 and row[1] in place and row[3].isdigit()]
        if len(whole) < len(rows):
            print(f"  left out: {len(rows) - len(whole)} lines that are no ratings of these films")
        rows = sorted(((int(u), place[f], float(s), int(t)) for u, f, s, t in whole), key=lambda row: row[3])
        self.films = films
        self.user, self.film = (np.array([row[i] for row in rows]) for i in (0, 1))
        self.stars, self.time = (np.array([row[i] for row in rows]) for i in (2, 3))


def read_tabs(path):
    with open(path, encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines][1:]


def in_order(title):
    """The Godfather, which the data calls "Godfather, The"."""
    head, _, article = title.rpartition(", ")
    return f"{article} {head}" if article in ("The", "A", "An") else title


def read(folder):
    if (folder / "ml-100k.inter").exists():
        films = [{"id": id, "title": in_order(title), "year": int(year) if year.isdigit() else 0, "genres": genres.split()}
                 for id, title, year, genres in read_tabs(folder / "ml-100k.item")]
        return Ratings(films, read_tabs(folder / "ml-100k.inter"))
    if not (folder / "movies.csv").exists():
        sys.exit(f"there are no ratings in {folder}: tools/setup fetches them")
    with open(folder / "movies.csv", encoding="utf-8", newline="") as text:
        films = []
        for row in csv.DictReader(text):
            title, _, year = row["title"].strip().rpartition(" (")
            films.append({"id": row["movieId"], "title": in_order(title) or row["title"],
                          "year": int(year[:-1]) if year[:-1].isdigit() else 0,
                          "genres": row["genres"].replace("Children", "Children's").split("|")})
    with open(folder / "ratings.csv", newline="") as text:
        return Ratings(films, list(csv.reader(text))[1:])


def factorise(ratings, rows):
    """Vectors of all films, by alternating least squares over these rows of the ratings; zeros where none is."""
    chance = np.random.default_rng(0)
    weights = np.array([liking(stars) for stars in ratings.stars[rows]])
    liked = weights > 0
    users, films, weights = ratings.user[rows][liked], ratings.film[rows][liked], weights[liked]
    _, users = np.unique(users, return_inverse=True)
    shapes = [(users, films, users.max() + 1), (films, users, len(ratings.films))]
    groups = []
    for whose, others, count in shapes:
        order = np.argsort(whose, kind="stable")
        ends = np.searchsorted(whose[order], np.arange(count + 1))
        groups.append([(others[order[a:b]], weights[order[a:b]]) for a, b in zip(ends, ends[1:])])
    of_films = chance.normal(0, 0.1, (len(ratings.films), DIMENSION))
    for _ in range(ROUNDS):
        for group in groups:  # the users from the films, then the films from the users
            gram = of_films.T @ of_films
            of_films = np.array([fold_in(of_films[who], much, gram) if len(who) else np.zeros(DIMENSION) for who, much in group])
    return of_films


def cases(ratings, cut):
    """(films that the function is given, stars, films that it has to find) of each later user."""
    found = []
    for user in np.unique(ratings.user[cut:]):
        own = np.flatnonzero(ratings.user == user)
        given = max(len(own) // 2, np.count_nonzero(own < cut))
        after = own[given:]
        hidden = set(ratings.film[after[ratings.stars[after] >= LIKED]])
        if given >= LEAST and len(hidden) >= LEAST:
            found.append((ratings.film[own[:given]], ratings.stars[own[:given]], hidden))
    return found


def quality(rank, tests):
    """recall@10 (of at most ten) and NDCG@10, means over the users."""
    gains = 1 / np.log2(np.arange(2, BEST + 2))
    recall, ndcg = [], []
    for given, stars, hidden in tests:
        hit = np.array([film in hidden for film in rank(given, stars)])
        most = min(BEST, len(hidden))
        recall.append(hit.sum() / most)
        ndcg.append((hit * gains[:len(hit)]).sum() / gains[:most].sum())
    return float(np.mean(recall)), float(np.mean(ndcg))


def best_of(scores, given):
    scores = scores.copy()
    scores[given] = -np.inf
    return np.argsort(-scores)[:BEST]


def content_weights(films, vectors, times_rated):
    """Genres to vector, by ridge regression; a film counts as often as it was rated."""
    rows = np.array([genre_row(film["genres"]) for film in films])
    weighted = rows * times_rated[:, None]
    return np.linalg.solve(weighted.T @ rows + 10 * np.eye(len(GENRES) + 1), weighted.T @ vectors)


def test(ratings):
    cut = int(len(ratings.user) * TRAINED)
    tests = cases(ratings, cut)
    vectors = factorise(ratings, slice(0, cut))
    gram = vectors.T @ vectors
    liked = ratings.film[:cut][ratings.stars[:cut] >= LIKED]
    popular = np.bincount(liked, minlength=len(ratings.films)).astype(float)

    def by_fold_in(given, stars):
        much = np.array([liking(s) for s in stars])
        if not much.any():
            return best_of(popular, given)
        return best_of(vectors @ fold_in(vectors[given[much > 0]], much[much > 0], gram), given)

    print(f"  {len(tests)} users of the last {1 - TRAINED:.0%} of the ratings; films learned from the first {TRAINED:.0%}")
    print(f"  {'':<28}{'recall@10':>10}{'NDCG@10':>10}")
    answers = {}
    for what, rank in (("most popular", lambda given, stars: best_of(popular, given)), ("embeddings, exact search", by_fold_in)):
        recall, ndcg = answers[what] = quality(rank, tests)
        print(f"  {what:<28}{recall:>10.3f}{ndcg:>10.3f}")
    return tests, vectors, gram, answers


def write(ratings, data):
    vectors = factorise(ratings, slice(None))
    rated = np.bincount(ratings.film, minlength=len(ratings.films)).astype(float)
    Model(vectors.T @ vectors, content_weights(ratings.films, vectors, rated)).save(HERE / "function/model.npz")
    data.mkdir(parents=True, exist_ok=True)
    with open(data / "movies.jsonl", "w", encoding="utf-8") as out:
        for film, vector in zip(ratings.films, vectors):
            attributes = {"title": film["title"], "year": film["year"], "genres": film["genres"]}
            row = {"id": film["id"], "vector": [round(float(x), 6) for x in vector], "attributes": attributes}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"  {len(ratings.films)} films in {DIMENSION} dimensions from {len(ratings.user)} ratings: data/movies.jsonl")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", type=pathlib.Path, default=HERE / "data")
    folder = arguments.parse_args().data
    ratings = read(folder)
    tests, vectors, gram, _ = test(ratings)
    write(ratings, HERE / "data")
    # For demo.py, which asks the same of the collection's search.
    with open(HERE / "data/test.json", "w") as out:
        films = [film["id"] for film in ratings.films]
        json.dump({"gram": gram.tolist(), "vectors": dict(zip(films, np.round(vectors, 6).tolist())),
                   "tests": [{"given": {films[f]: s for f, s in zip(given, stars)}, "hidden": sorted(films[f] for f in hidden)}
                             for given, stars, hidden in tests]}, out)


if __name__ == "__main__":
    main()
