"""Deliveries before the gate: what it says of each, and what is written down of those that do not pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from callbeam_io.delivery.facts import facts_of
from callbeam_io.delivery.gate import EXPIRED, LATER, WITHDRAWN, Verdict, judge
from callbeam_io.delivery.moments import text_of
from callbeam_io.store.deliveries import WAITING, Key, change_all, key_of

Row = dict[str, Any]
Judged = tuple[Row, Verdict]


def judged(connection: Connection, rows: Sequence[Row], now: float) -> list[Judged]:
    """Waiting deliveries with what the gate says of each at this moment."""
    facts = facts_of(connection, rows, now)
    return [(row, judge(row, facts, now)) for row in rows]


def turn_back(connection: Connection, refused: Iterable[Judged], now: float) -> None:
    """Writes down what becomes of those that do not pass: withdrawn, expired, or due later."""
    groups: dict[tuple[tuple[str, str | None], ...], list[Key]] = {}
    for row, verdict in refused:
        values = _values(verdict, now)
        if values:
            groups.setdefault(tuple(values.items()), []).append(key_of(row))
    for values_of, keys in groups.items():
        change_all(connection, keys, WAITING, **dict(values_of))


def _values(verdict: Verdict, now: float) -> dict[str, str | None]:
    if verdict.state == LATER:
        return {"due_at": text_of(verdict.at)}
    if verdict.state in (WITHDRAWN, EXPIRED):
        return {"state": verdict.state, "at": text_of(now), "next_at": None, "detail": verdict.why}
    return {}
