"""The life of a run: running, then done, failed or cancelled; one process at a time; old ones are deleted."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    and_,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from callbeam_io.store import locks
from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import RUN_TABLES, TABLES
from callbeam_io.store.types import utc_text
from transforms.errors import OptionError, StoreError

FINISHED: Final = ("done", "failed", "cancelled")
DIED: Final = "the process died"

_RUNS: Final = TABLES["runs"]
_COUNTS: Final = tuple(c.name for c in _RUNS.c if c.info["kind"] == "int")
_UPDATABLE: Final = frozenset({*_COUNTS, "watermark", "options", "runner"})
_STAMP: Final = "%Y%m%dT%H%M%S"
_RUN_ID: Final = re.compile(r"(\d{8}T\d{6})-([0-9a-f]{4})")
_CHUNK: Final = 20_000
"""Rows deleted in one transaction, so that writers of other runs need not wait long."""


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
        while True:
            with self.reading() as connection:
                run_id = _next_id(connection.scalar(select(func.max(_RUNS.c.run_id))), datetime.now(UTC))
            if self._lock(run_id):
                break
        row = dict.fromkeys(_COUNTS, 0) | {
            "run_id": run_id,
            "state": "running",
            "mode": mode,
            "runner": runner,
        }
        now = utc_text()
        with self.writing() as connection:
            connection.execute(
                insert(_RUNS).values(**row, started_at=now, heartbeat=now, options=dict(options))
            )
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
        with self.writing() as connection:
            connection.execute(_change(run_id).values(**state, heartbeat=utc_text()))
        return {**row, **state}

    def update_run(self, run_id: str, **values: Any) -> None:
        """Sets the heartbeat, and counts or the watermark (``records_read=…`` or ``read=…``, absolute).

        Raises StoreError where the run's lock was lost to another process.
        """
        self._check_lock(run_id)
        with self.writing() as connection:
            set_run_values(connection, run_id, **values)

    def finish_run(self, run_id: str, state: str, error: str | None = None, **values: Any) -> None:
        """Ends a run as ``done``, ``failed`` (with the error) or ``cancelled`` and gives its lock up."""
        if state not in FINISHED:
            raise ValueError(f"state {state!r}: expected one of {', '.join(FINISHED)}")
        with self.writing() as connection:
            set_run_values(connection, run_id, **values)
            connection.execute(_change(run_id).values(state=state, error=error, finished_at=utc_text()))
        self._release(run_id)

    @contextmanager
    def running(self, run_id: str) -> Iterator[None]:
        """Ends the run as its block ends: done, cancelled (Ctrl-C) or failed; nothing unfinished is shown as done."""
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
            row = (
                connection.execute(select(_RUNS).where(_RUNS.c.run_id == run_id, _shown())).mappings().first()
            )
        if row is None:
            raise OptionError(f"no run {run_id!r} in {self.name}", "a run_id of the table runs")
        return dict(row)

    def runs(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The rows of all runs, the newest first."""
        statement = select(_RUNS).where(_shown()).order_by(_RUNS.c.run_id.desc()).limit(limit)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def newest_run(self, finished: bool = False, mode: str | None = None) -> str | None:
        """The run that is shown when none is named: the newest that is done, or running if streaming.

        Args:
            finished: only one that is done.
            mode: only ``batch`` or ``streaming`` runs.
        """
        with self.reading() as connection:
            return connection.scalar(newest(finished, mode))

    def mark_dead_runs(self) -> list[str]:
        """Runs that are ``running`` while no process holds their lock become ``failed``; gives their run_ids."""
        dead = [r["run_id"] for r in self.runs() if r["state"] == "running" and self._is_dead(r["run_id"])]
        with self.writing() as connection:
            for run_id in dead:
                still = _change(run_id).where(_RUNS.c.state == "running")
                connection.execute(still.values(state="failed", error=DIED, finished_at=utc_text()))
        return dead

    def prune_runs(self, keep: int) -> list[str]:
        """Deletes all but the newest ``keep`` finished runs, with their rows in all tables; gives their run_ids.

        The newest run that is done and the newest stream (it can be resumed) are always among those kept.
        """
        with self.writing() as connection:
            for run_id in _superfluous(connection, keep):
                connection.execute(_change(run_id).values(pruned_at=utc_text()))
            # those of an earlier deletion that was cut short, too
            doomed = list(connection.scalars(select(_RUNS.c.run_id).where(~_shown()).order_by(_RUNS.c.run_id)))
        for run_id in doomed:
            for name in RUN_TABLES:
                self._delete_rows(TABLES[name], run_id)
            with self.writing() as connection:
                connection.execute(delete(_RUNS).where(_RUNS.c.run_id == run_id))
        return doomed

    def _delete_rows(self, table: Table, run_id: str) -> None:
        place = literal_column("rowid" if self.engine.dialect.name == "sqlite" else "ctid")
        same = table.alias()
        some = select(place).select_from(same).where(same.c.run_id == run_id).limit(_CHUNK)
        while True:
            with self.writing() as connection:
                if connection.execute(delete(table).where(place.in_(some))).rowcount == 0:
                    return

    def close(self) -> None:
        """Closes the connections and gives up the locks of runs that were not finished."""
        for run_id in list(self._locks):
            self._release(run_id)
        super().close()

    def _is_dead(self, run_id: str) -> bool:
        return run_id not in self._locks and locks.is_free(self.engine, run_id)

    def _lock(self, run_id: str) -> bool:
        with self._guard:
            lock = locks.take(self.engine, run_id)
            if lock is not None:
                self._locks[run_id] = lock
        return lock is not None

    def _check_lock(self, run_id: str) -> None:
        with self._guard:
            lock = self._locks.get(run_id)
            if lock is not None and not lock.held():
                raise StoreError(f"run {run_id} of {self.name} was taken over by another process")

    def _release(self, run_id: str) -> None:
        with self._guard:
            lock = self._locks.pop(run_id, None)
            if lock is not None:
                lock.release()


def set_run_values(connection: Connection, run_id: str, **values: Any) -> None:
    """Sets counts or the watermark of a run, and its heartbeat, in the caller's transaction.

    A count may be named as its column or without ``records_``. ValueError: a name that is neither.
    """
    named = {name if name in _UPDATABLE else f"records_{name}": value for name, value in values.items()}
    unknown = named.keys() - _UPDATABLE
    if unknown:
        raise ValueError(
            f"runs has no values {', '.join(sorted(unknown))}; it has {', '.join(sorted(_UPDATABLE))}"
        )
    connection.execute(_change(run_id).values(**named, heartbeat=utc_text()))


def newest(finished: bool = False, mode: str | None = None) -> Any:
    """The statement of `RunLife.newest_run`."""
    states = _RUNS.c.state == "done"
    if not finished:
        states = or_(states, and_(_RUNS.c.state == "running", _RUNS.c.mode == "streaming"))
    statement = select(func.max(_RUNS.c.run_id)).where(states, _shown())
    return statement if mode is None else statement.where(_RUNS.c.mode == mode)


def _shown() -> Any:
    return _RUNS.c.pruned_at.is_(None)


def _change(run_id: str) -> Any:
    return update(_RUNS).where(_RUNS.c.run_id == run_id)


def _next_id(newest_id: str | None, now: datetime) -> str:
    """Start time and four hexadecimal digits, greater than the newest run's, also when the clock was set back."""
    low = 0
    known = _RUN_ID.fullmatch(newest_id or "")
    if known is not None and known[1] >= now.strftime(_STAMP):
        now, low = datetime.strptime(known[1], _STAMP), int(known[2], 16) + 1
        if low > 0xFF00:
            now, low = now + timedelta(seconds=1), 0
    return f"{now.strftime(_STAMP)}-{low + secrets.randbelow(256):04x}"


def _superfluous(connection: Connection, keep: int) -> list[str]:
    rows = connection.execute(
        select(_RUNS.c.run_id, _RUNS.c.state, _RUNS.c.mode)
        .where(_RUNS.c.state.in_(FINISHED), _shown())
        .order_by(_RUNS.c.run_id.desc())
    ).all()
    protected = {next((r.run_id for r in rows if r.state == "done"), None)}
    protected.add(next((r.run_id for r in rows if r.mode == "streaming"), None))
    others = [r.run_id for r in rows if r.run_id not in protected]
    return others[max(keep - (len(rows) - len(others)), 0) :]
