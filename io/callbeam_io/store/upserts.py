"""Absolute upserts of Arrow tables by key, in the caller's transaction.

SQLite: the upsert itself, once per row, its columns bound from Arrow by ADBC in C. (To ingest into a staging
table and upsert from there takes half as long again.) PostgreSQL: see `postgres`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Table

from callbeam_io.store.changes import noted_as_one
from callbeam_io.store.tables import INSERT_ONLY, key_names

GUARD: Final = "version"
"""In tables where it is no key: a row never takes the place of one that is greater in this column."""

_PIECE: Final = 100_000
"""Rows written at a time: in between, Ctrl-C is heard."""


def write(connection: Connection, table: Table, run_id: str, rows: pa.Table, append: bool = False) -> None:
    """Writes rows of `arrow.for_store`: new keys are inserted, known ones get these columns' values.

    Args:
        connection: in a transaction.
        table: to write to.
        run_id: of the rows, where the table has runs.
        rows: in any order; of several with one key the last counts (in `tables.INSERT_ONLY` the first).
        append: none of the keys is expected to be there. If one is, nothing is lost but time.
    """
    if rows.num_rows == 0:
        return
    if connection.dialect.name == "sqlite":
        with noted_as_one(connection, table.name, rows.num_rows):
            _write_sqlite(connection, table, run_id, rows)
        return
    from callbeam_io.store import postgres  # its driver is an extra

    if not (append and postgres.appended(connection, table, run_id, rows)):
        postgres.merge(connection, table, run_id, rows)


def _write_sqlite(connection: Connection, table: Table, run_id: str, rows: pa.Table) -> None:
    raw: Any = connection.connection.driver_connection
    found = {n: _one_value(table, n, rows.column(n)) for n in rows.column_names}
    same = {name: value for name, value in found.items() if value is not None}
    bound = rows.drop_columns(list(same)) if 0 < len(same) < rows.num_columns else rows
    names, values = bound.column_names, ["?"] * bound.num_columns
    if bound is not rows:
        names, values = [*names, *same], [*values, *same.values()]
    insert = insert_clause(table, run_id, names, "VALUES ({})", values)
    sql = f"{insert} {conflict_clause(table, names)}"
    for start in range(0, bound.num_rows, _PIECE):
        raw.write(sql, bound.slice(start, _PIECE))


def _one_value(table: Table, name: str, column: pa.ChunkedArray) -> str | None:
    """A column that holds one time, or nothing at all, as SQL: it need not be bound row by row."""
    if column.null_count == len(column):
        return "NULL"
    if column.null_count or table.c[name].info["kind"] != "time" or column[0] != column[len(column) - 1]:
        return None
    return _literal(column[0].as_py()) if pc.all(pc.equal(column, column[0])).as_py() else None


def insert_clause(table: Table, run_id: str, names: Sequence[str], source: str, values: Sequence[str]) -> str:
    """``INSERT INTO … (…)`` and its source; the run_id is a literal there, being the same in all rows."""
    if "run_id" in table.c:
        names, values = ["run_id", *names], [_literal(run_id), *values]
    return f"INSERT INTO {quoted(table.name)} AS old ({listed(names)}) {source.format(', '.join(values))}"


def conflict_clause(table: Table, names: Sequence[str]) -> str:
    """What happens to a row whose key is there: the columns that were given are set."""
    keys = key_names(table)
    others = [n for n in names if n not in keys]
    target = f"ON CONFLICT ({listed(keys)}) DO"
    if table.name in INSERT_ONLY or not others:
        return f"{target} NOTHING"
    changes = ", ".join(f"{quoted(n)} = excluded.{quoted(n)}" for n in others)
    guard = f" WHERE old.{GUARD} IS NULL OR excluded.{GUARD} >= old.{GUARD}" if GUARD in others else ""
    return f"{target} UPDATE SET {changes}{guard}"


def listed(names: Sequence[str]) -> str:
    """Names of columns with commas between them."""
    return ", ".join(quoted(n) for n in names)


def quoted(name: str) -> str:
    """A name of the schema as SQL."""
    return f'"{name}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
