"""Writing results: tables of one run in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

import polars as pl
import pyarrow as pa
from sqlalchemy import Connection, Engine

from callbeam_io.store import upserts
from callbeam_io.store.arrow import for_store
from callbeam_io.store.base import StoreBase
from callbeam_io.store.runs import set_run_values
from callbeam_io.store.tables import table_named
from transforms.errors import StoreError

Rows: TypeAlias = "pa.Table | pa.RecordBatch | pl.DataFrame"
Also = Callable[[Connection], object]
"""Something more to write in the same transaction (offsets, snapshots, switches)."""

_CACHE: Final = 128 << 20
"""Bytes of SQLite's pages that a transaction may change before they spill to the disk."""
_PATIENCE: Final = 30.0
_AGAIN: Final = ("40001", "40P01")
"""PostgreSQL's codes of transactions that would succeed if tried again: serialization failure, deadlock."""


class TableWriter(StoreBase):
    """Writes to a store from any thread, one transaction at a time, on a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._guard = threading.Lock()
        if engine.dialect.name == "sqlite":
            with self.reading() as connection:  # the pool hands out the same connection again
                connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE >> 10}")

    def write(
        self,
        run_id: str,
        tables: Mapping[str, Rows],
        *,
        append: bool = False,
        counts: Mapping[str, Any] | None = None,
        also: Also | None = None,
        more: Iterable[Mapping[str, Rows]] = (),
    ) -> int:
        """Writes tables in one transaction, all or nothing; what is written again changes nothing.

        Args:
            run_id: of the rows, in tables that have runs.
            tables: by name, see `upserts.write`; columns that are left out keep their values. Times are
                timestamps or text.
            append: the keys are not expected to be there yet (a fresh run).
            counts: values for the run's row, see `runs.set_run_values`.
            also: called with the connection at the end of the transaction; again if it has to be repeated.
            more: further tables of the same transaction, taken as they come; all again if it has to be repeated.

        Returns:
            The number of rows written.

        Raises StoreError where the database refuses, among others after 30 s of waiting for another writer;
        ValueError: a table or column that does not exist.
        """
        written: list[int] = []

        def work(connection: Connection) -> None:
            written[:] = [_write(connection, run_id, part, append) for part in chain((tables,), more)]
            if counts or append:  # a long write of a fresh run is a sign of its life
                set_run_values(connection, run_id, **(counts or {}))
            if also is not None:
                also(connection)

        with self._guard:
            self._persist(work)
        return sum(written)

    def _persist(self, work: Also) -> None:
        """One transaction, repeated where the server says that it would succeed then."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                with self.writing() as connection:
                    work(connection)
                return
            except StoreError as error:
                if not _worth_another_try(error) or time.monotonic() > end:
                    raise


def _write(connection: Connection, run_id: str, tables: Mapping[str, Rows], append: bool) -> int:
    """Writes tables; the number of their rows."""
    ready = {name: for_store(table_named(name), rows) for name, rows in tables.items()}
    for name, rows in ready.items():
        upserts.write(connection, table_named(name), run_id, rows, append)
    return sum(rows.num_rows for rows in ready.values())


def _worth_another_try(error: StoreError) -> bool:
    cause = error.__context__
    return getattr(getattr(cause, "orig", cause), "sqlstate", None) in _AGAIN
