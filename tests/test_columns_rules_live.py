"""Rules in a stream: history, late records and saved state against the brute-force oracle."""

from __future__ import annotations

import pytest
import rules_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st
from rules_oracle import Activation, Record
from rules_strategies import BEGIN, CONTEXT, PANE, TYPES, WORLD, interactions_of, worlds
from test_columns_rules_evaluate import active, budget, rows

from transforms.columns.rules import history as histories
from transforms.columns.rules.counters import Counters
from transforms.columns.rules.firings import gather
from transforms.columns.rules.history import History, history_from_arrow
from transforms.columns.rules.live import decide_live
from transforms.columns.rules.memory import Memory

LONGEST = 6 * 3600


def stream(activations, records, calls, dropping=False, saving=False, keeping=True):
    rules, memory, history, parts = active(activations), Memory(), History(decided=calls[0]), []
    counters = Counters()
    for number, upto in enumerate(calls[1:]):
        arrived = [r for r in records if r.arrival == number]
        for part in (arrived[::2], arrived[1::2]):
            history = history.append(interactions_of(part))
        if saving:
            history = history_from_arrow(history.to_arrow())
        fired, history, memory = decide_live(
            rules,
            history,
            CONTEXT,
            upto=upto,
            pane=PANE,
            memory=memory,
            counters=counters if keeping else None,
        )
        if dropping:
            history = history.drop_before(upto - LONGEST, lambda codes, starts: starts % 24, len(TYPES))
        parts.append(fired)
    return rows(gather(parts))


@budget
@given(worlds(late=True), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0, 2, 2048]))
def test_a_stream_equals_the_oracle(world, dropping, saving, keeping, small):
    activations, records, calls = world
    before, histories._SMALL = histories._SMALL, small
    try:
        found = stream(activations, records, calls, dropping, saving, keeping)
    finally:
        histories._SMALL = before
    assert found == oracle.firings(WORLD, activations, records, calls)


@pytest.mark.parametrize("repeat", ["never", "on_reentry", "always"])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_who_is_left_out_at_the_start_fires_once_they_have_come_back(repeat: str, step: int) -> None:
    """The condition stops holding as an interaction leaves its window, and holds again twenty panes later."""
    condition = {"field": "interactions", "operator": ">=", "value": 1, "window": "1h"}
    rule = {"name": "Rule", "start": "entering", "offer": {"code": "X"}}
    rule |= {"when": {"combinator": "and", "rules": [condition]}}
    rule |= {"limits": {"repeat": repeat, "cooldown": "1h"}}
    on = [Activation(rule, 1, BEGIN + 4 * PANE)]
    calls = [BEGIN + k * PANE for k in range(0, 41, step)]
    records = [
        Record(100, start, 1, "Bank", "US", "VOICE", "ANSWERED", 9, 1, 30, 0, (start - BEGIN) // PANE // step)
        for start in (BEGIN + 10, BEGIN + 20 * PANE + 10)
    ]
    found = stream(on, records, calls)
    assert found == oracle.firings(WORLD, on, records, calls)
    assert bool(found) == (repeat != "never")
