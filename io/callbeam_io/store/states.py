"""How a pipeline has been doing: the samples of its streaming runs, and its changes of state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, func, insert, select, text

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text
from transforms.schema import TIME_FORMAT

_SAMPLES: Final = TABLES["run_samples"]
_STATES: Final = TABLES["state_changes"]
_DELIVERIES: Final = TABLES["deliveries"]
_COLUMNS: Final = [_STATES.c[name] for name in ("at", "state", "detail", "run_id")]
_LOCK: Final = text("LOCK TABLE state_changes IN SHARE ROW EXCLUSIVE MODE")
KEPT: Final = timedelta(days=30)


class Change(NamedTuple):
    """A change of state.

    Attributes:
        at: when, as text in UTC.
        state: from then on.
        detail: in words.
        run_id: of the run that it is about, if any.
    """

    at: str
    state: str
    detail: str = ""
    run_id: str | None = None


def samples(store: StoreBase, run_id: str, since: str) -> list[tuple[str, dict[str, Any]]]:
    """What a streaming run counted, in order: until when, and the figures since the sample before."""
    wanted = (_SAMPLES.c.run_id == run_id, _SAMPLES.c.at >= since)
    ordered = select(_SAMPLES.c.at, _SAMPLES.c.figures).where(*wanted).order_by(_SAMPLES.c.at)
    with store.reading() as connection:
        return [(at, figures or {}) for at, figures in connection.execute(ordered)]


def newest_state(store: StoreBase) -> Change | None:
    """The newest change; None where nothing was ever noted."""
    newest = select(*_COLUMNS).order_by(_STATES.c.at.desc()).limit(1)
    with store.reading() as connection:
        row = connection.execute(newest).first()
    return None if row is None else Change(*row)


def note_state(store: StoreBase, change: Change) -> Change | None:
    """Notes a state unless it is the one that holds already; what is older than a month is dropped.

    Of several web apps on one store only the first one gets the change back, so that it is told once. It never
    begins before the one before it.
    """
    newest = select(_STATES.c.at, _STATES.c.state).order_by(_STATES.c.at.desc()).limit(1)
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCK)  # SQLite has the write lock already
        before = connection.execute(newest).first()
        if before is not None and before.state == change.state:
            return None
        at = change.at if before is None else max(change.at, _second_after(before.at))
        noted = change._replace(at=at)
        connection.execute(insert(_STATES).values(**noted._asdict()))
        connection.execute(delete(_STATES).where(_STATES.c.at < _earlier(at)))
    return noted


def _second_after(at: str) -> str:
    return utc_text(datetime.strptime(at, TIME_FORMAT) + timedelta(seconds=1))


def _earlier(at: str) -> str:
    return utc_text(datetime.strptime(at, TIME_FORMAT) - KEPT)


def state_changes(store: StoreBase, since: str) -> list[Change]:
    """The changes since a moment, and the one before it, in order."""
    first = select(func.max(_STATES.c.at)).where(_STATES.c.at <= since).scalar_subquery()
    wanted = select(*_COLUMNS).where(_STATES.c.at >= func.coalesce(first, since))
    with store.reading() as connection:
        return [Change(*row) for row in connection.execute(wanted.order_by(_STATES.c.at))]


def count_expired(store: StoreBase, since: str, until: str) -> int:
    """Deliveries that came too late to be sent, found so within a time."""
    found = _DELIVERIES.c
    wanted = (found.state == "expired", found.at >= since, found.at <= until)
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(_DELIVERIES).where(*wanted)) or 0
