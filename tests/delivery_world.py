"""Promotions, consents and a clock that can be set: what the tests of deliveries share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.queue import Queue, Terms
from callbeam_io.store import Store

T0 = 1_772_445_600  # Monday, 2 March 2026, 10:00 UTC
DAY = 86400
ALWAYS = "1970-01-01 00:00:00"


def number(i: int) -> str:
    return f"+49301000{i:04d}"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def promotion(
    i: int, decided: int = T0 - 60, outcome: str = "offered", due: int | None = None
) -> dict[str, Any]:
    """A promotion of the i-th subscriber."""
    return {
        "rule_id": "bank-shopper",
        "subscriber": number(i),
        "decided_at": text_of(decided),
        "rule_version": 1,
        "offer_code": "BANK5",
        "outcome": outcome,
        "features": "{}",
        "contact_at": text_of(decided if due is None else due),
    }


def run_with(store: Store, *promotions: dict[str, Any], mode: str = "batch", **options: Any) -> str:
    """A run with these promotions, a rule, and the consent of everybody in them."""
    run_id = store.start_run(mode=mode, runner="DirectRunner", options=options)
    definition = {"name": "Bank shopper", "offer": {"code": "BANK5", "text": "=5 off", "channel": "sms"}}
    rule = {"rule_id": "bank-shopper", "name": "Bank shopper", "enabled": True, "priority": 1, "version": 1}
    rule |= {
        "definition": json.dumps(definition),
        "created_at": ALWAYS,
        "created_by": "x",
        "sentence": "Offer BANK5.",
    }
    people = sorted({p["subscriber"] for p in promotions})
    tables = {"rules": pl.DataFrame([rule]), "rule_versions": pl.DataFrame([rule])}
    if promotions:
        tables["promotions"] = pl.DataFrame(promotions)
        tables["consent"] = pl.DataFrame(
            [{"subscriber": p, "at": ALWAYS, "opted_in": True, "source": "list"} for p in people]
        )
    store.writer().write(run_id, tables)
    return run_id


def queue(store: Store, run_id: str, *, zone: str = "UTC", quiet: str = "21-9", good: int = DAY) -> Queue:
    """The queue of a run whose rule has one offer."""

    def zones(people: Sequence[str]) -> list[str]:
        return [zone] * len(people)

    return Queue(store, run_id, lambda *_: Terms("Bank shopper", "=5 off", "sms", good), zones, quiet)


def states(store: Store) -> dict[str, str]:
    """The state of each subscriber's delivery."""
    return {row["subscriber"]: row["state"] for row in store.rows("deliveries")}


def delivery(store: Store, i: int) -> dict[str, Any]:
    """The delivery of the i-th subscriber."""
    return store.rows("deliveries", where={"subscriber": number(i)})[0]


def say(store: Store, i: int, opted_in: bool, at: int = T0) -> None:
    """A consent or its withdrawal, written by a program, not by a page."""
    row = {"subscriber": number(i), "at": text_of(at), "opted_in": opted_in, "source": "form"}
    store.writer().write("", {"consent": pl.DataFrame([row])})


def suppress(store: Store, i: int, at: int = T0) -> None:
    """A suppression, written by a program."""
    row = {"subscriber": number(i), "at": text_of(at), "reason": "asked"}
    store.writer().write("", {"suppressed": pl.DataFrame([row])})
