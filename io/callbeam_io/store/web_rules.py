"""What the web app reads about what rules did: their promotions by day, and since a moment."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
from sqlalchemy import ColumnElement, Table, func, literal, select

from callbeam_io.store import arrow
from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES

_PROMOTIONS: Final = TABLES["promotions"]
_DAY: Final = 10
"""Letters of a time down to its day."""


def outcomes_of_all(store: StoreBase, run_id: str) -> dict[str, dict[str, int]]:
    """Of every rule its promotions in a run by outcome: rule_id -> outcome -> how many."""
    columns = (_PROMOTIONS.c.rule_id, _PROMOTIONS.c.outcome)
    of_run = _PROMOTIONS.c.run_id.concat("") == run_id  # by no index: it would be four times as slow
    counted = select(*columns, func.count()).where(of_run).group_by(*columns)
    found: dict[str, dict[str, int]] = {}
    with store.reading() as connection:
        for rule_id, outcome, count in connection.execute(counted):
            found.setdefault(rule_id, {})[outcome] = count
    return found


def count_fired(store: StoreBase, rule_id: str, run_id: str | None) -> int:
    """How many rows `fired` gives."""
    table, wanted = _fired(rule_id, run_id)
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0


def fired(store: StoreBase, rule_id: str, run_id: str | None) -> pa.Table:
    """Subscriber, moment and outcome of a rule's promotions in a run; without a run of its deliveries."""
    table, wanted = _fired(rule_id, run_id)
    outcome = literal("offered") if run_id is None else _PROMOTIONS.c.outcome
    statement = select(table.c.subscriber, table.c.decided_at, outcome).where(*wanted)
    with store.reading() as connection:
        return arrow.read(connection, _PROMOTIONS, statement, ("subscriber", "decided_at", "outcome"))


def _fired(rule_id: str, run_id: str | None) -> tuple[Table, list[ColumnElement[bool]]]:
    table = TABLES["deliveries"] if run_id is None else _PROMOTIONS
    return table, [table.c.rule_id == rule_id, *(() if run_id is None else (table.c.run_id == run_id,))]


def outcomes_since(store: StoreBase, run_id: str, rule_id: str, after: str) -> dict[str, int]:
    """Promotions of a rule in a run that were decided after a moment, by outcome."""
    of_rule = (_PROMOTIONS.c.run_id == run_id, _PROMOTIONS.c.rule_id.concat("") == rule_id)  # found by time
    counted = (
        select(_PROMOTIONS.c.outcome, func.count())
        .where(*of_rule, _PROMOTIONS.c.decided_at > after)
        .group_by(_PROMOTIONS.c.outcome)
    )
    with store.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def outcomes_by_day(store: StoreBase, run_id: str, rule_id: str) -> list[dict[str, Any]]:
    """The days (UTC) on which a rule had promotions in a run, the oldest first: day, outcome, count."""
    of_rule = (_PROMOTIONS.c.run_id == run_id, _PROMOTIONS.c.rule_id == rule_id)
    day = func.substr(_PROMOTIONS.c.decided_at, 1, _DAY)
    counted = (
        select(day.label("day"), _PROMOTIONS.c.outcome, func.count().label("count"))
        .where(*of_rule)
        .group_by(day, _PROMOTIONS.c.outcome)
        .order_by(day, _PROMOTIONS.c.outcome)
    )
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(counted).mappings()]
