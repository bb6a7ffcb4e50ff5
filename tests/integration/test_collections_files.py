"""Files that `samovar collections load` reads, as other programs write them: the same rows, or an error that names the place."""

import json

import numpy
import pytest

from harness import unique

ROWS = numpy.random.default_rng(7).integers(-100, 100, (70, 3))


@pytest.fixture
def load(server, films, tmp_path):
    def call(file, content, *more, check=True):
        (tmp_path / file).write_bytes(content.encode() if isinstance(content, str) else content)
        return server.samovar("collections", "load", films, tmp_path / file, *more, check=check)
    return call


@pytest.mark.parametrize("name, content", [
    ("excel.csv", b"\xef\xbb\xbfid,vector_0,vector_1,vector_2\r\na,1,2,3\r\n"),
    ("any_order.csv", "vector_2,id,vector_0,vector_1\n3,a,1,2\n"),
    ("more_than_ten.csv", "id,vector_10,vector_9,vector_11\na,2,1,3\n"),
    ("blank_lines.csv", "id,vector_1,vector_2,vector_3\n\na,1,2,3\n\n\r\n"),
    ("mark.jsonl", b'\xef\xbb\xbf{"id": "a", "vector": [1, 2, 3]}\r\n\r\n')])
def test_a_vector_is_what_its_file_says(server, films, load, name, content):
    load(name, content)
    assert {id: row["vector"] for id, row in server.rows(films).items()} == {"a": [1, 2, 3]}


def test_a_cell_is_a_number_where_json_reads_one(server, films, load):
    load("cells.csv", "id,vector,year,zip,share,none,odd,large,vector_note\n007,1 2 3,1995,01234,1e-1,,nan,9007199254740993,hi\n")
    assert server.rows(films)["007"]["attributes"] == {
        "year": 1995, "zip": "01234", "share": 0.1, "odd": "nan", "large": 9007199254740993, "vector_note": "hi"}


@pytest.mark.parametrize("name, content, words", [
    ("x.csv", "id,vector_0,vector_2,vector_3\na,1,2,3\n", "x.csv:1: there is no column vector_1, but vector_2"),
    ("x.csv", "id,vector,year,year\na,1 2 3,1,2\n", "x.csv:1: there are two columns year"),
    ("x.csv", "ID;vector\n", "x.csv:1: there is no column id; --id-column says which has the ids: ID;vector"),
    ("x.csv", "id,vector,t\na,1 2 3,x\nb,1 2 3,\xe9\n".encode("latin1"), "x.csv:3: t: it is not UTF-8"),
    ("x.jsonl", '{"id": "a", "vector": [1, 2, 3]}\n{"id": "b", "vector": [1, 2\n', "x.jsonl:2: expected a JSON object: incomplete"),
    ("x.jsonl", '{"id": "a", "vector": [1, 2, 1e400]}\n', "x.jsonl:1: a number is too large")])
def test_what_is_wrong_is_named_with_its_line(server, films, load, name, content, words):
    done = load(name, content, check=False)
    assert done.returncode == 2 and words in done.err, done.err
    assert server.rows(films) == {}


@pytest.mark.parametrize("file", ["none.jsonl", "none.csv", "none.npy"])
def test_a_file_without_rows_loads_none_into_a_collection_that_is_there(server, films, load, tmp_path, file):
    load("one.csv", "id,vector\na,1 2 3\n")
    generation = json.loads(server.samovar("collections", "stats", films, "--json").out)["stats"]["generation"]
    numpy.save(tmp_path / "rows.npy", numpy.zeros((0, 3), numpy.float32))
    content = {"none.jsonl": "\n", "none.csv": "id,vector\n", "none.npy": (tmp_path / "rows.npy").read_bytes()}[file]
    assert json.loads(load(file, content, "--json").out) == {"rows": 0, "generation": generation}
    done = server.samovar("collections", "load", "absent", tmp_path / file, check=False)
    assert done.returncode == 4 and "there is no collection absent" in done.err


@pytest.mark.parametrize("last, words", [
    ('{"id": "x", "vector": [1, 2]}', "row 5001: vector: expected 3 numbers, got 2 (rows 1 to 4000 are loaded)"),
    ("[]", "x.jsonl:5001: expected a JSON object (rows 1 to 4000 are loaded)")])
def test_what_is_wrong_late_in_a_file_says_how_far_it_is_loaded(server, films, load, last, words):
    done = load("x.jsonl", "".join(f'{{"id": "r{n}", "vector": [1, 2, 3]}}\n' for n in range(5000)) + last, check=False)
    assert done.returncode == 2 and words in done.err, done.err
    assert len(server.rows(films)) == 4000


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "|i1", "<i2", ">i4", "<i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_matrices_of_numpy_are_read_in_every_type_and_order(server, films, tmp_path, dtype, order):
    numpy.save(tmp_path / "m.npy", numpy.array(ROWS, dtype=dtype, order=order))
    server.samovar("collections", "load", films, tmp_path / "m.npy")
    found = server.rows(films)
    assert [found[str(i)]["vector"] for i in range(len(ROWS))] == ROWS.tolist()


def test_a_matrix_in_fortran_order_is_read_whole_where_it_has_many_blocks(server, tmp_path):
    name, wide = unique("wide"), numpy.asfortranarray(numpy.arange(1100 * 4096, dtype="f4").reshape(1100, 4096))
    numpy.save(tmp_path / "m.npy", wide)  # 18 MB: more than is read at once
    server.samovar("collections", "create", name, "--dimension", 4096, "--metric", "l2")
    server.samovar("collections", "load", name, tmp_path / "m.npy")
    found = server.rows(name)
    assert len(found) == len(wide) and all(found[str(i)]["vector"] == wide[i].tolist() for i in (0, 1, 1023, 1024, 1099))
    server.samovar("collections", "delete", name)


def test_ids_of_a_matrix_are_as_many_as_its_rows(server, films, tmp_path):
    numpy.save(tmp_path / "m.npy", numpy.eye(3))
    for ids, words in [("a\nb\n", "it has 2 lines"), ("a\nb\nc\nd\n", "it has 4 lines")]:
        (tmp_path / "ids.txt").write_text(ids)
        done = server.samovar("collections", "load", films, tmp_path / "m.npy", "--ids", tmp_path / "ids.txt", check=False)
        assert done.returncode == 2 and words in done.err and server.rows(films) == {}
    (tmp_path / "ids.txt").write_bytes(b"a\r\nb\r\nc\r\n")  # as Windows writes it
    server.samovar("collections", "load", films, tmp_path / "m.npy", "--ids", tmp_path / "ids.txt")
    assert sorted(server.rows(films)) == ["a", "b", "c"]


def test_rows_with_much_beside_the_vector_go_in_smaller_batches(server, films, load):
    about = {"text": "x" * 60_000}
    load("heavy.jsonl", "".join(json.dumps({"id": str(i), "vector": [1, 2, i], "attributes": about}) + "\n" for i in range(1500)))
    assert len(server.rows(films)) == 1500


def test_what_is_wrong_with_one_row_is_told_of_that_row(server, films):
    done = server.samovar("collections", "put", films, "a", "--vector", "[1, 2]", check=False)
    assert done.err.strip() == "samovar: vector: expected 3 numbers, got 2"
