"""examples/movies from ratings to a page: trained on a few made-up ones, deployed, recommending, and taking a film in."""

import json
import random
import shutil
import sys
import urllib.parse

import pytest

from harness import AWS_ENV, HTTP, ROOT, run

EXAMPLE = ROOT / "examples/movies"
FILMS, USERS, GENRES = 60, 50, ("Sci-Fi", "Drama")


FILM = {"id": "x", "title": "X", "year": 2026, "genres": ["War"]}
WRONG = [
    ("recommend", [1], "the event: expected a JSON object"),
    ("recommend", {"ratings": {"50": 9}}, "ratings: 50: expected 0 to 5 stars"),
    ("recommend", {"ratings": {"50": True}}, "ratings: 50: expected 0 to 5 stars"),
    ("recommend", {"ratings": {"50": 5}, "k": True}, "k: expected 1 to 100"),
    ("add_movie", None, "the event: expected a JSON object"),
    ("add_movie", {**FILM, "title": ""}, "title: expected text"),
    ("add_movie", {**FILM, "year": True}, "year: expected a number"),
    ("add_movie", {**FILM, "genres": ["Space Opera"]}, "genres: expected some of"),
    ("add_movie", {**FILM, "like": "50"}, "like: expected a list of film ids"),
    ("add_movie", {**FILM, "like": [50]}, "like: expected a list of film ids"),
    ("add_movie", {**FILM, "like": ["nowhere"]}, "like: there is no film nowhere"),
]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Two kinds of films and people who like one of them, in the files' own form; trained."""
    folder = tmp_path_factory.mktemp("movies") / "movies"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "build", ".samovar-build", "__pycache__", "model.npz"))
    (folder / "data").mkdir()
    # The ids are those that demo.py's fan has rated: they are of the first kind.
    ids = {i: str(i) for i in range(FILMS)} | {0: "50", 2: "172", 4: "174", 6: "181", 8: "210", 50: "a", 1: "b"}
    items = [f"{ids[i]}\tFilm {i}, The\t{1950 + i}\t{GENRES[i % 2]}" for i in range(FILMS)]
    (folder / "data/ml-100k.item").write_text("\n".join(["head", *items]) + "\n")
    chance, lines, time = random.Random(3), ["head"], 0
    for user in range(USERS):
        for film in {0, 2, *chance.sample(range(FILMS), 25)}:  # films that all have seen weigh more
            time += 1
            liked = film % 2 == user % 2
            lines.append(f"{user}\t{ids[film]}\t{chance.choice((4, 5)) if liked else chance.choice((1, 2))}\t{time}")
    (folder / "data/ml-100k.inter").write_text("\n".join(lines) + "\n")
    done = run([sys.executable, folder / "train.py"])
    quality = {line.split("  ")[1].strip(): line.split()[-2:] for line in done.out.splitlines() if line.startswith(("  most", "  emb"))}
    assert float(quality["embeddings, exact search"][1]) > float(quality["most popular"][1]), done.out
    template = (folder / "template.yaml").read_text()
    return folder, template


def test_the_example_recommends_and_sees_a_new_film_at_the_next_call(fresh, example):
    folder, template = example
    server = fresh()
    (folder / "template.yaml").write_text(template.replace("python3.11", server.runtime()))
    report = json.loads(server.samovar("deploy", folder, "--json").out)
    done = run([sys.executable, folder / "demo.py", "--rows", "2000"], AWS_ENDPOINT_URL=server.endpoint, **AWS_ENV)
    for wanted in ("answers hold 100.0% of those of exact search", "The Film 0", "A New Film (2026), Action, Adventure, Sci-Fi  <- just added",
                   "the next call of recommend", "2000 rows of 1024 numbers", "times as long"):
        assert wanted in done.out, done.out

    likes = {"50": 5, "172": 5, "174": 4}
    answer = server.invoke("recommend", {"ratings": likes, "k": 5, "filter": {"eq": {"genres": "Sci-Fi"}}}).payload
    assert len(answer["films"]) == 5 and not {film["id"] for film in answer["films"]} & set(likes)
    assert all("Sci-Fi" in film["genres"] for film in answer["films"])
    for function, event, words in WRONG:
        refused = server.invoke(function, event).payload
        assert refused["errorType"] == "Wrong" and words in refused["errorMessage"], (event, refused)

    host = urllib.parse.urlsplit(report["outputs"]["Page"]).netloc
    page = HTTP.request("GET", server.endpoint + "/", headers={"Host": host})
    assert page.status == 200 and b"Which film tonight?" in page.data and page.headers["content-type"].startswith("text/html")

    def post(path, body, status=200):
        reply = HTTP.request("POST", server.endpoint + path, body=json.dumps(body).encode(), headers={"Host": host})
        assert reply.status == status, reply.data
        return json.loads(reply.data)

    added = post("/add", {"id": "page", "title": "Of the page", "year": 2026, "genres": ["Sci-Fi"], "like": ["50", "172"]})
    films = post("/films", {})
    assert films["generation"] == added["generation"] and "page" in [film["id"] for film in films["films"]]
    best = post("/recommend", {"ratings": likes, "k": 20, "min_generation": added["generation"]})["films"]
    assert "page" in [film["id"] for film in best]
    assert "genres" in post("/add", {"id": "x", "title": "X", "year": 2026, "genres": []}, 400)["error"]
    assert post("/add", [1], 400)["error"] == "the body: expected a JSON object"
    assert set(films["genres"]) > {"Sci-Fi", "War"} and "unknown" not in films["genres"]
    assert "generation" in post("/recommend", {"ratings": likes, "min_generation": 1 << 40}, 503)["error"]
    assert post("/nowhere", {}, 404)["error"] == "there is no POST /nowhere"


@pytest.mark.skipif(not (ROOT.parent / "shared/data/movielens-latest-small").exists(), reason="the data is not on this machine")
def test_it_learns_from_a_newer_movielens_too(example):
    folder, _ = example
    done = run([sys.executable, folder / "train.py", "--data", ROOT.parent / "shared/data/movielens-latest-small"])
    assert "9742 films in 32 dimensions from 10083" in done.out
    lines = {line.strip().split("  ")[0]: float(line.split()[-1]) for line in done.out.splitlines() if line.startswith(("  most", "  emb"))}
    assert lines["embeddings, exact search"] > lines["most popular"], done.out
