"""What the web app reads beyond `reads.Reads`: the run to speak of, windows, summaries of many rows."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_, func, select

from callbeam_io.store import locks
from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.web_accounts import FAILED_SIGN_IN as FAILED_SIGN_IN
from transforms.errors import CallbeamError as CallbeamError
from transforms.errors import RequestError as RequestError
from transforms.errors import StoreError as StoreError
from transforms.schema import ALL_END as ALL_END
from transforms.schema import ALL_START as ALL_START
from transforms.schema import BUSINESS_TYPES as BUSINESS_TYPES
from transforms.schema import TIME_FORMAT as TIME_FORMAT

RUNS: Final = TABLES["runs"]
SUBSCRIBERS: Final = TABLES["subscribers"]


def shown_run(store: StoreBase) -> dict[str, Any] | None:
    """The row of the run that the status is about: a stream that is running, else the newest of all."""
    streaming = and_(RUNS.c.mode == "streaming", RUNS.c.state == "running")
    newest_stream = select(func.max(RUNS.c.run_id)).where(streaming).scalar_subquery()
    newest = select(func.max(RUNS.c.run_id)).where(RUNS.c.pruned_at.is_(None)).scalar_subquery()
    wanted = RUNS.c.run_id == func.coalesce(newest_stream, newest)
    with store.reading() as connection:
        row = connection.execute(select(RUNS).where(wanted)).mappings().first()
    return None if row is None else dict(row)


def is_worked_on(store: StoreBase, run_id: str) -> bool:
    """Whether a process holds the lock of a run."""
    return not locks.is_free(store.engine, run_id)


def windows(store: StoreBase, table: str, run_id: str, limit: int = 1000) -> list[tuple[str, str]]:
    """Start and end of the windows that have rows in a table of a run, the newest first."""
    found = TABLES[table]
    pairs = select(found.c.window_start, func.max(found.c.window_end)).where(found.c.run_id == run_id)
    ordered = pairs.group_by(found.c.window_start).order_by(found.c.window_start.desc()).limit(limit)
    with store.reading() as connection:
        return [(row[0], row[1]) for row in connection.execute(ordered)]
