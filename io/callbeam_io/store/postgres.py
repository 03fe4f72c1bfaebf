"""Columnar writes to PostgreSQL: CSV by COPY, on the connection of the caller's transaction.

COPY of CSV that Polars makes takes no longer than ADBC's binary COPY, and shares its transaction (and its
driver) with everything else. An upsert is a COPY into a temporary table and one ``INSERT … SELECT``.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
import pyarrow as pa
from sqlalchemy import Connection, Table

from callbeam_io.store.arrow import one_per_key, to_csv
from callbeam_io.store.tables import INSERT_ONLY, key_names
from callbeam_io.store.upserts import GUARD, conflict_clause, insert_clause, listed, quoted

_PIECE: Final = 50_000
"""Rows made into CSV at a time."""


def appended(connection: Connection, table: Table, run_id: str, rows: pa.Table) -> bool:
    """COPY straight into the table, in half the time; False, and nothing written, where a key is there."""
    if "run_id" in table.c:
        rows = rows.add_column(0, "run_id", pa.repeat(pa.scalar(run_id), rows.num_rows))
    try:
        with connection.begin_nested():
            _copy(connection, table.name, rows)
    except psycopg.errors.UniqueViolation:
        return False
    return True


def merge(connection: Connection, table: Table, run_id: str, rows: pa.Table) -> None:
    """COPY into a temporary table, one upsert from there."""
    names = rows.column_names
    stage = f"stage_{table.name}"
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE IF NOT EXISTS {stage} ({_columns(connection, table)}) ON COMMIT DELETE ROWS"
    )
    _copy(connection, stage, _distinct(table, rows))
    source = f"SELECT {{}} FROM {stage}"
    insert = insert_clause(table, run_id, names, source, [quoted(n) for n in names])
    raw: Any = connection.connection.driver_connection
    raw.execute(f"{insert} {conflict_clause(table, names)}")
    raw.execute(f"TRUNCATE {stage}")


def _columns(connection: Connection, table: Table) -> str:
    return ", ".join(f"{quoted(c.name)} {c.type.compile(connection.dialect)}" for c in table.columns)


def _distinct(table: Table, rows: pa.Table) -> pa.Table:
    """One upsert may touch a row only once."""
    keys = [n for n in key_names(table) if n != "run_id"]
    guarded = GUARD in rows.column_names and GUARD not in keys
    return one_per_key(rows, keys, last=table.name not in INSERT_ONLY, newest=GUARD if guarded else None)


def _copy(connection: Connection, target: str, rows: pa.Table) -> None:
    raw: Any = connection.connection.driver_connection
    with raw.cursor().copy(
        f"COPY {quoted(target)} ({listed(rows.column_names)}) FROM STDIN (FORMAT csv)"
    ) as copy:
        for start in range(0, rows.num_rows, _PIECE):
            copy.write(to_csv(rows.slice(start, _PIECE)))
