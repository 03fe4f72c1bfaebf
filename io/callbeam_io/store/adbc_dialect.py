"""SQLAlchemy's SQLite dialect over `adbc_dbapi`: URLs ``sqlite+adbc:///file.db``."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import URL

from callbeam_io.store import adbc_dbapi

PRAGMAS: Final = (
    "page_size=8192",  # of a new file: wide rows are written a tenth faster than with 4096
    "journal_mode=WAL",  # readers and the one writer do not wait for each other
    "synchronous=NORMAL",  # no commit is torn; the newest ones may be lost when the power fails
    "journal_size_limit=67108864",  # of the log after a large write
    "temp_store=MEMORY",
)

WRITES: Final = "callbeam_writes"
"""Execution option of connections whose transactions write: they take the write lock when they begin."""


class AdbcSqliteDialect(SQLiteDialect):
    """SQLite through ADBC; `begin_by_option` makes its transactions begin."""

    driver = "adbc"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    returns_native_bytes = True

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The module with ``connect``."""
        return adbc_dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """Connections are kept and handed from thread to thread."""
        return pool.QueuePool

    def create_connect_args(self, url: URL) -> Any:
        """The file; `pragmas` comes with the engine."""
        return (url.database,), {}

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        return adbc_dbapi.sqlite_version_info

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """The only one that SQLite has between connections without a shared cache."""
        return "SERIALIZABLE"


def begin_by_option(engine: Engine) -> None:
    """Makes transactions of a SQLite engine begin as the connection's option `WRITES` says."""

    def begin(connection: Connection) -> None:
        raw: Any = connection.connection.driver_connection
        raw.begin(bool(connection.get_execution_options().get(WRITES)))

    event.listen(engine, "begin", begin)


registry.register("sqlite.adbc", __name__, AdbcSqliteDialect.__name__)
