"""Recommends films, takes new ones in, and shows a page for both.

The films' embeddings lie in the collection `movies`, which every instance reads in place and nobody loads; a
film that add_movie puts there is in the next answer of recommend, in all instances.
"""

import base64
import json
import os
import pathlib

import numpy as np
from samovar import CollectionError, collection

from embed import GENRES, Model, liking

HERE = pathlib.Path(__file__).parent
MODEL = Model.load(HERE / "model.npz")
FILMS = os.environ.get("MOVIES", "movies")
FIELDS = (("id", str, "text"), ("title", str, "text"), ("year", int, "a number"), ("genres", list, "a list"))


class Wrong(ValueError):
    """What the caller sent; the message names the field."""


def is_a(kind, value):
    """JSON's true is no number."""
    return isinstance(value, kind) and not isinstance(value, bool)


def check_object(what, value):
    if not isinstance(value, dict):
        raise Wrong(f"{what}: expected a JSON object")
    return value


def check_ratings(event):
    ratings = check_object("the event", event).get("ratings")
    if not isinstance(ratings, dict) or not 1 <= len(ratings) <= 1000:
        raise Wrong("ratings: expected {film id: stars}, 1 to 1,000 of them")
    for film, stars in ratings.items():
        if not is_a((int, float), stars) or not 0 <= stars <= 5:
            raise Wrong(f"ratings: {film}: expected 0 to 5 stars")
    return ratings


def recommend(event, context=None):
    """{"ratings": {"50": 5, ...}, "k": 10, "filter": {"eq": {"genres": "War"}}, "min_generation": 0}"""
    ratings = check_ratings(event)
    k = event.get("k", 10)
    if not is_a(int, k) or not 1 <= k <= 100:
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
    check_object("the event", event)
    for field, kind, name in FIELDS:
        if not is_a(kind, event.get(field)) or event[field] == "":
            raise Wrong(f"{field}: expected {name}")
    unknown = [genre for genre in event["genres"] if genre not in GENRES]
    if unknown or not event["genres"]:
        raise Wrong(f"genres: expected some of {', '.join(GENRES)}; got {unknown or 'none'}")
    films = collection(FILMS)
    wanted = event.get("like", [])
    if not isinstance(wanted, list) or not all(isinstance(film, str) for film in wanted):
        raise Wrong("like: expected a list of film ids")
    like = [films.get(film) for film in wanted]
    if None in like:
        raise Wrong("like: there is no film " + wanted[like.index(None)])
    vector = MODEL.film(event["genres"], [row.vector for row in like])
    attributes = {"title": event["title"], "year": event["year"], "genres": event["genres"], "added": True}
    return {"id": event["id"], "generation": films.put(event["id"], vector, attributes).generation}


# ---- the page ------------------------------------------------------------------------------------

titles = {"generation": -1, "films": [], "genres": GENRES}


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
    except ValueError:
        asked = None
    try:
        return answer(200, POSTS[path](check_object("the body", asked)))
    except ValueError as error:  # Wrong, and what the collection refuses
        return answer(400, {"error": str(error)})
    except CollectionError as error:  # as a generation that does not come
        return answer(503, {"error": str(error)})


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
