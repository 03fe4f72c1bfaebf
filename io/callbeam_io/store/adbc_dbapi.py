"""A DB-API (PEP 249) face of ADBC's SQLite driver: explicit transactions, writes of whole Arrow tables.

Why not Python's own ``sqlite3``: ADBC brings an SQLite library of its own, and two SQLite libraries in one
process do not see each other's file locks (POSIX locks belong to the process). Both would write at the same
time, and one that closes the file drops the other's locks: the database is destroyed within seconds. So
everything that this process does with a store goes through this one library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import adbc_driver_sqlite
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement, AdbcStatusCode
from adbc_driver_manager import DatabaseError as DatabaseError
from adbc_driver_manager import DataError as DataError
from adbc_driver_manager import Error as Error
from adbc_driver_manager import IntegrityError as IntegrityError
from adbc_driver_manager import InterfaceError as InterfaceError
from adbc_driver_manager import InternalError as InternalError
from adbc_driver_manager import NotSupportedError as NotSupportedError
from adbc_driver_manager import OperationalError as OperationalError
from adbc_driver_manager import ProgrammingError as ProgrammingError

apilevel: Final = "2.0"
threadsafety: Final = 1
paramstyle: Final = "qmark"
Binary = bytes

_ONE_BATCH: Final = {"adbc.sqlite.query.batch_rows": 2**31 - 2}
"""The driver takes the types of a result's columns from its first batch of rows, and fails on a later row
that has others (text after a thousand nulls): so a result is one batch."""


class Cursor:
    """Runs statements; a result is read to its end at once, so that no statement stays open."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    @property
    def lastrowid(self) -> int:
        """Row id of the newest insert of this connection."""
        return self._connection.number("last_insert_rowid()")

    def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Runs one statement with one set of parameters."""
        table = self._connection.query(operation, parameters)
        self._take(table if table.num_columns else None)
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Sequence[Any]]) -> Cursor:
        """Runs one statement with many sets of parameters."""
        before = self._connection.number("total_changes()")
        if seq_of_parameters:
            self._connection.write(operation, pa.Table.from_batches([_batch(seq_of_parameters)]))
        self._take(None)
        self.rowcount = self._connection.number("total_changes()") - before
        return self

    def _take(self, table: pa.Table | None) -> None:
        if table is None:
            self.description, self._rows, self.rowcount = None, iter(()), self._connection.number("changes()")
            return
        self.description = [(name, None, None, None, None, None, None) for name in table.column_names]
        self._rows, self.rowcount = zip(*(c.to_pylist() for c in table.columns), strict=True), table.num_rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows."""
        return list(islice(self._rows, size or self.arraysize))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Drops what is left of the result."""
        self._rows = iter(())


class Connection:
    """A connection, for one thread at a time; outside of `begin` and its end each statement commits.

    It is made of ADBC's statements, not of ADBC's own DB-API: that one replaces the handler of SIGINT during
    each call, then cannot cancel it, and makes an error of the database out of Ctrl-C.
    """

    def __init__(self, path: str) -> None:
        self._database = adbc_driver_sqlite.connect(path)
        try:
            self._connection = AdbcConnection(self._database)
        except Error:
            self._database.close()
            raise
        self.in_transaction = False

    def cursor(self) -> Cursor:
        """A new cursor."""
        return Cursor(self)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Runs a statement and gives its result; a table without columns where it has none.

        Types are those of the values: int64, double, string, binary; int64 where all are null.
        """
        with self._prepared(sql) as statement:
            if parameters:
                statement.bind(_batch([parameters]))
            stream, _ = statement.execute_query()
            return pa.RecordBatchReader.from_stream(stream).read_all()

    def write(self, sql: str, rows: pa.Table) -> None:
        """Runs a statement once per row, columns bound by position; the GIL is free meanwhile."""
        with self._prepared(sql) as statement:
            statement.bind_stream(rows)
            statement.execute_update()

    @contextmanager
    def _prepared(self, sql: str) -> Iterator[AdbcStatement]:
        """A statement; Arrow's errors (what goes wrong while a result is read) become those of PEP 249."""
        statement = AdbcStatement(self._connection)
        try:
            statement.set_options(**_ONE_BATCH)
            statement.set_sql_query(sql)
            statement.prepare()
            yield statement
        except (OSError, pa.ArrowException) as error:
            raise OperationalError(str(error), status_code=AdbcStatusCode.IO) from error
        finally:
            statement.close()

    def number(self, expression: str) -> int:
        """The value of an expression, such as ``changes()``: rows changed by the newest statement."""
        value: int = self.query(f"SELECT {expression}").column(0)[0].as_py()
        return value

    def begin(self, immediate: bool) -> None:
        """Begins a transaction; immediate: takes the write lock now, waiting for it as busy_timeout says."""
        self.in_transaction = True  # even if Ctrl-C comes now
        self.query("BEGIN IMMEDIATE" if immediate else "BEGIN")

    def commit(self) -> None:
        """Ends a transaction, if there is one; when it fails the transaction is still there."""
        if self.in_transaction:
            self.query("COMMIT")
            self.in_transaction = False

    def rollback(self) -> None:
        """Undoes a transaction, if there is one."""
        if not self.in_transaction:
            return
        try:
            self.query("ROLLBACK")
        except Error as error:
            if "no transaction is active" not in str(error):
                raise  # SQLite undoes some by itself (a full disk)
        self.in_transaction = False

    def close(self) -> None:
        """Closes the file; an open transaction is undone."""
        self._connection.close()
        self._database.close()


def _batch(rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    return pa.record_batch(columns, [str(number) for number in range(len(columns))])


def connect(path: str, pragmas: Sequence[str] = ()) -> Connection:
    """Opens a file, making it where it is missing, and sets pragmas (``busy_timeout=1000``)."""
    connection = Connection(path)
    try:
        for pragma in pragmas:
            connection.query(f"PRAGMA {pragma}")
    except Error:
        connection.close()
        raise
    return connection


def _library_version() -> tuple[int, ...]:
    connection = Connection(":memory:")
    try:
        text: str = connection.query("SELECT sqlite_version()").column(0)[0].as_py()
    finally:
        connection.close()
    return tuple(int(part) for part in text.split("."))


sqlite_version_info: Final = _library_version()
