"""From promotions that were offered to deliveries that wait: once per promotion and store, whatever run made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import polars as pl
from sqlalchemy import Select, and_, select

from callbeam_io.delivery.moments import second_of, text_of
from callbeam_io.sink import control_row, decided_key
from callbeam_io.store.deliveries import KEY, WAITING
from callbeam_io.store.filters import beyond, sorting
from callbeam_io.store.store import Store
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import json_text

_PROMOTIONS: Final = TABLES["promotions"]
_READ: Final = (*KEY, "rule_version", "offer_code", "contact_at")
_PAGE: Final = 50_000
_SCHEMA: Final = {
    **dict.fromkeys((*KEY, "state", "at", "due_at", "expires_at"), pl.String),
    "attempts": pl.Int64,
    "rule_version": pl.Int64,
    **dict.fromkeys(("offer", "zones", "quiet"), pl.String),
}


@dataclass(frozen=True)
class Terms:
    """What a delivery has to know of its rule.

    Attributes:
        name: of the rule.
        text, channel: of the offer.
        expires_after: seconds after the decision for which the offer is good.
        stored: whether the store has the rule (one of a rules file is only in that file).
    """

    name: str
    text: str = ""
    channel: str = ""
    expires_after: int = 86400
    stored: bool = True


class Queued(NamedTuple):
    """How many promotions were queued, and how many were no longer good."""

    waiting: int
    too_old: int


@dataclass(frozen=True)
class Queue:
    """Queues the promotions of one run.

    Attributes:
        store: of promotions and deliveries.
        run_id: of the run.
        terms: a rule's, by rule_id and version.
        zones: subscribers -> their time zones as `moments.free_from` reads them.
        quiet: the run's quiet hours, ``21-9``; empty: none.
    """

    store: Store
    run_id: str
    terms: Callable[[str, int], Terms]
    zones: Callable[[Sequence[str]], Sequence[str]]
    quiet: str

    def add_all(self, now: float) -> Queued:
        """Queues all promotions of the run that are still good: for a run that is done."""
        return self._add("", text_of(now), now, {})

    def add_new(self, now: float) -> Queued:
        """Queues what a live run decided since the call before; once each, also after a crash.

        What was too old when it was decided may not be counted.
        """
        decided = self.store.control(decided_key(self.run_id))
        begun = self.store.control(queued_key(self.run_id))
        if decided is None or (begun is not None and int(decided) <= int(begun)):
            return Queued(0, 0)
        mark = {"control": control_row(queued_key(self.run_id), value=int(decided))}
        after, until = text_of(int(begun)) if begun is not None else "", text_of(int(decided))
        return self._add(max(after, self._oldest_good(after, until, now)), until, now, mark)

    def _oldest_good(self, after: str, until: str, now: float) -> str:
        """Before this time no promotion is good any more: a replay of the past has very many of these."""
        columns = _PROMOTIONS.c
        new = and_(columns.run_id == self.run_id, columns.decided_at > after, columns.decided_at <= until)
        versions = select(columns.rule_id, columns.rule_version).where(new).distinct()
        with self.store.reading() as connection:
            found = connection.execute(versions).all()
        return text_of(now - max((self.terms(*version).expires_after for version in found), default=0))

    def _add(self, after: str, until: str, now: float, mark: Mapping[str, Any]) -> Queued:
        waiting = too_old = 0
        for rows in self._pages(after, until if mark else None):
            good = self._deliveries(rows, now)
            self.store.writer().write(self.run_id, {"deliveries": good})
            waiting, too_old = waiting + good.height, too_old + len(rows) - good.height
        if mark:
            self.store.writer().write("", mark)
        return Queued(waiting, too_old)

    def _pages(self, after: str, until: str | None) -> Iterator[list[dict[str, Any]]]:
        last: dict[str, Any] | None = None
        while True:
            with self.store.reading() as connection:
                found = connection.execute(self._statement(after, until, last)).mappings()
                rows = [dict(row) for row in found]
            if not rows:
                return
            yield rows
            last = rows[-1]

    def _statement(self, after: str, until: str | None, last: Mapping[str, Any] | None) -> Select[Any]:
        columns = _PROMOTIONS.c
        order = [(columns[name], False) for name in ("decided_at", "rule_id", "subscriber")]
        wanted = [columns.run_id == self.run_id, columns.outcome == "offered", columns.decided_at > after]
        wanted += [] if until is None else [columns.decided_at <= until]
        wanted += [] if last is None else [beyond(order, last)]
        found = select(*(columns[name] for name in _READ)).where(and_(*wanted))
        return found.order_by(*sorting(order)).limit(_PAGE)

    def _deliveries(self, rows: Sequence[Mapping[str, Any]], now: float) -> pl.DataFrame:
        """The rows of promotions that are still good."""
        at, made = text_of(now), []
        for row in rows:
            terms = self.terms(row["rule_id"], row["rule_version"])
            expires = second_of(row["decided_at"]) + terms.expires_after
            if expires > now:
                made.append(self._delivery(row, terms, at, text_of(expires)))
        people = list({row["subscriber"] for row in made})
        zones = dict(zip(people, self.zones(people), strict=True)) if people else {}
        frame = pl.DataFrame(made, schema=_SCHEMA)
        return frame.with_columns(zones=frame["subscriber"].replace_strict(zones, return_dtype=pl.String))

    def _delivery(self, row: Mapping[str, Any], terms: Terms, at: str, expires: str) -> dict[str, Any]:
        offer = {
            "code": row["offer_code"],
            "text": terms.text,
            "channel": terms.channel,
            "rule": terms.name,
        }
        return {
            **{name: row[name] for name in KEY},
            "state": WAITING,
            "at": at,
            "due_at": row["contact_at"],
            "expires_at": expires,
            "attempts": 0,
            "rule_version": row["rule_version"] if terms.stored else None,
            "offer": json_text(offer),
            "quiet": self.quiet,
        }


def queued_key(run_id: str) -> str:
    """The setting that says until which pane end (second) the promotions of a run were queued."""
    return f"queued/{run_id}"
