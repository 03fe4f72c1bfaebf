"""What the web app reads about promotions and the rules that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select

from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, beyond, conditions, sorting
from callbeam_io.store.tables import TABLES

_PROMOTIONS: Final = TABLES["promotions"]
_DELIVERIES: Final = TABLES["deliveries"]
_VERSIONS: Final = TABLES["rule_versions"]
_MINUTE: Final = 16
"""Letters of a time down to its minute."""

OUTCOMES: Final = ("offered", "control", "no_consent", "capped", "sold_out")


def newest_decision(store: StoreBase, run_id: str) -> str | None:
    """The event time at which the newest promotions of a run were decided."""
    with store.reading() as connection:
        found: str | None = connection.scalar(
            select(func.max(_PROMOTIONS.c.decided_at)).where(_PROMOTIONS.c.run_id == run_id)
        )
    return found


def per_minute(store: StoreBase, run_id: str, after: str, until: str) -> list[dict[str, Any]]:
    """Promotions counted by minute, rule and outcome, of decisions with ``after < decided_at <= until``."""
    minute = func.substr(_PROMOTIONS.c.decided_at, 1, _MINUTE).label("minute")
    columns = (minute, _PROMOTIONS.c.rule_id, _PROMOTIONS.c.outcome)
    wanted = and_(
        _PROMOTIONS.c.run_id == run_id, _PROMOTIONS.c.decided_at > after, _PROMOTIONS.c.decided_at <= until
    )
    statement = select(*columns, func.count().label("count")).where(wanted).group_by(*columns)
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def newest(
    store: StoreBase,
    run_id: str,
    where: Mapping[str, Condition],
    limit: int,
    before: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Promotions of a run, the newest first; ``before``: after this row of the page before."""
    order = [(_PROMOTIONS.c[name], True) for name in ("decided_at", "rule_id", "subscriber")]
    wanted: list[ColumnElement[bool]] = [_PROMOTIONS.c.run_id == run_id, *conditions(_PROMOTIONS, where)]
    if "subscriber" not in where:  # without it SQLite reads and sorts all promotions of the run
        wanted.append(_PROMOTIONS.c.decided_at >= "")
    if before is not None:
        wanted.append(beyond(order, before))
    statement = select(_PROMOTIONS).where(*wanted).order_by(*sorting(order)).limit(limit)
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


class Delivery(NamedTuple):
    """What became of a promotion that was queued to be sent, and until when it may be."""

    state: str
    expires_at: str | None


def deliveries(
    store: StoreBase, promotions: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str, str], Delivery]:
    """The deliveries of some promotions, by (rule_id, subscriber, decided_at)."""
    people = list({row["subscriber"] for row in promotions})
    columns = (_DELIVERIES.c[name] for name in ("rule_id", "subscriber", "decided_at", "state", "expires_at"))
    statement = select(*columns).where(_DELIVERIES.c.subscriber.in_(people))
    with store.reading() as connection:
        return {(r[0], r[1], r[2]): Delivery(r[3], r[4]) for r in connection.execute(statement)}


def definitions(store: StoreBase) -> dict[tuple[str, int], dict[str, Any]]:
    """Every version of every rule: (rule_id, version) -> its definition."""
    columns = (_VERSIONS.c.rule_id, _VERSIONS.c.version, _VERSIONS.c.definition)
    with store.reading() as connection:
        return {(r[0], r[1]): r[2] or {} for r in connection.execute(select(*columns))}
