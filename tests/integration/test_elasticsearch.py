"""Elasticsearch's door, by its official clients: PyPI `elasticsearch`, npm `@elastic/elasticsearch`."""

import base64
import json
import math
import random
import re
import threading

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError, helpers

from harness import HTTP, ROOT, run, unique

DIMENSION = 4


@pytest.fixture
def client(server):
    with Elasticsearch(server.endpoint + "/elasticsearch", retry_on_timeout=False, max_retries=0) as client:
        yield client


@pytest.fixture
def index(client):
    name = unique("index")
    made = client.indices.create(index=name, mappings={"properties": {
        "embedding": {"type": "dense_vector", "dims": DIMENSION, "similarity": "cosine", "index": True},
        "title": {"type": "text"}, "year": {"type": "integer"}, "genres": {"type": "keyword"}}})
    assert made["acknowledged"] and made["index"] == name
    yield name
    client.indices.delete(index=name)


def film(i, chance):
    return {"title": f"Film {i}", "year": 1950 + i % 70, "genres": ["War", "Drama"] if i % 3 else ["Comedy"],
            "about": {"country": "FI", "length": i}, "embedding": [chance.gauss(0, 1) for _ in range(DIMENSION)]}


def fill(client, index, count=200):
    chance = random.Random(7)
    films = {str(i): film(i, chance) for i in range(count)}
    done, errors = helpers.bulk(client, ({"_index": index, "_id": id, "_source": one} for id, one in films.items()), refresh=True)
    assert (done, errors) == (count, [])
    return films


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


def exact(films, query, k, fits=lambda one: True):
    scored = sorted(((1 + cosine(query, one["embedding"])) / 2, id) for id, one in films.items() if fits(one))
    return [(id, score) for score, id in scored[::-1][:k]]


def test_the_client_takes_it_for_elasticsearch(client, index):
    assert client.info()["tagline"] == "You Know, for Search" and client.ping()
    assert client.indices.exists(index=index) and not client.indices.exists(index=unique("none"))
    assert client.indices.get_mapping(index=index)[index]["mappings"]["properties"]["embedding"]["dims"] == DIMENSION
    assert client.indices.refresh(index=index)["_shards"]["failed"] == 0
    assert client.count(index=index)["count"] == 0


def test_documents_are_put_read_updated_and_deleted(client, index):
    one = {"title": "Heat", "year": 1995, "about": {"country": "US", "length": 170}, "embedding": [1, 0.5, 0, 0]}
    made = client.index(index=index, id="heat", document=one)
    assert (made["result"], made.meta.status) == ("created", 201)
    got = client.get(index=index, id="heat")
    assert got["found"] and got["_source"] == one
    assert client.index(index=index, id="heat", document={**one, "year": 1996})["result"] == "updated"
    with pytest.raises(ConflictError, match="version_conflict_engine_exception"):
        client.create(index=index, id="heat", document=one)
    assert client.update(index=index, id="heat", doc={"year": 1997, "about": {"length": 171}})["result"] == "updated"
    assert client.get(index=index, id="heat")["_source"] == {**one, "year": 1997, "about": {"country": "US", "length": 171}}
    client.update(index=index, id="heat", doc={"embedding": [0, 0, 0, 2]})
    assert client.get(index=index, id="heat", source_includes=["embedding", "y*"])["_source"] == {"embedding": [0, 0, 0, 2], "year": 1997}
    with pytest.raises(NotFoundError, match="document_missing_exception"):
        client.update(index=index, id="nobody", doc={"year": 1})
    assert client.update(index=index, id="new", doc={"embedding": [1, 1, 1, 1]}, doc_as_upsert=True)["result"] == "created"
    assert client.update(index=index, id="other", doc={"year": 1}, upsert={"embedding": [1, 1, 1, 1]})["result"] == "created"
    anonymous = client.index(index=index, document=one)["_id"]
    assert client.exists(index=index, id=anonymous) and client.count(index=index)["count"] == 4
    assert client.delete(index=index, id=anonymous)["result"] == "deleted"
    with pytest.raises(NotFoundError):
        client.delete(index=index, id=anonymous)
    with pytest.raises(NotFoundError):
        client.get(index=index, id=anonymous)


def test_knn_finds_the_nearest_with_filters_and_scores(client, index):
    films = fill(client, index)
    query = [0.3, -1, 0.2, 0.7]
    knn = {"field": "embedding", "query_vector": query, "k": 10, "num_candidates": 50}

    def found(**body):
        answer = client.search(index=index, **body)
        return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]], answer

    def check(given, wanted):
        assert [id for id, _ in given] == [id for id, _ in wanted]
        assert all(abs(a - b) < 1e-5 for (_, a), (_, b) in zip(given, wanted))

    hits, answer = found(knn=knn, source=["title"])
    check(hits, exact(films, query, 10))
    assert answer["hits"]["total"] == {"value": 10, "relation": "eq"} and answer["hits"]["max_score"] == hits[0][1]
    assert answer["hits"]["hits"][0]["_source"] == {"title": films[hits[0][0]]["title"]}
    for filters, fits in [
            ({"term": {"genres": "Comedy"}}, lambda f: "Comedy" in f["genres"]),
            ({"term": {"title.keyword": {"value": "Film 7"}}}, lambda f: f["title"] == "Film 7"),
            ([{"range": {"year": {"gte": 1960, "lt": 1980}}}, {"terms": {"genres": ["War", "X"]}}],
             lambda f: 1960 <= f["year"] < 1980 and "War" in f["genres"]),
            ({"bool": {"must": {"term": {"genres": "War"}}, "must_not": [{"range": {"year": {"lte": 1990}}}]}},
             lambda f: "War" in f["genres"] and not f["year"] <= 1990),
            ({"bool": {"should": [{"term": {"year": 1950}}, {"term": {"year": 1951}}]}}, lambda f: f["year"] in (1950, 1951)),
            ({"match_none": {}}, lambda f: False)]:
        check(found(knn={**knn, "filter": filters})[0], exact(films, query, 10, fits))
    least = exact(films, query, 6)[-1][1] * 2 - 1  # as a cosine
    check(found(knn={**knn, "similarity": least - 1e-6})[0], exact(films, query, 6))
    check(found(knn=knn, from_=4, size=3)[0], exact(films, query, 10)[4:7])
    check(found(query={"knn": knn})[0], exact(films, query, 10))
    check(found(retriever={"knn": knn})[0], exact(films, query, 10))
    assert client.count(index=index, query={"term": {"genres": "Comedy"}})["count"] == sum("Comedy" in f["genres"] for f in films.values())
    answer = client.search(index=index, query={"ids": {"values": ["5", "nobody"]}}, source=False)["hits"]
    assert [hit["_id"] for hit in answer["hits"]] == ["5"] and "_source" not in answer["hits"][0]
    assert client.search(index=index, query={"match_all": {}}, size=3)["hits"]["total"]["value"] == len(films)


@pytest.mark.parametrize("similarity, vector, score", [
    ("l2_norm", [1, 2, 3, 4], lambda d: 1 / (1 + d)), ("dot_product", [0.5, 0.5, 0.5, 0.5], None),
    ("max_inner_product", [1, 0, 0, 0], None)])
def test_each_similarity_has_its_score(client, similarity, vector, score):
    name = unique("metric")
    client.indices.create(index=name, mappings={"properties": {"v": {"type": "dense_vector", "dims": 4, "similarity": similarity}}})
    client.index(index=name, id="a", document={"v": vector})
    query = [1, 0, 0, 0]
    (hit,) = client.search(index=name, knn={"field": "v", "query_vector": query, "k": 1, "num_candidates": 5})["hits"]["hits"]
    wanted = {"l2_norm": 1 / (1 + sum((a - b) ** 2 for a, b in zip(vector, query))), "dot_product": 0.75, "max_inner_product": 2}
    assert abs(hit["_score"] - wanted[similarity]) < 1e-6
    client.indices.delete(index=name)


def test_bulk_tells_of_each_action(client, index):
    actions = [{"index": {"_id": "a"}}, {"embedding": [1, 0, 0, 0]}, {"create": {"_id": "a"}}, {"embedding": [1, 0, 0, 0]},
               {"index": {"_id": "b"}}, {"embedding": [1, 0]}, {"index": {"_id": "c"}}, {"year": 1},
               {"update": {"_id": "a"}}, {"doc": {"year": 5}}, {"update": {"_id": "zz"}}, {"doc": {"year": 5}},
               {"delete": {"_id": "zz"}}, {"index": {"_id": "d", "_index": unique("none")}}, {"embedding": [1, 0, 0, 0]},
               {"index": {}}, {"embedding": [0, 0, 1, 0]}, {"delete": {"_id": "a"}}, {"index": {"_id": "a"}}, {"embedding": [0, 1, 0, 0]}]
    answer = client.bulk(index=index, operations=actions)
    items = [next(iter(item.values())) for item in answer["items"]]
    assert answer["errors"] and [item["status"] for item in items] == [201, 409, 400, 400, 200, 404, 404, 404, 201, 200, 201]
    assert items[1]["error"]["type"] == "version_conflict_engine_exception"
    assert "vector: expected 4 numbers, got 2" in items[2]["error"]["reason"]
    assert "[embedding] is missing" in items[3]["error"]["reason"]
    assert items[5]["error"]["type"] == "document_missing_exception" and items[7]["error"]["type"] == "index_not_found_exception"
    assert client.get(index=index, id="a")["_source"] == {"embedding": [0, 1, 0, 0]} and client.count(index=index)["count"] == 2


def test_byte_vectors_come_back_as_they_were(client, server):
    name, chance = unique("bytes"), random.Random(8)
    client.indices.create(index=name, mappings={"properties": {
        "v": {"type": "dense_vector", "dims": 6, "element_type": "byte", "similarity": "l2_norm"}}})
    rows = {str(i): [chance.randint(-128, 127) for _ in range(6)] for i in range(50)}
    rows["edge"] = [-128, 127, 0, 1, -1, 64]
    helpers.bulk(client, ({"_index": name, "_id": id, "v": row} for id, row in rows.items()))
    query = [1, 2, 3, 4, 5, 6]
    hits = client.search(index=name, knn={"field": "v", "query_vector": query, "k": 51, "num_candidates": 60}, size=51)["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["v"] for hit in hits} == rows
    assert all(hit["_score"] == pytest.approx(1 / (1 + sum((a - b) ** 2 for a, b in zip(rows[hit["_id"]], query))), rel=1e-4)
               for hit in hits)
    assert json.loads(server.raw("GET", f"/samovar/v1/collections/{name}").data)["storage"] == "i8"
    for wrong in ([1.5, 0, 0, 0, 0, 0], [128, 0, 0, 0, 0, 0]):
        with pytest.raises(BadRequestError, match="only support integers"):
            client.index(index=name, id="x", document={"v": wrong})
    client.indices.delete(index=name)


def test_source_shows_what_is_asked_for(client, index):
    one = {"title": "Heat", "year": 1995, "about": {"country": "US", "length": 170}, "embedding": [1, 0.5, 0, 0]}
    client.index(index=index, id="heat", document=one)
    knn = {"field": "embedding", "query_vector": [1, 0, 0, 0], "k": 1, "num_candidates": 5}
    for source, shown in [
            (True, one), (["title", "y*"], {"title": "Heat", "year": 1995}), ({"includes": ["*"], "excludes": ["a*", "embedding"]},
             {"title": "Heat", "year": 1995}), ({"exclude_vectors": True}, {n: v for n, v in one.items() if n != "embedding"}),
            ("year", {"year": 1995})]:
        (hit,) = client.search(index=index, knn=knn, source=source)["hits"]["hits"]
        assert hit["_source"] == shown, source
    (hit,) = client.search(index=index, knn=knn, source_excludes=["embedding", "about"])["hits"]["hits"]
    assert hit["_source"] == {"title": "Heat", "year": 1995}


@pytest.mark.parametrize("call, message", [
    (lambda c, i: c.indices.create(index="x", mappings={"properties": {
        "v": {"type": "dense_vector", "dims": 4}, "w": {"type": "dense_vector", "dims": 4}}}), r"one field of type \[dense_vector\]"),
    (lambda c, i: c.indices.create(index="x", mappings={"properties": {"v": {"type": "dense_vector", "dims": 4, "element_type": "bit"}}}),
     r"element_type \[bit\] is not supported"),
    (lambda c, i: c.index(index=i, id="a", document={"embedding": [[1, 0, 0, 0], [0, 1, 0, 0]]}), "one vector here, not several"),
    (lambda c, i: c.search(index=i, query={"match_all": {}}, knn={"field": "embedding", "query_vector": [1, 2, 3, 4], "k": 1,
                                                                 "num_candidates": 1}), "hybrid"),
    (lambda c, i: c.indices.create(index=i), "already_exists|dense_vector"),
    (lambda c, i: c.indices.create(index=i, mappings={"properties": {"v": {"type": "dense_vector", "dims": 4}}}), "already exists"),
    (lambda c, i: c.indices.create(index="Big", mappings={"properties": {"v": {"type": "dense_vector", "dims": 4}}}), "name: expected"),
    (lambda c, i: c.indices.create(index="x", mappings={"properties": {"v": {"type": "dense_vector"}}}), r"\[dims\]"),
    (lambda c, i: c.indices.create(index="x", mappings={"properties": {"v": {"type": "dense_vector", "dims": 99999}}}), "dimension"),
    (lambda c, i: c.search(index=i, query={"match": {"title": "x"}}), r"\[match\] queries are not supported"),
    (lambda c, i: c.search(index=i, query={"term": {"_id": "x"}}), r"\[_id\] cannot be filtered by here"),
    (lambda c, i: c.search(index=i, knn={"field": "nope", "query_vector": [1, 2, 3, 4], "k": 1, "num_candidates": 1}), "does not exist in the mapping"),
    (lambda c, i: c.search(index=i, knn={"field": "embedding", "query_vector": [1], "k": 1, "num_candidates": 1}), "different dimension"),
    (lambda c, i: c.search(index=i, knn={"field": "embedding", "query_vector": [1, 2, 3, 4], "k": 9, "num_candidates": 1}), "num_candidates"),
    (lambda c, i: c.search(index=i, size=10001), "at most 10000"),
    (lambda c, i: c.search(index=i, aggs={"x": {"terms": {"field": "year"}}}), "aggs"),
    (lambda c, i: c.index(index=i, id="a", document={"year": 1}), r"\[embedding\] is missing"),
    (lambda c, i: c.index(index=i, id="a", document={"embedding": "abc"}), "expects an array of numbers"),
    (lambda c, i: c.bulk(index=i, operations=[{"explode": {"_id": "a"}}]), "expected index, create, update or delete"),
])
def test_what_is_not_served_is_said(client, index, call, message):
    with pytest.raises(BadRequestError, match=message):
        call(client, index)
    assert client.count(index=index)["count"] == 0


ROW = {"embedding": [1, 0, 0, 0]}
KNN = {"field": "embedding", "query_vector": [1, 0, 0, 0], "k": 1, "num_candidates": 5}


def mapped(more=None, **vector):
    return {"mappings": {"properties": {"v": {"type": "dense_vector", "dims": 4, **vector}}, **(more or {})}}


@pytest.mark.parametrize("method, path, body, kind, reason", [
    ("PUT", "/{}/_doc/a?pipeline=clean", ROW, "illegal_argument_exception", "pipeline with id [clean] does not exist"),
    ("POST", "/_bulk?pipeline=clean", None, "illegal_argument_exception", "pipeline with id [clean] does not exist"),
    ("PUT", "/{}/_doc/a?refrsh=true", ROW, "illegal_argument_exception", "request [/elasticsearch/{}/_doc/a] contains unrecognized parameter: [refrsh]"),
    ("PUT", "/{}/_doc/a?refresh=maybe", ROW, "illegal_argument_exception", "Unknown value for refresh: [maybe]."),
    ("PUT", "/{}/_doc/a?op_type=replace", ROW, "illegal_argument_exception", "opType must be 'create' or 'index', found: [replace]"),
    ("PUT", "/{}/_doc/a?version=3", ROW, "action_request_validation_exception", "[version] is not supported here"),
    ("PUT", "/{}/_doc/a?require_alias=true", ROW, "illegal_argument_exception", "there are no aliases"),
    ("GET", "/{}/_search?q=year:1995", None, "action_request_validation_exception", "[q] is not supported here"),
    ("GET", "/{}/_search?sise=3", None, "illegal_argument_exception", "unrecognized parameter: [sise]"),
    ("GET", "/{}/_search?size=-1", None, "illegal_argument_exception", "Failed to parse int parameter [size] with value [-1]"),
    ("GET", "/{}/_count?q=year:1995", None, "action_request_validation_exception", "[q] is not supported here"),
    ("DELETE", "/{}/_count", None, "illegal_argument_exception", "DELETE of [_count] is not supported here"),
    ("POST", "/{}/_count", {"size": 3}, "parsing_exception", "request does not support [size]"),
    ("POST", "/{}/_search", {"query": {"match_all": {"fuzzy": 1}}}, "parsing_exception", "[match_all] does not support [fuzzy]"),
    ("POST", "/{}/_search", {"query": {"term": {"year": {"value": 1, "case_insensitive": True}}}}, "parsing_exception", "[term] does not support [case_insensitive]"),
    ("POST", "/{}/_search", {"query": {"ids": {"values": ["a"], "type": "x"}}}, "parsing_exception", "[ids] does not support [type]"),
    ("POST", "/{}/_search", {"query": {"constant_score": {"filter": {"match_all": {}}, "x": 1}}}, "parsing_exception", "[constant_score] does not support [x]"),
    ("POST", "/{}/_search", {"track_total_hits": "all"}, "parsing_exception", "[track_total_hits] expects"),
    ("POST", "/{}/_search", {"knn": {**KNN, "_name": "x"}}, "parsing_exception", "[knn] does not support [_name]"),
    ("POST", "/{}/_search", {"knn": {**KNN, "num_candidates": 0}}, "parsing_exception", "[num_candidates] must be greater than 0"),
    ("POST", "/{}/_search", {"knn": {**KNN, "boost": -1}}, "parsing_exception", "negative [boost]"),
    ("POST", "/{}/_update/a", {"doc": ROW, "doc_as_upsert": "yes"}, "parsing_exception", "[doc_as_upsert] has to be true or false"),
    ("POST", "/{}/_update/a", {"doc": ROW, "upsert": 7}, "parsing_exception", "[upsert] has to be an object"),
    ("POST", "/{}/_search", b'{"size": 1', "parsing_exception", "the body is not JSON: incomplete JSON at byte 10"),
    ("PUT", "/other", mapped(index_options={"type": "foo"}), "mapper_parsing_exception", "Unknown vector index options type [foo] for field [v]"),
    ("PUT", "/other", mapped(index_options={"m": 16}), "mapper_parsing_exception", "[index_options] requires field [type]"),
    ("PUT", "/other", mapped(index_options={"type": "hnsw", "ef": 1}), "mapper_parsing_exception", "unsupported parameters:  [ef : 1]"),
    ("PUT", "/other", mapped(dim=4), "mapper_parsing_exception", "unknown parameter [dim] on mapper [v] of type [dense_vector]"),
    ("PUT", "/other", mapped(dims=20000), "mapper_parsing_exception", "The number of dimensions for field [v] should be in the range [1, 16384] but was [20000]"),
    ("PUT", "/other", mapped({"dynamic": "strict"}), "mapper_parsing_exception", "[dynamic] can be true or false here"),
    ("PUT", "/other", mapped({"_source": {"excludes": ["v"]}}), "mapper_parsing_exception", "[_source] is not supported here"),
    ("PUT", "/other", mapped({"propertys": {}}), "mapper_parsing_exception", "Root mapping definition has unsupported parameters:  [propertys"),
    ("PUT", "/other", {"mappings": {"properties": {"v": {"type": "dense_vector", "dims": 4}, "t": {"type": "txt"}}}}, "mapper_parsing_exception",
     "No handler for type [txt] declared on field [t]"),
    ("PUT", "/other", {"mappings": {"properties": {"v": {"type": "dense_vector", "dims": 4}, "a": {"properties": {"w": {"type": "dense_vector", "dims": 4}}}}}},
     "mapper_parsing_exception", "[a.w]: a field of type [dense_vector] has to be of the top level here"),
    ("PUT", "/other", {**mapped(), "settings": {"index": {"default_pipeline": "x"}}}, "illegal_argument_exception", "[index.default_pipeline] is not supported"),
    ("PUT", "/other", {**mapped(), "settings": {"number_of_shrads": 1}}, "illegal_argument_exception", "unknown setting [index.number_of_shrads]")])
def test_nothing_that_was_asked_for_is_left_out_in_silence(server, client, index, method, path, body, kind, reason):
    if path.startswith("/_bulk"):
        body = b'{"index": {"_index": "%s", "_id": "a"}}\n{"embedding": [1, 0, 0, 0]}\n' % index.encode()
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = server.raw(method, "/elasticsearch" + path.format(index), data, {"Content-Type": "application/json"})
    error = json.loads(answer.data)["error"]
    assert answer.status == 400 and error["type"] == kind and reason.format(index) in error["reason"], error
    assert client.count(index=index)["count"] == 0 and not client.indices.exists(index="other")


def test_parameters_that_are_served_are_heeded(server, client, index):
    fill(client, index, 20)
    client.index(index=index, id="more", document=ROW, refresh="wait_for", pipeline="_none", timeout="5s", routing="x")
    hits = json.loads(server.raw("GET", f"/elasticsearch/{index}/_search?size=3&from=1&pretty&_source=title").data)["hits"]["hits"]
    assert len(hits) == 3 and all(set(hit["_source"]) <= {"title"} for hit in hits)
    (hit,) = client.search(index=index, knn=KNN, version=True, seq_no_primary_term=True, preference="_local", source_exclude_vectors=True)["hits"]["hits"]
    assert hit["_version"] == hit["_seq_no"] and hit["_primary_term"] == 1 and "embedding" not in hit["_source"]
    name = unique("options")
    client.indices.create(index=name, settings={"number_of_shards": 1, "index.refresh_interval": "1s", "analysis": {}}, mappings={
        "dynamic": False, "_meta": {"by": "me"}, "properties": {
            "v": {"type": "dense_vector", "dims": 4, "index_options": {"type": "int8_hnsw", "m": 16, "ef_construction": 100}},
            "about": {"properties": {"country": {"type": "keyword"}}}}})
    client.indices.delete(index=name)


def test_an_index_that_is_not_there_may_be_left_out(client):
    lost = unique("lost")
    assert client.indices.delete(index=lost, ignore_unavailable=True)["acknowledged"]
    found = client.search(index=lost, knn=KNN, ignore_unavailable=True)
    assert found["hits"]["total"]["value"] == 0 and found["hits"]["hits"] == [] and found["_shards"]["total"] == 0
    assert client.count(index=lost, ignore_unavailable=True)["count"] == 0
    for ask in (lambda: client.indices.delete(index=lost), lambda: client.search(index=lost, knn=KNN, ignore_unavailable=False)):
        with pytest.raises(NotFoundError, match="index_not_found_exception"):
            ask()


def test_an_index_is_a_collection_and_survives_a_restart(fresh):
    server = fresh()
    client = Elasticsearch(server.endpoint + "/elasticsearch")
    client.indices.create(index="films", mappings={"properties": {"e": {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}}})
    client.index(index="films", id="a", document={"e": [1, 2], "year": 1})
    row = json.loads(server.raw("GET", "/samovar/v1/collections/films/rows/a").data)
    assert row["vector"] == [1, 2] and row["attributes"] == {"year": 1}
    server.samovar("collections", "create", "ours", "--dimension", 2)
    server.samovar("collections", "put", "ours", "x", "--vector", "[1, 0]")
    server.kill9()
    server.start()
    assert client.get(index="films", id="a")["_source"] == {"e": [1, 2], "year": 1}
    assert client.get(index="ours", id="x")["_source"] == {"vector": [1, 0]}
    assert client.indices.get_mapping(index="films")["films"]["mappings"]["properties"]["e"]["similarity"] == "l2_norm"


def test_of_two_who_create_one_document_one_does(client, index):
    outcomes = []

    def create():
        try:
            client.create(index=index, id="one", document={"embedding": [1, 2, 3, 4]})
            outcomes.append("made")
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["made"]


def test_a_key_opens_it_as_basic_and_as_api_key(fresh):
    server = fresh()
    key = json.loads(server.samovar("keys", "create", "--json").out)
    pair = (key["access_key_id"], key["secret_access_key"])
    url = server.endpoint + "/elasticsearch"
    assert HTTP.request("GET", url).status in (401, 403)
    for more in (dict(basic_auth=pair), dict(api_key=pair), dict(api_key=base64.b64encode(":".join(pair).encode()).decode())):
        assert Elasticsearch(url, **more).info()["version"]["number"]
    forged = HTTP.request("GET", url, headers={"Authorization": "ApiKey " + base64.b64encode(b"a:b").decode()})
    assert forged.status == 403 and forged.json()["error"]["type"] == "security_exception"


def test_the_client_for_javascript(server):
    done = run(["node", "--test", "--test-reporter=tap", ROOT / "tests/node/elasticsearch.test.mjs"], check=False,
               SAMOVAR_ENDPOINT=server.endpoint)
    assert done.returncode == 0, done.out[-6000:] + done.err[-2000:]
    assert int(re.search(r"^# pass (\d+)$", done.out, re.M)[1]) == 2, done.out
