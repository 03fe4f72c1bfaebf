"""Rules where the engine keeps the state: whatever is lost and built again, the promotions are the same."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_stream import FORGET, OUT, ByHand
from record_sets import BEGIN, CALLED, CALLERS, DAY, One, records_of, small_reference

from transforms.columns.analysis import Plan
from transforms.columns.decisions import RuleBook, RuleSettings, decide_batch
from transforms.columns.live import LivePlan, LiveShard
from transforms.columns.live_tables import Decisions
from transforms.columns.records import concat
from transforms.columns.rules.outcomes import Cap, Consent
from transforms.columns.rules.promotions import apply_max_total
from transforms.columns.windows import Window
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule
from transforms.schema import TEMPLATES

HOUR = 3600
SETTINGS = RuleSettings(pane=HOUR, cap=Cap(3, DAY))
HALF_WAY = BEGIN + 10 * HOUR


def rule(name: str, field_name: str, least: int, window: str, repeat: str, **more: Any) -> Any:
    condition = {"field": field_name, "operator": ">=", "value": least, "window": window}
    limits = {"repeat": repeat, **more.pop("limits", {})}
    when = {"combinator": "and", "rules": [condition]}
    return parse_rule({"name": name, "when": when, "offer": {"code": "X"}, "limits": limits, **more})


RULES = (
    ActiveRule(rule("Once", "interactions", 3, "6h", "never")),
    ActiveRule(rule("Again", "interactions", 2, "3h", "on_reentry"), 1, None, HALF_WAY),
    ActiveRule(rule("Again", "interactions", 1, "3h", "on_reentry", start="entering"), 2, HALF_WAY),
    ActiveRule(
        rule("Always", "calls", 1, "4h", "always", limits={"cooldown": "2h", "max_total": 4}, priority=1)
    ),
    ActiveRule(rule("Entering", "interactions", 2, "8h", "never", start="entering"), 1, HALF_WAY),
    ActiveRule(
        rule("Often", "calls", 1, "3h", "always", start="entering", limits={"cooldown": "1h"}), 1, HALF_WAY
    ),
)
BOOK = RuleBook(RULES, Consent(default=True))


@dataclass(frozen=True)
class Told:
    """Rules as workers hear of them: leave to decide comes late, and switched on rules even later."""

    behind: int = 0
    asked: list[int] = field(default_factory=list, compare=False)

    def book(self) -> RuleBook:
        until = BEGIN + len(self.asked) * 2 * HOUR - self.behind * HOUR
        self.asked.append(until)
        known = tuple(r for r in RULES if r.active_from is None or r.active_from <= until)
        return RuleBook(known, BOOK.consent, until)

    def last_book(self) -> RuleBook:
        return BOOK

    def decided(self) -> tuple[int | None, dict[str, int], None]:
        return None, {}, None


def stream_of(seed: int, forget_at: set[int], late: int = 0, **how: Any) -> tuple[ByHand, list[One]]:
    """A day of batches, each followed by a tick, whose records come up to ``late`` hours late; the process may
    lose what it knows."""
    rng, hand, records = random.Random(seed), ByHand(Window(), lateness=DAY, rules=SETTINGS, **how), []
    for step in range(12):
        batch = [
            One(
                caller=rng.choice(CALLERS),
                called=rng.choice(CALLED),
                second=BEGIN + step * 2 * HOUR + rng.randrange(-late * HOUR, 2 * HOUR),
                id=f"{step}-{k}",
            )
            for k in range(4)
        ]
        records += batch
        hand.read(*sorted(batch, key=lambda one: one.second))
        hand.tick(**{FORGET: step in forget_at})
    hand.end()
    return hand, records


def rows(tables: list[pa.Table | None]) -> list[dict[str, Any]]:
    found = [row for table in tables if table is not None for row in table.to_pylist()]
    return sorted(found, key=lambda r: (r["decided_at"], r["subscriber"], r["rule_id"]))


def promotions(hand: ByHand, run_id: str) -> list[dict[str, Any]]:
    OUT.pop(run_id, None)
    hand.run(run_id, durable=True)
    return rows([p.tables.get("promotions") for p in OUT.pop(run_id, [])])


def of_batch(records: list[One]) -> list[dict[str, Any]]:
    last = max(one.second for one in records)
    table = decide_batch(records_of(records), last, BOOK, SETTINGS, small_reference().types)
    return rows([apply_max_total(table, BOOK.limits, {})[0]])


@pytest.mark.parametrize(("forget_at", "compact_after"), [({1, 5, 7}, 2), (set(range(12)), 200)])
def test_batch_and_a_state_that_is_lost(
    monkeypatch: pytest.MonkeyPatch, forget_at: set[int], compact_after: int
) -> None:
    monkeypatch.setattr("transforms.durable._COMPACT_AFTER", compact_after)
    monkeypatch.setattr("transforms.live_collect._COMPACT_AFTER", compact_after)
    hand, records = stream_of(5, forget_at, rulings=Told(behind=3))
    expected = of_batch(records)
    assert promotions(hand, "lost") == expected
    assert {r["rule_id"] for r in expected} == {"once", "again", "always", "entering", "often"}
    assert {r["outcome"] for r in expected} == {"offered", "capped", "sold_out"}
    assert {r["rule_version"] for r in expected if r["rule_id"] == "again"} == {1, 2}


@pytest.mark.parametrize("compact_after", [5, 200])
def test_late_records_are_not_decided_again(monkeypatch: pytest.MonkeyPatch, compact_after: int) -> None:
    """What was decided without them stays so, though all records are there when the state is built again."""
    monkeypatch.setattr("transforms.durable._COMPACT_AFTER", compact_after)
    kept, _ = stream_of(6, set(), late=9, rulings=Told())
    lossy, records = stream_of(6, {2, 3, 6, 9}, late=9, rulings=Told())
    found = promotions(kept, "kept")
    assert promotions(lossy, "lossy") == found != of_batch(records)


def live_shard() -> LiveShard:
    plan = Plan(TEMPLATES, Window())
    return LiveShard(LivePlan(plan, Window(), DAY, 30 * DAY, SETTINGS), small_reference())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 9)))
def test_late_records_keep_their_mark_through_a_snapshot(seed: int, cuts: set[int]) -> None:
    """Saved between their arrival and the next decision, they count from later pane ends on all the same."""
    rng, whole, cut, saved, log = random.Random(seed), live_shard(), live_shard(), [], []
    for step in range(10):
        batch = records_of(
            [
                One(
                    caller=rng.choice(CALLERS),
                    second=BEGIN + step * 2 * HOUR + rng.randrange(-9, 2) * HOUR,
                    id=f"{step}-{k}",
                )
                for k in range(3)
            ]
        )
        found = []
        for shard in (whole, cut):
            shard.add(batch, {})
            if step % 2:
                shard.heard("", BEGIN + step * 2 * HOUR, idle=False, splits=1)
                found.append(rows([shard.decide(BOOK)]))
        assert found[:1] == found[1:]
        log.append(batch)
        saved.append(cut.delta())
        if step in cuts:
            header, tables = (dict(cut.counts), cut.floor), saved[-1]
            rules = {n: t for n, t in tables.items() if n.startswith("rule_")}
            cut = live_shard()
            callers = [t["callers"] for t in saved]
            cut.restore(callers, tables.get("cells"), concat(log[::-1]), *header, rules)
    assert whole.decider is not None and cut.decider is not None
    assert whole.decider.without == cut.decider.without


def test_a_restart_takes_the_word_of_the_store() -> None:
    """What is in the store is neither written again nor counted twice."""
    table = decide_batch(
        records_of(stream_of(5, set())[1]), BEGIN + DAY, BOOK, SETTINGS, small_reference().types
    )
    assert table is not None
    one, other = Decisions(1, limits=BOOK.limits), Decisions(1, limits=BOOK.limits)
    one.put(0, BEGIN + DAY, table)
    first = one.take()
    assert first is not None
    until = BEGIN + 3 * HOUR
    edge = datetime.fromtimestamp(until, UTC).replace(tzinfo=None)
    before = [r for r in first.to_pylist() if r["decided_at"] <= edge]
    after = [r for r in first.to_pylist() if r["decided_at"] > edge]
    assert before and any(r["outcome"] == "sold_out" for r in after)
    offered = Counter(r["rule_id"] for r in before if r["outcome"] == "offered")
    other.put(0, BEGIN + HOUR, None)
    other.catch_up(until, offered)
    other.put(0, BEGIN + DAY, table)
    assert rows([other.take()]) == rows([pa.Table.from_pylist(after, first.schema)])
