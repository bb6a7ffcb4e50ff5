"""`samovar collections load` of Parquet files that pyarrow, pandas and Hugging Face's layout write.

pyarrow is that of the supermarket's environment; one test lets the command make its own, kept in build/parquet.
"""

import json
import subprocess
import textwrap

import pytest

from harness import ROOT

PYTHON = ROOT / "examples/supermarket/build/venv/bin/python"
WRITE = textwrap.dedent("""
    import datetime, decimal
    import numpy, pandas, pyarrow
    from pyarrow import parquet
    count = 10_000  # several of the reader's batches, and of row groups
    points = numpy.arange(count, dtype=numpy.float32)
    vectors = pyarrow.array([[x, 1.5, -x] for x in points], pyarrow.list_(pyarrow.float32()))
    films = pyarrow.table({
        "id": pyarrow.array([f"film-{i}" for i in range(count)]), "vector": vectors,
        "year": pyarrow.array([None if i == 1 else 1990 + i % 30 for i in range(count)], pyarrow.int64()),
        "score": pyarrow.array([float("nan") if i == 2 else i / 4 for i in range(count)]),
        "genres": pyarrow.array([["War", "Drama"][:i % 3] for i in range(count)]),
        "seen": pyarrow.array([i % 2 == 0 for i in range(count)]),
        "price": pyarrow.array([decimal.Decimal("1.25")] * count),
        "day": pyarrow.array([datetime.date(2020, 1, 2)] * count),
        "about": pyarrow.array([{"length": i, "tags": [{"a": None}]} for i in range(count)]),
        "kind": pyarrow.array(["x", "y"] * (count // 2)).dictionary_encode()})
    parquet.write_table(films, "films.parquet", row_group_size=3000, compression="zstd")
    few = films.slice(0, 40)
    def swap(name, values):
        return few.set_column(few.schema.get_field_index(name), name, values)
    half = pyarrow.array(numpy.ones(120, numpy.float16))
    parquet.write_table(swap("vector", pyarrow.FixedSizeListArray.from_arrays(half, 3)), "half.parquet")
    parquet.write_table(swap("vector", pyarrow.array([[1, 2, 3]] * 40)), "whole.parquet")
    frame = pandas.DataFrame({"film": range(3), "e_0": [1.0, 2, 3], "e_10": [7.0, 8, 9], "e_2": [4.0, 5, 6]},
                             index=["a", "b", "c"])
    frame.to_parquet("wide.parquet")
    lists = few["vector"].to_pylist()
    for name, column, values in [
            ("null_id", "id", [f"i{i}" if i != 30 else None for i in range(40)]), ("float_id", "id", [1.5] * 40),
            ("null_vector", "vector", [v if i != 7 else None for i, v in enumerate(lists)]),
            ("null_component", "vector", [v if i != 8 else [1.0, None, 2.0] for i, v in enumerate(lists)]),
            ("ragged", "vector", [v if i != 9 else [1.0, 2.0] for i, v in enumerate(lists)]),
            ("narrow", "vector", [[1.0, 2.0]] * 40), ("words", "vector", [["x", "y"]] * 40), ("text", "vector", ["[1]"] * 40),
            ("not_finite", "vector", [v if i != 11 else [1.0, float("inf"), 2.0] for i, v in enumerate(lists)]),
            ("bytes", "kind", [b"x"] * 40),
            ("far", "day", pyarrow.array([0] * 13 + [2**30] * 27, pyarrow.date32())),
            ("finest", "day", pyarrow.array([1_000_000_001_000_002_003] * 40, pyarrow.timestamp("ns")))]:
        parquet.write_table(swap(column, pyarrow.array(values)), name + ".parquet")
    parquet.write_table(few.append_column("day", few["day"]), "twice.parquet")
    parquet.write_table(few.drop_columns(["id"]), "no_id.parquet")
    parquet.write_table(few.drop_columns(["vector"]), "no_vector.parquet")
    parquet.write_table(few.slice(0, 0), "empty.parquet")
    data = open("films.parquet", "rb").read()
    open("cut.parquet", "wb").write(data[:len(data) // 2])
    open("damaged.parquet", "wb").write(data[:5000] + b"\\0" * 500 + data[5500:])
""")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    subprocess.run([PYTHON, "-c", WRITE], cwd=folder, check=True, timeout=120)
    return folder


def load(server, name, file, *more, check=True):
    return server.samovar("collections", "load", name, file, "--python", PYTHON, *more, check=check)


def test_rows_of_a_parquet_file_are_loaded_with_all_their_columns(server, films, files):
    done = load(server, films, files / "films.parquet", "--json")
    assert json.loads(done.out)["rows"] == 10_000 and f"10000 rows in {films}" in done.err
    found = server.rows(films)
    assert len(found) == 10_000 and found["film-9999"]["vector"] == [9999, 1.5, -9999]
    assert found["film-5"]["attributes"] == {
        "year": 1995, "score": 1.25, "genres": ["War", "Drama"], "seen": False, "price": 1.25, "day": "2020-01-02",
        "about": {"length": 5, "tags": [{"a": None}]}, "kind": "y"}
    assert "year" not in found["film-1"]["attributes"] and "score" not in found["film-2"]["attributes"]


def test_other_types_and_names_of_columns(server, films, files):
    load(server, films, files / "half.parquet")
    assert server.rows(films)["film-3"]["vector"] == [1, 1, 1]
    load(server, films, files / "whole.parquet")
    assert server.rows(films)["film-3"]["vector"] == [1, 2, 3]
    load(server, films, files / "finest.parquet")
    assert server.rows(films)["film-3"]["attributes"]["day"] == "2001-09-09T01:46:41.000002", "with and without pandas"
    load(server, films, files / "wide.parquet", "--id-column", "film", "--vector-column", "e")
    wide = server.rows(films)
    assert wide["2"] == {"id": "2", "vector": [3, 6, 9], "attributes": {}}, "columns stand in the order of their numbers"
    load(server, films, files / "wide.parquet", "--id-column", "__index_level_0__", "--vector-column", "e")
    assert server.rows(films)["b"]["attributes"] == {"film": 1}
    assert json.loads(load(server, films, files / "empty.parquet", "--json").out)["rows"] == 0


@pytest.mark.parametrize("file, words", [
    ("no_id", "there is no column id; --id-column says which has the ids: vector, year"),
    ("no_vector", "there is no column vector and none vector_0; --vector-column says"),
    ("null_id", "row 31: id: it is null"),
    ("float_id", "id: expected text or whole numbers, it holds double"),
    ("null_vector", "row 8: vector: it is null"),
    ("null_component", "row 9: vector[1]: it is null"),
    ("ragged", "row 10: vector: it has 2 numbers, those before have 3"),
    ("narrow", "row 1: vector: expected 3 numbers, got 2"),
    ("words", "vector: expected numbers, it holds string"),
    ("text", "vector: expected lists of numbers, it holds string"),
    ("not_finite", "row 12: vector: "),
    ("bytes", "row 1: kind: a bytes is no attribute"),
    ("far", "row 14: day: "),
    ("twice", "there are two columns day"),
    ("cut", "it is no Parquet file that can be read"),
    ("damaged", "it is no Parquet file that can be read"),
])
def test_what_is_wrong_with_a_file_is_named_with_its_row(server, films, files, file, words):
    done = load(server, films, files / f"{file}.parquet", check=False)
    assert done.returncode == 2 and f"{file}.parquet: {words}" in done.err and "Traceback" not in done.err, done.err
    assert not server.rows(films)


def test_the_command_makes_the_environment_that_it_reads_with(server, films, files):
    done = server.samovar("collections", "load", films, files / "whole.parquet", "--cache", ROOT / "build/parquet", "--json")
    assert json.loads(done.out)["rows"] == 40
