"""Reading the store: rows for pages and JSON, whole tables as Arrow for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Table, func, select

from callbeam_io.store import arrow
from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, beyond, conditions, order, sorting
from callbeam_io.store.runs import newest
from callbeam_io.store.tables import TABLES, key_names, table_named


class Reads(StoreBase):
    """Reads tables. Without a run_id: of the newest run that is done, or running if streaming."""

    def rows(
        self,
        table: str,
        run_id: str | None = None,
        *,
        where: Mapping[str, Condition] | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Rows with the table's columns in order; times as text, JSON as values; empty where there is no run.

        Args:
            table: its name.
            run_id: of the run; ignored by tables that hold no runs.
            where: column -> value, or column -> (operator, operand), see `filters.conditions`.
            order_by: column or columns, ``-calls`` descends; the key decides between equals, or alone.
            limit: at most as many rows.
            after: the last row of the page before this one (its sort and key columns are enough).

        Raises ValueError: no such table, column or operator.
        """
        found, columns = table_named(table), order(table_named(table), order_by)
        with self.reading() as connection:
            wanted = _wanted(connection, found, run_id, where)
            if after is not None:
                wanted.append(beyond(columns, after))
            statement = select(found).where(*wanted).order_by(*sorting(columns)).limit(limit)
            return [dict(row) for row in connection.execute(statement).mappings()]

    def count(
        self, table: str, run_id: str | None = None, *, where: Mapping[str, Condition] | None = None
    ) -> int:
        """Number of rows, as `rows` would give them."""
        found = table_named(table)
        with self.reading() as connection:
            wanted = _wanted(connection, found, run_id, where)
            return connection.scalar(select(func.count()).select_from(found).where(*wanted)) or 0

    def table(
        self, table: str, run_id: str | None = None, *, where: Mapping[str, Condition] | None = None
    ) -> pa.Table:
        """All rows as an Arrow table in the order of the key; JSON as text, times as text."""
        found = table_named(table)
        with self.reading() as connection:
            statement = select(found).where(*_wanted(connection, found, run_id, where))
            ordered = statement.order_by(*(found.c[name] for name in key_names(found)))
            return arrow.read(connection, found, ordered)

    def control(self, name: str, default: Any = None) -> Any:
        """A setting that pages write and the pipeline reads; the default where it was never set."""
        rows = self.rows("control", where={"name": name})
        return rows[0]["value"] if rows else default


def _wanted(
    connection: Connection, table: Table, run_id: str | None, where: Mapping[str, Condition] | None
) -> list[ColumnElement[bool]]:
    wanted = conditions(table, where or {})
    if "run_id" in table.primary_key.columns and table is not TABLES["runs"]:
        wanted.append(table.c.run_id == (run_id or connection.scalar(newest())))
    elif run_id is not None and table is TABLES["runs"]:
        wanted.append(table.c.run_id == run_id)
    return wanted
