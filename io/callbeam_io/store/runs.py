"""The life of a run: running, then done, failed or cancelled; one process at a time."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Select,
    Update,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from callbeam_io.store import locks
from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text
from transforms.errors import OptionError, StoreError

RUNS: Final = TABLES["runs"]
FINISHED: Final = ("done", "failed", "cancelled")
DIED: Final = "the process died"

_COUNTS: Final = tuple(c.name for c in RUNS.c if c.info["kind"] == "int")
_VALUES: Final = frozenset({*_COUNTS, "watermark", "options", "runner", "live"})
_STAMP: Final = "%Y%m%dT%H%M%S"
_RUN_ID: Final = re.compile(r"(\d{8}T\d{6})-([0-9a-f]{4})")


class RunLife(StoreBase):
    """Starts, updates, finishes and finds runs."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._locks: dict[str, locks.RunLock] = {}
        self._guard = threading.Lock()

    def start_run(self, *, mode: str, runner: str, options: Mapping[str, Any]) -> str:
        """A new run in state ``running``, locked by this process.

        Args:
            mode: ``batch`` or ``streaming``.
            runner: the engine's name.
            options: what the run was asked to do, as JSON values, without secrets.

        Returns:
            Its run_id, such as ``20261124T201733-3f9a``; a later run's is always greater.
        """
        run_id = self._new_id()
        while not self._lock(run_id):
            run_id = self._new_id()
        row = dict.fromkeys(_COUNTS, 0) | {
            "run_id": run_id,
            "state": "running",
            "mode": mode,
            "runner": runner,
        }
        now = utc_text()
        self._enter(run_id, insert(RUNS).values(**row, started_at=now, heartbeat=now, options=dict(options)))
        return run_id

    def resume_run(self, run_id: str) -> dict[str, Any]:
        """Takes a run up again under its own run_id and started_at; gives its row.

        Raises OptionError where there is no such run or another process is working on it.
        """
        row = self.run(run_id)
        if not self._lock(run_id):
            raise OptionError(
                f"run {run_id} of {self.name} is being worked on by another process",
                "one pipeline per run",
                "end that process, or start anew with --fresh",
            )
        state = {"state": "running", "finished_at": None, "error": None}
        self._enter(run_id, change(run_id).values(**state, heartbeat=utc_text()))
        return {**row, **state}

    def _enter(self, run_id: str, statement: Insert | Update) -> None:
        """The row of a run that has just been locked; without it the lock is given up again."""
        try:
            with self.writing() as connection:
                connection.execute(statement)
        except BaseException:
            self._release(run_id)
            raise

    def update_run(self, run_id: str, **values: Any) -> None:
        """Sets the heartbeat, and counts or the watermark (``records_read=…`` or ``read=…``, absolute).

        A run whose server was restarted takes its lock again; who looked meanwhile may have called it dead.
        Raises StoreError where another process has the lock by now.
        """
        locked = self._check_lock(run_id)
        with self.writing() as connection:
            set_run_values(connection, run_id, **values)
            if locked:
                dead = change(run_id).where(RUNS.c.state == "failed", RUNS.c.error == DIED)
                connection.execute(dead.values(state="running", error=None, finished_at=None))

    def finish_run(self, run_id: str, state: str, error: str | None = None, **values: Any) -> None:
        """Ends a run as ``done``, ``failed`` (with the error) or ``cancelled`` and gives its lock up."""
        if state not in FINISHED:
            raise ValueError(f"state {state!r}: expected one of {', '.join(FINISHED)}")
        with self.writing() as connection:
            set_run_values(connection, run_id, **values)
            connection.execute(change(run_id).values(state=state, error=error, finished_at=utc_text()))
        self._release(run_id)

    @contextmanager
    def running(self, run_id: str) -> Iterator[None]:
        """Ends the run as its block ends: done, cancelled (Ctrl-C) or failed with the error."""
        try:
            yield
        except KeyboardInterrupt:
            self.finish_run(run_id, "cancelled")
            raise
        except BaseException as error:
            self.finish_run(run_id, "failed", error=str(error) or type(error).__name__)
            raise
        self.finish_run(run_id, "done")

    def run(self, run_id: str) -> dict[str, Any]:
        """A run's row; OptionError where there is none."""
        with self.reading() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id, kept())).mappings().first()
        if row is None:
            raise OptionError(f"no run {run_id!r} in {self.name}", "a run_id of the table runs")
        return dict(row)

    def runs(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The rows of all runs, the newest first."""
        statement = select(RUNS).where(kept()).order_by(RUNS.c.run_id.desc()).limit(limit)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def newest_run(self, finished: bool = False, mode: str | None = None) -> str | None:
        """The run that is shown when none is named: the newest that is done, or running if streaming.

        Args:
            finished: only one that is done.
            mode: only ``batch`` or ``streaming`` runs.
        """
        with self.reading() as connection:
            return connection.execute(newest(finished, mode)).scalar()

    def mark_dead_runs(self) -> list[str]:
        """Makes runs ``failed`` that are ``running`` while no process holds their lock.

        Returns:
            Their run_ids.
        """
        return [
            run["run_id"] for run in self.runs() if run["state"] == "running" and self._buried(run["run_id"])
        ]

    def _buried(self, run_id: str) -> bool:
        """Whether the run was dead. Its lock is held meanwhile: nobody can take it up again in between."""
        lock = None if run_id in self._locks else locks.try_take(self.engine, run_id)
        if lock is None:
            return False
        try:
            with self.writing() as connection:
                dead = change(run_id).where(RUNS.c.state == "running")
                return (
                    connection.execute(
                        dead.values(state="failed", error=DIED, finished_at=utc_text())
                    ).rowcount
                    > 0
                )
        finally:
            lock.release()

    def close(self) -> None:
        """Closes the connections and gives up the locks of runs that were not finished."""
        for run_id in list(self._locks):
            self._release(run_id)
        super().close()

    def _new_id(self) -> str:
        with self.reading() as connection:
            return next_id(connection.execute(select(func.max(RUNS.c.run_id))).scalar(), datetime.now(UTC))

    def _lock(self, run_id: str) -> bool:
        with self._guard:
            lock = locks.take(self.engine, run_id)
            if lock is not None:
                self._locks[run_id] = lock
        return lock is not None

    def _check_lock(self, run_id: str) -> bool:
        """Whether this process works on the run."""
        with self._guard:
            lock = self._locks.get(run_id)
            if lock is not None and not lock.held():
                raise StoreError(
                    f"run {run_id} of {self.name} was taken over by another process while the server was away"
                )
            return lock is not None

    def _release(self, run_id: str) -> None:
        with self._guard:
            lock = self._locks.pop(run_id, None)
            if lock is not None:
                lock.release()


def set_run_values(connection: Connection, run_id: str, **values: Any) -> None:
    """Sets counts or the watermark of a run, and its heartbeat, in the caller's transaction.

    A count may be named as its column or without ``records_``. ValueError: a name that is neither.
    """
    named = {name if name in _VALUES else f"records_{name}": value for name, value in values.items()}
    unknown = named.keys() - _VALUES
    if unknown:
        known = ", ".join(sorted(_VALUES))
        raise ValueError(f"no values {', '.join(sorted(unknown))} in the table runs. There are: {known}")
    connection.execute(change(run_id).values(**named, heartbeat=utc_text()))


def newest(finished: bool = False, mode: str | None = None) -> Select[str]:
    """The statement of `RunLife.newest_run`."""
    states = RUNS.c.state == "done"
    if not finished:
        states = or_(states, and_(RUNS.c.state == "running", RUNS.c.mode == "streaming"))
    statement = select(func.max(RUNS.c.run_id)).where(states, kept())
    return statement if mode is None else statement.where(RUNS.c.mode == mode)


def kept() -> ColumnElement[bool]:
    """Holds for runs that are not being deleted."""
    return RUNS.c.pruned_at.is_(None)


def change(run_id: str) -> Update:
    """An update of a run's row."""
    return update(RUNS).where(RUNS.c.run_id == run_id)


def next_id(newest_id: str | None, now: datetime) -> str:
    """Start time and four hexadecimal digits; greater than the newest id even if the clock was set back."""
    low = 0
    known = _RUN_ID.fullmatch(newest_id or "")
    if known is not None and known[1] >= now.strftime(_STAMP):
        now, low = datetime.strptime(known[1], _STAMP), int(known[2], 16) + 1
        if low > 0xFF00:
            now, low = now + timedelta(seconds=1), 0
    return f"{now.strftime(_STAMP)}-{low + secrets.randbelow(256):04x}"
