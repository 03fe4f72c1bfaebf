"""Rows of commands that were started from the web app; `callbeam_io.jobs` starts and watches them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, text, update

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text

RUNNING: Final = "running"
ENDED: Final = ("done", "failed", "cancelled")
_JOBS: Final = TABLES["jobs"]
_LOCK: Final = text("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE")


def add_job(store: StoreBase, row: Mapping[str, Any], most: int, alone: Collection[str] = ()) -> str:
    """A new job that is running, unless too many are; two who ask at once do not both get the last place.

    Args:
        store: where to.
        row: ``job_id, kind, command, created_by`` and what else is known.
        most: jobs that may run at a time.
        alone: kinds of which only one may run at a time.

    Returns:
        Why there is no place for it; empty where the row was written.
    """
    running = select(_JOBS.c.kind).where(_JOBS.c.state == RUNNING)
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCK)  # SQLite has the write lock already
        kinds = list(connection.scalars(running))
        if row["kind"] in alone and row["kind"] in kinds:
            return "one like it is running"
        if len(kinds) >= most:
            return f"{len(kinds)} jobs are running"
        now = utc_text()
        connection.execute(insert(_JOBS).values(**row, state=RUNNING, created_at=now, started_at=now))
    return ""


def change_job(store: StoreBase, job_id: str, **values: Any) -> None:
    """Sets columns of a job that is running; one that has ended stays as it ended."""
    wanted = (_JOBS.c.job_id == job_id, _JOBS.c.state == RUNNING)
    with store.writing() as connection:
        connection.execute(update(_JOBS).where(*wanted).values(**values))


def job_row(store: StoreBase, job_id: str) -> dict[str, Any] | None:
    """A job's row, or None."""
    with store.reading() as connection:
        row = connection.execute(select(_JOBS).where(_JOBS.c.job_id == job_id)).mappings().first()
    return None if row is None else dict(row)


def job_rows(store: StoreBase, limit: int | None = None, state: str | None = None) -> list[dict[str, Any]]:
    """The rows of jobs, the newest first; of one state, if given."""
    wanted = [] if state is None else [_JOBS.c.state == state]
    ordered = _JOBS.c.created_at.desc(), _JOBS.c.job_id.desc()
    with store.reading() as connection:
        found = connection.execute(select(_JOBS).where(*wanted).order_by(*ordered).limit(limit)).mappings()
        return [dict(row) for row in found]


def job_of_run(store: StoreBase, run_id: str) -> str | None:
    """The newest job that made or went on with a run."""
    with store.reading() as connection:
        return connection.scalar(select(func.max(_JOBS.c.job_id)).where(_JOBS.c.run_id == run_id))


def forget_jobs(store: StoreBase, keep: int) -> list[str]:
    """Removes the rows of jobs that have ended, but for the newest; gives their ids."""
    old = [row["job_id"] for row in job_rows(store)[keep:] if row["state"] in ENDED]
    if old:
        with store.writing() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.job_id.in_(old)))
    return old
