"""What the web app reads about what rules did: their promotions by day, and since a moment."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import func, select

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
