"""What a mapping says of fields, and what values of queries mean by it, through PyPI's `elasticsearch`."""

import pytest
from elasticsearch import BadRequestError, Elasticsearch, helpers

from harness import unique

TYPES = {"year": {"type": "integer"}, "price": {"type": "double"}, "code": {"type": "keyword"}, "seen": {"type": "boolean"},
         "added": {"type": "date"}, "loose": {"type": "long", "ignore_malformed": True}, "strict": {"type": "long", "coerce": False}}


@pytest.fixture
def client(server):
    with Elasticsearch(server.endpoint + "/elasticsearch", max_retries=0) as client:
        yield client


@pytest.fixture
def index(client):
    """Three films: fields that are mapped, and the same ones without a mapping (u_...)."""
    name = unique("types")
    client.indices.create(index=name, mappings={"properties": {"v": {"type": "dense_vector", "dims": 2}, **TYPES}})
    films = {"a": {"year": 1990, "price": 9.5, "code": "0090", "seen": True, "added": "2020-01-01"},
             "b": {"year": "1995", "price": "10", "code": "1995", "seen": "false", "added": "2021-01-01"},
             "c": {"year": 2001, "price": 11, "code": 2001, "seen": False, "added": "2022-01-01"}}
    films = {id: {**film, **{"u_" + field: value for field, value in film.items()}} for id, film in films.items()}
    helpers.bulk(client, ({"_index": name, "_id": id, "_source": {**film, "v": [1, 2]}} for id, film in films.items()))
    yield name
    client.indices.delete(index=name)


def found(client, index, query):
    by_query = sorted(hit["_id"] for hit in client.search(index=index, query=query)["hits"]["hits"])
    knn = {"field": "v", "query_vector": [1, 2], "k": 3, "num_candidates": 3, "filter": query}
    assert sorted(hit["_id"] for hit in client.search(index=index, knn=knn)["hits"]["hits"]) == by_query
    assert client.count(index=index, query=query)["count"] == len(by_query)
    return "".join(by_query)


@pytest.mark.parametrize("query, ids", [
    ({"range": {"year": {"gte": "1995"}}}, "bc"),
    ({"range": {"year": {"gte": "1990", "lt": 2001}}}, "ab"),
    ({"range": {"price": {"gt": "9.5", "lte": "1.1e1"}}}, "bc"),
    ({"term": {"year": "1990"}}, "a"),
    ({"term": {"year": {"value": "1995"}}}, "b"),
    ({"terms": {"year": ["1990", 2001]}}, "ac"),
    ({"bool": {"must": {"match_all": {}}, "should": {"term": {"year": 1990}}, "minimum_should_match": "1"}}, "a"),
    ({"bool": {"must_not": {"term": {"year": "1995"}}}}, "ac"),
    # text that looks like a number stays text
    ({"term": {"code": 1995}}, "b"),
    ({"term": {"code": "2001"}}, "c"),
    ({"term": {"code": "90"}}, ""),
    ({"term": {"code.keyword": "0090"}}, "a"),
    ({"term": {"seen": "true"}}, "a"),
    ({"terms": {"seen": ["false"]}}, "bc"),
    ({"range": {"added": {"gte": "2021-01-01"}}}, "bc"),
    # where nothing is mapped each value is what it is in the document
    ({"range": {"u_year": {"gte": "1991", "lte": "2001"}}}, "bc"),
    ({"term": {"u_year": "1990"}}, "a"),
    ({"term": {"u_year": 1995}}, "b"),
    ({"term": {"u_code": "1995"}}, "b"),
    ({"range": {"u_added": {"lt": "2021-01-01"}}}, "a"),
    ({"term": {"u_seen": "true"}}, "a")])
def test_values_of_queries_mean_what_the_field_is(client, index, query, ids):
    assert found(client, index, query) == ids


@pytest.mark.parametrize("query, reason", [
    ({"range": {"year": {"gte": "new"}}}, 'failed to create query: For input string: "new"'),
    ({"term": {"price": "cheap"}}, 'failed to create query: For input string: "cheap"'),
    ({"terms": {"year": [1990, "1e400"]}}, 'failed to create query: For input string: "1e400"'),
    ({"term": {"year": True}}, 'failed to create query: For input string: "true"'),
    ({"term": {"seen": "yes"}}, r"Can't parse boolean value \[yes\], expected \[true\] or \[false\]"),
    ({"range": {"added": {"gte": "now-1d/d"}}}, r"date math is not supported here: \[now-1d/d\]"),
    ({"range": {"u_added": {"gte": "2021-01-01||+1M"}}}, "date math is not supported here")])
def test_values_that_a_field_cannot_have_are_refused(client, index, query, reason):
    for ask in (lambda: client.search(index=index, query=query), lambda: client.count(index=index, query=query),
                lambda: client.search(index=index, knn={"field": "v", "query_vector": [1, 2], "filter": [query]})):
        with pytest.raises(BadRequestError, match="query_shard_exception") as refused:
            ask()
        refused.match(reason)


def test_documents_have_the_types_of_their_mapping(client, index):
    source = client.get(index=index, id="b")["_source"]
    assert (source["year"], source["price"], source["seen"]) == (1995, 10, False)  # they came as text
    assert (source["u_year"], source["code"]) == ("1995", "1995")
    client.update(index=index, id="b", doc={"year": "1996", "price": None})
    assert client.get(index=index, id="b")["_source"]["year"] == 1996
    client.index(index=index, id="d", document={"v": [1, 2], "year": ["1", 2], "loose": "many", "strict": 7, "price": ""})
    assert client.get(index=index, id="d")["_source"] == {"v": [1, 2], "year": [1, 2], "loose": "many", "strict": 7, "price": ""}
    for field, value in (("year", "soon"), ("year", ["1", "x"]), ("year", True), ("year", {"of": 1}), ("seen", 1), ("strict", "7")):
        document = {"v": [1, 2], field: value}
        message = rf"document_parsing_exception.*failed to parse field \[{field}\] of type \[{TYPES[field]['type']}\]. Preview of field.+s value"
        with pytest.raises(BadRequestError, match=message):
            client.index(index=index, id="e", document=document)
        with pytest.raises(BadRequestError, match=message):
            client.update(index=index, id="a", doc=document)
        (item,) = client.bulk(index=index, operations=[{"index": {"_id": "e"}}, document])["items"]
        assert item["index"]["status"] == 400 and "failed to parse field" in item["index"]["error"]["reason"]
    assert not client.exists(index=index, id="e")
