"""The result store: runs, writes, reads and consent behind one object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from sqlalchemy import Engine

from callbeam_io.store.consent import read_consent
from callbeam_io.store.engines import LOCK_WAIT, make_engine, parse_url
from callbeam_io.store.migrations import migrate
from callbeam_io.store.pruning import Pruning
from callbeam_io.store.reads import Reads
from callbeam_io.store.runs import RunLife
from callbeam_io.store.types import json_text, utc_text
from callbeam_io.store.writer import TableWriter
from transforms.errors import BadRecord


@dataclass(frozen=True)
class ConsentCounts:
    """What became of the lines of a consent file."""

    stored: int
    rejected: list[BadRecord]


class Store(RunLife, Reads, Pruning):
    """A result store that is open, for any thread. `RunLife`, `Reads` and `Pruning` are most of it."""

    def __init__(self, engine: Engine, lock_wait: float = LOCK_WAIT) -> None:
        super().__init__(engine)
        self._lock_wait = lock_wait
        self._writer: TableWriter | None = None

    def writer(self) -> TableWriter:
        """Writes tables on a connection of its own; the same one each time."""
        with self._guard:
            if self._writer is None:
                self._writer = TableWriter(make_engine(self.engine.url, lock_wait=self._lock_wait))
            return self._writer

    def load_consent(
        self, path: str | Path, normalise: Callable[[pl.Series], pl.Series] | None = None
    ) -> ConsentCounts:
        """Reads a consent file (see `consent.read_consent`) into the table ``consent``, all or nothing."""
        found = read_consent(Path(path), normalise)
        return ConsentCounts(self.writer().write("", {"consent": found.rows}), found.rejected)

    def set_control(self, name: str, value: Any) -> None:
        """Sets a setting that `control` reads, here or in another process."""
        row = {"name": [name], "value": [json_text(value)], "updated_at": [utc_text()]}
        self.writer().write("", {"control": pa.table(row)})

    def close(self) -> None:
        """Closes all connections and gives up the locks of runs that were not finished."""
        if self._writer is not None:
            self._writer.close()
        super().close()


def open_store(url: str, *, create: bool = True, lock_wait: float = LOCK_WAIT) -> Store:
    """Opens a result store and brings its schema up to date.

    Args:
        url: ``sqlite:///file.db`` or ``postgresql+psycopg://…``.
        create: make the file and the tables where they are missing.
        lock_wait: seconds that a writer waits for another one before it gives up.

    Raises OptionError: no store can be there, or it is a newer one.
    """
    engine = make_engine(parse_url(url), create=create, lock_wait=lock_wait)
    try:
        migrate(engine, create=create)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, lock_wait)


def open_writer(url: str, lock_wait: float = LOCK_WAIT) -> TableWriter:
    """A writer by itself, for processes that only write."""
    open_store(url).close()
    return TableWriter(make_engine(parse_url(url), lock_wait=lock_wait))
