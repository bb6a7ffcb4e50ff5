"""The rows of a Parquet file as JSON, one a line: what `samovar collections load` reads.

    parquet_rows.py FILE --id-column NAME --vector-column NAME

Prints {"rows": how many}, then for each row {"id", "vector": base64 of f32, "attributes"}; {"error": ...} where the
file cannot be read so, with the row counted from 1.
"""

import argparse
import base64
import datetime
import decimal
import json
import math
import re
import sys
import uuid

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pyarrow import types

ROWS_A_BATCH = 4096


class Refused(Exception):
    """What is wrong with the file, for people."""


def whole(column, name, before):
    """The column, which must not have a null; extension types (tensors) as what they are stored as."""
    if isinstance(column, pyarrow.ExtensionArray):
        column = column.storage
    if column.null_count:
        raise Refused(f"row {before + column.is_null().to_pylist().index(True) + 1}: {name}: it is null")
    return column


def floats(values, name):
    try:
        return values.cast(pyarrow.float32(), safe=False)
    except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid):
        raise Refused(f"{name}: expected numbers, it holds {values.type}") from None


def from_lists(column, name, before):
    """The vectors of a column of lists, which must be of one length."""
    column = whole(column, name, before)
    kind = column.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise Refused(f"{name}: expected lists of numbers, it holds {kind}")
    lengths = pyarrow.compute.list_value_length(column).to_pylist()
    values = floats(column.flatten(), name)
    if values.null_count:
        at = values.is_null().to_pylist().index(True)
        for row, length in enumerate(lengths):
            if at < length:
                raise Refused(f"row {before + row + 1}: {name}[{at}]: it is null")
            at -= length
    if not values:
        return [b""] * len(lengths)
    data, at, out = memoryview(values.buffers()[1]).cast("B"), values.offset * 4, []
    for length in lengths:
        out.append(bytes(data[at:at + 4 * length]))
        at += 4 * length
    return out


def from_columns(batch, names, before):
    """The vectors of which each component has a column."""
    parts = []
    for name in names:
        column = floats(whole(batch.column(name), name, before), name)
        data = memoryview(column.buffers()[1]).cast("B") if len(column) else b""
        parts.append(bytes(data[column.offset * 4:(column.offset + len(column)) * 4]))
    return [b"".join(part[4 * row:4 * row + 4] for part in parts) for row in range(batch.num_rows)]


def texts(column, name, before):
    column = whole(column, name, before)
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        raise Refused(f"{name}: expected text or whole numbers, it holds {kind}")
    return [str(value) for value in column.to_pylist()]


def plain(value):
    """As JSON has it; None for what is missing, NaN too."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (float, decimal.Decimal)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, (uuid.UUID, datetime.timedelta)):
        return str(value)
    if value is None or isinstance(value, (str, int)):
        return value
    raise Refused(f"a {type(value).__name__} is no attribute")


def values_of(column, name, before):
    """As Python has them: times to the microsecond, which is the finest that it knows."""
    kind = column.type
    if types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    elif types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.time64("us"), safe=False)
    elif types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.duration("us"), safe=False)
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        for row, value in enumerate(column):
            try:
                value.as_py()
            except (OverflowError, ValueError) as error:
                raise Refused(f"row {before + row + 1}: {name}: {error}") from None
        raise


def attributes(batch, names, before):
    columns = {name: values_of(batch.column(name), name, before) for name in names}
    for row in range(batch.num_rows):
        out = {}
        for name, values in columns.items():
            try:
                value = plain(values[row])
            except Refused as error:
                raise Refused(f"row {before + row + 1}: {name}: {error}") from None
            if value is not None:
                out[name] = value
        yield out


def index_columns(schema):
    """Where pandas keeps the names of rows."""
    about = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return {name for name in about.get("index_columns", []) if isinstance(name, str) and name.startswith("__index_level_")}


def convert(file, id_column, vector_column):
    names = file.schema_arrow.names
    if id_column not in names:
        raise Refused(f"there is no column {id_column}; --id-column says which has the ids: {', '.join(names)}")
    if twice := {name for name in names if names.count(name) > 1}:
        raise Refused(f"there are two columns {min(twice)}")
    component = re.compile(re.escape(vector_column) + r"_(\d+)")
    parts = sorted((name for name in names if component.fullmatch(name)), key=lambda name: int(component.fullmatch(name)[1]))
    if vector_column in names:
        parts = []
    elif not parts:
        raise Refused(f"there is no column {vector_column} and none {vector_column}_0; --vector-column says which has the "
                      f"vectors: {', '.join(names)}")
    others = [name for name in names if name not in {id_column, vector_column, *parts, *index_columns(file.schema_arrow)}]
    print(json.dumps({"rows": file.metadata.num_rows}), flush=True)
    before, dimension = 0, None
    for batch in file.iter_batches(ROWS_A_BATCH):
        ids = texts(batch.column(id_column), id_column, before)
        vectors = from_columns(batch, parts, before) if parts else from_lists(batch.column(vector_column), vector_column, before)
        for row, (key, vector, about) in enumerate(zip(ids, vectors, attributes(batch, others, before))):
            dimension = len(vector) if dimension is None else dimension
            if len(vector) != dimension:
                raise Refused(f"row {before + row + 1}: {vector_column}: it has {len(vector) // 4} numbers, those before "
                              f"have {dimension // 4}")
            sys.stdout.write(json.dumps({"id": key, "vector": base64.b64encode(vector).decode(), "attributes": about}) + "\n")
        before += batch.num_rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--id-column", default="id")
    parser.add_argument("--vector-column", default="vector")
    options = parser.parse_args()
    try:
        convert(pyarrow.parquet.ParquetFile(options.file), options.id_column, options.vector_column)
    except Refused as error:
        print(json.dumps({"error": str(error)}))
    except (pyarrow.ArrowException, OSError) as error:
        print(json.dumps({"error": f"it is no Parquet file that can be read: {error}"}))


if __name__ == "__main__":
    main()
