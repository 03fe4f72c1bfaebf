"""What all parts of a store share: its engine, and transactions whose failures are StoreErrors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from callbeam_io.store.adbc_dialect import WRITES
from callbeam_io.store.engines import shown, store_errors


class StoreBase:
    """The engine of a result store and its two kinds of transactions.

    Attributes:
        engine: SQLAlchemy's. A SQLite store is opened by ADBC's library; never open it with ``sqlite3`` in
            the same process (`adbc_dbapi` says why).
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def name(self) -> str:
        """The store's URL as it may be shown, without a password."""
        return shown(self.engine.url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads one state of the store; StoreError where the database refuses."""
        with store_errors(self.engine, "reading"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, all or nothing; SQLite: has the write lock from its beginning."""
        engine = self.engine.execution_options(**{WRITES: True})
        with store_errors(self.engine, "writing to"), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()
