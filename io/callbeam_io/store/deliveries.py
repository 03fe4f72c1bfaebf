"""Deliveries: what becomes of promotions that may leave. One row per promotion and store, whatever run made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, tuple_, update

from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, beyond, conditions, sorting
from callbeam_io.store.tables import TABLES

DELIVERIES: Final = TABLES["deliveries"]
_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
Key = tuple[str, str, str]
KEY: Final = ("rule_id", "subscriber", "decided_at")
_ORDER: Final = ("due_at", *KEY)
WAITING: Final = "waiting"
STATES: Final = (WAITING, "sent", "failed", "withdrawn", "expired", "exported")
_HOUR: Final = 13
"""Letters of a time down to its hour."""
Row = dict[str, Any]


def key_of(row: Mapping[str, Any]) -> Key:
    """The key of a delivery: rule_id, subscriber, decided_at."""
    return row["rule_id"], row["subscriber"], row["decided_at"]


def due(
    connection: Connection,
    now: str,
    limit: int,
    *,
    until: str | None = None,
    after: Mapping[str, Any] | None = None,
    where: Mapping[str, Condition] | None = None,
) -> list[Row]:
    """Waiting deliveries in the order in which they are due.

    Args:
        connection: in a transaction.
        now: whose next attempt is not later than this.
        limit: at most as many.
        until: due until then; None: until now.
        after: only those after this one.
        where: filters.
    """
    columns = DELIVERIES.c
    free = or_(columns.next_at.is_(None), columns.next_at <= now)
    wanted = [columns.state == WAITING, columns.due_at <= (until or now), free]
    wanted += conditions(DELIVERIES, where or {})
    order = [columns[name] for name in _ORDER]
    if after is not None:
        wanted.append(tuple_(*order) > tuple_(*(after[name] for name in _ORDER)))
    statement = select(DELIVERIES).where(*wanted).order_by(*order).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]


def change_all(connection: Connection, keys: Sequence[Key], *states: str, **values: Any) -> None:
    """Sets columns of many deliveries at once, of those whose state is among ``states`` (none: of all)."""
    if keys:
        wanted = [tuple_(*(DELIVERIES.c[name] for name in KEY)).in_(keys)]
        wanted += [DELIVERIES.c.state.in_(states)] if states else []
        connection.execute(update(DELIVERIES).where(*wanted).values(**values))


def expire(store: StoreBase, now: str) -> int:
    """Waiting deliveries whose offers are no longer good become ``expired``; gives how many."""
    over = and_(DELIVERIES.c.state == WAITING, DELIVERIES.c.expires_at <= now)
    return _change_all(store, over, state="expired", at=now)


def withdraw_unwelcome(store: StoreBase, now: str, until: str) -> int:
    """What waits for people who said no, or must not be contacted, becomes ``withdrawn``; gives how many.

    Args:
        store: where.
        now: the moment of the change.
        until: consents and suppressions count whose time is not later.
    """
    later = _CONSENT.alias()
    overruled = exists().where(
        later.c.subscriber == _CONSENT.c.subscriber, later.c.at > _CONSENT.c.at, later.c.at <= until
    )
    said_no = exists().where(
        _CONSENT.c.subscriber == DELIVERIES.c.subscriber,
        _CONSENT.c.at <= until,
        _CONSENT.c.opted_in.is_(False),
        ~overruled,
    )
    stopped = exists().where(_SUPPRESSED.c.subscriber == DELIVERIES.c.subscriber, _SUPPRESSED.c.at <= until)
    unwelcome = and_(DELIVERIES.c.state == WAITING, or_(said_no, stopped))
    return _change_all(store, unwelcome, state="withdrawn", at=now)


def withdraw(store: StoreBase, where: Mapping[str, Condition], now: str, why: str) -> int:
    """Waiting deliveries that pass filters become ``withdrawn``; gives how many."""
    wanted = and_(*conditions(DELIVERIES, {**where, "state": WAITING}))
    return _change_all(store, wanted, state="withdrawn", at=now, detail=why)


def send_again(store: StoreBase, where: Mapping[str, Condition], now: str) -> int:
    """Failed deliveries that pass filters wait again, as if they had never been tried; gives how many."""
    wanted = and_(*conditions(DELIVERIES, {**where, "state": "failed"}), DELIVERIES.c.expires_at > now)
    return _change_all(store, wanted, state=WAITING, at=now, attempts=0, next_at=None, detail=None)


def _change_all(store: StoreBase, wanted: ColumnElement[bool], **values: Any) -> int:
    """Looks first: a writer is not kept waiting for nothing."""
    with store.reading() as connection:
        if connection.scalar(select(DELIVERIES.c.state).where(wanted).limit(1)) is None:
            return 0
    with store.writing() as connection:
        return int(connection.execute(update(DELIVERIES).where(wanted).values(**values)).rowcount)


def counts(store: StoreBase, where: Mapping[str, Condition] | None = None) -> dict[str, int]:
    """Deliveries by state."""
    counted = select(DELIVERIES.c.state, func.count()).where(*conditions(DELIVERIES, where or {}))
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted.group_by(DELIVERIES.c.state))}


def page(
    store: StoreBase, where: Mapping[str, Condition], limit: int, before: Mapping[str, str] | None = None
) -> list[Row]:
    """Deliveries that pass filters, the ones due last first; ``before``: after this row of the page before."""
    sqlite = store.engine.dialect.name == "sqlite"  # which compares texts as Python does
    if sqlite and where.keys().isdisjoint({"state", "subscriber"}):  # only a state's are in an index's order
        found = [row for state in STATES for row in page(store, {**where, "state": state}, limit, before)]
        return sorted(found, key=lambda row: tuple(row[name] for name in _ORDER), reverse=True)[:limit]
    order = [(DELIVERIES.c[name], True) for name in _ORDER]
    wanted = conditions(DELIVERIES, where)
    if before is not None:
        wanted.append(beyond(order, before))
    statement = select(DELIVERIES).where(*wanted).order_by(*sorting(order)).limit(limit)
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def per_hour(store: StoreBase, until: str) -> dict[str, int]:
    """Waiting deliveries by the hour (``2026-03-02 09``) in which they are due, before a moment."""
    hour = func.substr(DELIVERIES.c.due_at, 1, _HOUR)
    wanted = and_(DELIVERIES.c.state == WAITING, DELIVERIES.c.due_at < until)
    with store.reading() as connection:
        found = connection.execute(select(hour, func.count()).where(wanted).group_by(hour))
        return {row[0]: row[1] for row in found}


def earlier(store: StoreBase) -> Sequence[tuple[str, str, int, str]]:
    """Per rule and subscriber how often something was delivered, whatever became of it, and the last time."""
    columns = DELIVERIES.c
    grouped = select(columns.rule_id, columns.subscriber, func.count(), func.max(columns.decided_at))
    with store.reading() as connection:
        return [
            tuple(row) for row in connection.execute(grouped.group_by(columns.rule_id, columns.subscriber))
        ]


def given(store: StoreBase, run_id: str | None = None) -> dict[str, int]:
    """How many promotions of each rule were given away: the deliveries, whatever became of them.

    Args:
        store: of the deliveries.
        run_id: of a run whose offered promotions count too, those that never became deliveries as well.
    """
    names, columns = TABLES["promotions"].c, DELIVERIES.c
    delivered = exists().where(*(columns[name] == names[name] for name in KEY))
    mine = select(names.rule_id, func.count()).where(
        names.run_id == run_id, names.outcome == "offered", ~delivered
    )
    totals: dict[str, int] = {}
    with store.reading() as connection:
        found = list(connection.execute(select(columns.rule_id, func.count()).group_by(columns.rule_id)))
        found += [] if run_id is None else list(connection.execute(mine.group_by(names.rule_id)))
    for rule_id, count in found:
        totals[rule_id] = totals.get(rule_id, 0) + count
    return totals


def of_others(store: StoreBase, run_id: str, rules: Sequence[str], after: str) -> Sequence[Key]:
    """Keys of the deliveries of some rules that are not of this run, decided after a moment."""
    columns = DELIVERIES.c
    statement = select(*(columns[name] for name in KEY)).where(
        columns.rule_id.in_(rules), columns.decided_at > after, columns.run_id.is_distinct_from(run_id)
    )
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def contact_moments(store: StoreBase) -> Sequence[tuple[str, str]]:
    """Subscriber and time of decision of every delivery."""
    with store.reading() as connection:
        found = connection.execute(select(DELIVERIES.c.subscriber, DELIVERIES.c.decided_at))
        return [tuple(row) for row in found]
