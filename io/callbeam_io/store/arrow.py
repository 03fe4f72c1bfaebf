"""Arrow tables on their way in and out of the database."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from sqlalchemy import Connection, Select, Table

from callbeam_io.store.tables import arrow_schema, key_names

_NUL_STANDS_FOR: Final = "\u2400"
"""PostgreSQL stores no NUL character in text, and rejected lines may hold one: both engines get a picture."""


def for_store(table: Table, rows: pa.Table | pa.RecordBatch | pl.DataFrame) -> pa.Table:
    """Rows in the store's column types: times as text, without ``run_id``.

    ValueError: a column that the table does not have, or a key column that is missing.
    """
    data = _as_table(rows)
    names = [n for n in data.column_names if n != "run_id"]
    unknown = [n for n in names if n not in table.c]
    missing = [n for n in key_names(table) if n not in names and n != "run_id"]
    if unknown or missing:
        raise ValueError(f"rows for {table.name}: columns unknown {unknown}, key columns missing {missing}")
    columns = [
        _stored(data.column(n), field.type)
        for n, field in zip(names, arrow_schema(table, names), strict=True)
    ]
    return pa.table(columns, names=names)


def _as_table(rows: pa.Table | pa.RecordBatch | pl.DataFrame) -> pa.Table:
    if isinstance(rows, pl.DataFrame):
        return rows.to_arrow()
    return pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows


def _stored(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        column = _time_text(column)
    if column.type != wanted:
        column = column.cast(wanted)
    if pa.types.is_large_string(wanted) and any(_holds_nul(chunk) for chunk in column.chunks):
        column = pc.replace_substring(column, "\0", _NUL_STANDS_FOR)
    return column


def _holds_nul(text: pa.LargeStringArray) -> bool:
    """Whether one of the texts has a NUL character: one look at the bytes of all of them."""
    _, offsets, content = text.buffers()
    if content is None or len(text) == 0:
        return False
    ends = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    used = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
    return used.size > 0 and not used.min()


def _time_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps as ``YYYY-MM-DD HH:MM:SS`` in UTC, fractions cut off."""
    whole = pc.floor_temporal(column.cast(pa.timestamp("us"), safe=False), unit="second")
    return whole.cast(pa.timestamp("s")).cast(pa.large_string())


def one_per_key(rows: pa.Table, keys: list[str], *, last: bool, newest: str | None = None) -> pa.Table:
    """Of rows with one key the last (or first) one, or the last of those that are greatest in a column."""
    frame = pl.DataFrame(pl.from_arrow(rows))
    if newest is not None:
        frame = frame.sort(newest, nulls_last=False, maintain_order=True)
    return frame.unique(keys, keep="last" if last else "first", maintain_order=True).to_arrow()


def to_csv(rows: pa.Table) -> bytes:
    """Rows as PostgreSQL's COPY reads CSV: all text in quotes, null as nothing, bytes in hexadecimal."""
    frame = pl.DataFrame(pl.from_arrow(rows))
    coded = frame.with_columns(pl.col(pl.Binary).bin.encode("hex").str.replace("^", "\\x"))
    return coded.write_csv(include_header=False, quote_style="non_numeric").encode()


def read(
    connection: Connection, table: Table, statement: Select[Any], names: Iterable[str] | None = None
) -> pa.Table:
    """The result of a statement over all columns of a table, or these, without a Python object per value."""
    schema = arrow_schema(table, names)
    sql = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return _typed(raw.query(sql), schema)
    sql = sql.replace("%%", "%")  # doubled for statements with parameters, which this is not
    with raw.cursor().copy(f"COPY ({sql}) TO STDOUT (FORMAT csv)") as copy:
        text = b"".join(copy)
    return _typed(_from_csv(text, schema), schema)


def _typed(found: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        pa.chunked_array([pa.nulls(len(c), f.type)]) if c.null_count == len(c) else c.cast(f.type)
        for c, f in zip(found.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _from_csv(text: bytes, schema: pa.Schema) -> pa.Table:
    coded = [n for n in schema.names if pa.types.is_large_binary(schema.field(n).type)]
    types = {f.name: pa.large_string() if f.name in coded else f.type for f in schema}
    if not text:
        return schema.empty_table()
    found = csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(column_names=schema.names, block_size=1 << 24),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    frame = pl.DataFrame(pl.from_arrow(found))
    return frame.with_columns(pl.col(coded).str.slice(2).str.decode("hex")).to_arrow()
