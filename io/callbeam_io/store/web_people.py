"""What the web app reads about people: lists of subscribers, one of them, their consent and promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, select

from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, conditions
from callbeam_io.store.tables import TABLES

_PEOPLE: Final = TABLES["subscribers"]
_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
_PROMOTIONS: Final = TABLES["promotions"]
OFFERED: Final = "offered"


def people(
    store: StoreBase,
    run_id: str,
    where: Mapping[str, Condition],
    sort: str = "subscriber",
    down: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Rows of ``subscribers`` in order: first their keys, which an index finds by itself, then the rows."""
    column = _PEOPLE.c[sort]
    order = [
        column.desc() if down else column.asc(),
        _PEOPLE.c.subscriber.desc() if down else _PEOPLE.c.subscriber,
    ]
    order = order[:1] if sort == "subscriber" else order
    keys = (
        select(_PEOPLE.c.subscriber)
        .where(*_of_run(run_id, where))
        .order_by(*order)
        .limit(limit)
        .offset(offset)
    )
    with store.reading() as connection:
        found = list(connection.scalars(keys))
        statement = (
            select(_PEOPLE)
            .where(_PEOPLE.c.run_id == run_id, _PEOPLE.c.subscriber.in_(found))
            .order_by(*order)
        )
        return [dict(row) for row in connection.execute(statement).mappings()] if found else []


def count_people(store: StoreBase, run_id: str, where: Mapping[str, Condition]) -> int:
    """How many rows `people` would give."""
    statement = select(func.count()).select_from(_PEOPLE).where(*_of_run(run_id, where))
    with store.reading() as connection:
        return connection.scalar(statement) or 0


def _of_run(run_id: str, where: Mapping[str, Condition]) -> list[ColumnElement[bool]]:
    return [_PEOPLE.c.run_id == run_id, *conditions(_PEOPLE, where)]


def person(store: StoreBase, run_id: str, subscriber: str) -> dict[str, Any] | None:
    """The row of one subscriber, or None."""
    statement = select(_PEOPLE).where(_PEOPLE.c.run_id == run_id, _PEOPLE.c.subscriber == subscriber)
    with store.reading() as connection:
        row = connection.execute(statement).mappings().first()
    return None if row is None else dict(row)


@dataclass(frozen=True)
class Contact:
    """Whether somebody may be contacted, and what says so.

    Attributes:
        allowed: None: nothing is known, which means no.
        at: since when.
        source: of the consent, or the reason of the suppression.
        suppressed: it is a suppression that says so.
    """

    allowed: bool | None = None
    at: str = ""
    source: str = ""
    suppressed: bool = False


def contacts(store: StoreBase, subscribers: Sequence[str], at: str) -> dict[str, Contact]:
    """Whether some subscribers may be contacted at a time: by suppressions, else by the newest consent."""
    found = dict.fromkeys(subscribers, Contact())
    with store.reading() as connection:
        for row in connection.execute(_newest(_CONSENT, subscribers, at)):
            found[row.subscriber] = Contact(bool(row.opted_in), row.at, row.source or "")
        for row in connection.execute(_newest(_SUPPRESSED, subscribers, at)):
            found[row.subscriber] = Contact(False, row.at, row.reason or "", suppressed=True)
    return found


def _newest(table: Any, subscribers: Sequence[str], at: str) -> Any:
    """The newest row of each subscriber that holds at a time."""
    wanted = and_(table.c.subscriber.in_(list(subscribers)), table.c.at <= at)
    newest = (
        select(table.c.subscriber, func.max(table.c.at).label("at"))
        .where(wanted)
        .group_by(table.c.subscriber)
    )
    found = newest.subquery()
    same = and_(table.c.subscriber == found.c.subscriber, table.c.at == found.c.at)
    return select(table).join(found, same)


def count_contactable(store: StoreBase, at: str) -> int:
    """How many people may be contacted at a time, whether or not they are in a run's results."""
    newest = select(_CONSENT.c.subscriber, func.max(_CONSENT.c.at).label("at")).where(_CONSENT.c.at <= at)
    found = newest.group_by(_CONSENT.c.subscriber).subquery()
    same = and_(_CONSENT.c.subscriber == found.c.subscriber, _CONSENT.c.at == found.c.at)
    stopped = select(_SUPPRESSED.c.subscriber).where(_SUPPRESSED.c.at <= at)
    statement = (
        select(func.count())
        .select_from(_CONSENT.join(found, same))
        .where(_CONSENT.c.opted_in.is_(True), _CONSENT.c.subscriber.not_in(stopped))
    )
    with store.reading() as connection:
        return connection.scalar(statement) or 0


def offers(store: StoreBase, run_id: str, subscribers: Sequence[str]) -> dict[str, int]:
    """How many promotions were offered to each of some subscribers."""
    counted = (
        select(_PROMOTIONS.c.subscriber, func.count())
        .where(
            _PROMOTIONS.c.run_id == run_id,
            _PROMOTIONS.c.subscriber.in_(list(subscribers)),
            _PROMOTIONS.c.outcome == OFFERED,
        )
        .group_by(_PROMOTIONS.c.subscriber)
    )
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def contact_history(store: StoreBase, subscriber: str) -> list[dict[str, Any]]:
    """Every consent and suppression of one subscriber, the newest first: at, said, source."""
    with store.reading() as connection:
        consents = connection.execute(select(_CONSENT).where(_CONSENT.c.subscriber == subscriber)).all()
        stops = connection.execute(select(_SUPPRESSED).where(_SUPPRESSED.c.subscriber == subscriber)).all()
    said = [
        {"at": r.at, "said": "opted in" if r.opted_in else "opted out", "source": r.source} for r in consents
    ]
    said += [{"at": r.at, "said": "suppressed", "source": r.reason} for r in stops]
    return sorted(said, key=lambda row: str(row["at"]), reverse=True)


COLUMNS: Final = tuple(c.name for c in _PEOPLE.columns)
"""The columns of ``subscribers``."""
