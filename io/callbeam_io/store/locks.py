"""The lock of a run: one pipeline per run, and the lock dies with its process.

SQLite: a file beside the database, locked with ``flock`` (a POSIX record lock would be dropped by any other
handle of the process on the same file). PostgreSQL: an advisory lock, on a connection that is held for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from callbeam_io.store.engines import is_sqlite, store_errors

_PATIENCE: Final = 0.3
"""Seconds to try: somebody who looks whether a run is dead holds its lock for a moment."""


class RunLock(Protocol):
    """A lock that is held."""

    def held(self) -> bool:
        """Whether it still is: a server's connection may have been lost, and with it the lock.

        Raises StoreError while the server is away: nobody can tell.
        """

    def release(self) -> None:
        """Gives it up."""


def take(engine: Engine, run_id: str) -> RunLock | None:
    """The lock of a run, or None where another process holds it. StoreError: the server is away."""
    end = time.monotonic() + _PATIENCE
    while (lock := try_take(engine, run_id)) is None and time.monotonic() < end:
        time.sleep(0.05)
    return lock


def try_take(engine: Engine, run_id: str) -> RunLock | None:
    """`take` without waiting."""
    kind = _FileLock if is_sqlite(engine.url) else _AdvisoryLock
    with store_errors(engine, "taking a lock in"):
        return kind.take(engine, run_id)


def is_free(engine: Engine, run_id: str) -> bool:
    """Whether nobody holds the lock of a run: no process is working on it."""
    if is_sqlite(engine.url) and not _path(engine, run_id).exists():
        return True
    lock = try_take(engine, run_id)
    if lock is not None:
        lock.release()
    return lock is not None


class _FileLock:
    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle

    @classmethod
    def take(cls, engine: Engine, run_id: str) -> _FileLock | None:
        path = _path(engine, run_id)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return cls(path, handle)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(handle)  # held, or removed by its holder between open and lock
        return None

    def held(self) -> bool:
        return True

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def _path(engine: Engine, run_id: str) -> Path:
    return Path(f"{engine.url.database}-lock-{run_id}")


class _AdvisoryLock:
    def __init__(self, engine: Engine, run_id: str, connection: Connection) -> None:
        self._engine, self._run_id, self._connection = engine, run_id, connection

    @classmethod
    def take(cls, engine: Engine, run_id: str) -> _AdvisoryLock | None:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # it may not go back to the pool: the lock is the connection's
        if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(engine, run_id)}):
            return cls(engine, run_id, connection)
        connection.close()
        return None

    def held(self) -> bool:
        """A lost connection has lost the lock: take it again unless somebody else has it by now."""
        try:
            self._connection.scalar(text("SELECT 1"))
            return True
        except SQLAlchemyError:
            self._connection.invalidate()
        again = take(self._engine, self._run_id)
        if isinstance(again, _AdvisoryLock):
            self._connection = again._connection
        return again is not None

    def release(self) -> None:
        """Unlocked first: the server notices only after a while that a connection was closed."""
        with suppress(SQLAlchemyError):  # it is lost already, and the lock with it
            self._connection.scalar(
                text("SELECT pg_advisory_unlock(:key)"), {"key": _key(self._engine, self._run_id)}
            )
        self._connection.close()


def _key(engine: Engine, run_id: str) -> int:
    """The lock's number: advisory locks are known by one, per database."""
    schema = str(engine.url.query.get("options", ""))
    digest = hashlib.sha256(f"callbeam run {schema} {run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
