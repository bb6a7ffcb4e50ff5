"""Recommends films, takes new ones in, and shows a page for both.

The films' embeddings lie in the collection `movies`, which every instance reads in place and nobody loads; a
film that add_movie puts there is in the next answer of recommend, in all instances.
"""

import base64
import json
import os
import pathlib

import numpy as np
from samovar import collection

from embed import GENRES, Model, liking

HERE = pathlib.Path(__file__).parent
MODEL = Model.load(HERE / "model.npz")
FILMS = os.environ.get("MOVIES", "movies")


class Wrong(ValueError):
    """What the caller sent; the message names the field."""


def check_ratings(event):
    ratings = event.get("ratings")
    if not isinstance(ratings, dict) or not 1 <= len(ratings) <= 1000:
        raise Wrong("ratings: expected {film id: stars}, 1 to 1,000 of them")
    for film, stars in ratings.items():
        if not isinstance(stars, (int, float)) or not 0 <= stars <= 5:
            raise Wrong(f"ratings: {film}: expected 0 to 5 stars")
    return ratings


def recommend(event, context=None):
    """{"ratings": {"50": 5, ...}, "k": 10, "filter": {"eq": {"genres": "War"}}, "min_generation": 0}"""
    ratings = check_ratings(event)
    k = event.get("k", 10)
    if not isinstance(k, int) or not 1 <= k <= 100:
        raise Wrong("k: expected 1 to 100")
    with collection(FILMS).snapshot(event.get("min_generation", 0)) as films:
        rated = [(films.get(film), liking(stars)) for film, stars in ratings.items()]
        unknown = [film for film, (row, _) in zip(ratings, rated) if row is None]
        liked = [(row.vector, weight) for row, weight in rated if row and weight > 0]
        if not liked:
            raise Wrong("ratings: none of a known film has more than two stars")
        user = MODEL.user(*zip(*liked))
        hits = films.search(user.astype(np.float32), k=k + len(ratings), filter=event.get("filter"))
        best = [hit for hit in hits if hit.id not in ratings][:k]
        return {"films": [{"id": hit.id, "score": round(hit.score, 4), **hit.attributes} for hit in best],
                "generation": films.generation, "unknown": unknown}


def add_movie(event, context=None):
    """{"id": "my-film", "title": "My Film", "year": 2026, "genres": ["Sci-Fi"], "like": ["50"]}"""
    for field, kind in (("id", str), ("title", str), ("year", int), ("genres", list)):
        if not isinstance(event.get(field), kind):
            raise Wrong(f"{field}: expected {'a list' if kind is list else 'text' if kind is str else 'a number'}")
    unknown = [genre for genre in event["genres"] if genre not in GENRES]
    if unknown or not event["genres"]:
        raise Wrong(f"genres: expected some of {', '.join(GENRES)}; got {unknown or 'none'}")
    films = collection(FILMS)
    like = [films.get(film) for film in event.get("like", [])]
    if None in like:
        raise Wrong("like: there is no film " + event["like"][like.index(None)])
    vector = MODEL.film(event["genres"], [row.vector for row in like])
    attributes = {"title": event["title"], "year": event["year"], "genres": event["genres"], "added": True}
    return {"id": event["id"], "generation": films.put(event["id"], vector, attributes).generation}


# ---- the page ------------------------------------------------------------------------------------

titles = {"generation": -1, "films": []}


def all_titles(event=None, context=None):
    films = collection(FILMS)
    with films.snapshot() as now:
        if titles["generation"] != now.generation:
            rows = [now.get(film) for film in now.ids if film is not None]
            titles.update(generation=now.generation, films=[{"id": row.id, **row.attributes} for row in rows])
    return titles


POSTS = {"/recommend": recommend, "/add": add_movie, "/films": all_titles}


def page(event, context=None):
    """An HTTP request to the function's URL."""
    path, method = event["rawPath"], event["requestContext"]["http"]["method"]
    if method == "GET" and path == "/":
        return {"statusCode": 200, "headers": {"Content-Type": "text/html; charset=utf-8"},
                "body": (HERE / "page.html").read_text()}
    if method != "POST" or path not in POSTS:
        return answer(404, {"error": f"there is no {method} {path}"})
    body = event.get("body") or "{}"
    try:
        asked = json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)
        if not isinstance(asked, dict):
            raise Wrong("the body: expected a JSON object")
        return answer(200, POSTS[path](asked))
    except ValueError as error:  # Wrong, what is not JSON, and what the collection refuses
        return answer(400, {"error": str(error)})


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
