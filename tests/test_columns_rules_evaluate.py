"""The evaluator against the brute-force oracle.

More examples: HYPOTHESIS_RULES=2000 python -m pytest tests/test_columns_rules_*
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from itertools import pairwise

import numpy as np
import rules_oracle as oracle
from hypothesis import given, settings
from rules_strategies import CONTEXT, PANE, WORLD, interactions_of, worlds

from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.firings import gather
from transforms.columns.rules.memory import Memory, memory_from_arrow
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule

EXAMPLES = int(os.environ.get("HYPOTHESIS_RULES", "60"))
budget = settings(max_examples=EXAMPLES, deadline=None)


def active(activations):
    return [ActiveRule(parse_rule(a.rule), a.version, a.active_from, a.active_to) for a in activations]


def rows(firings):
    """As the oracle writes them."""
    values = [json.loads(text, parse_float=Decimal) for text in firings.features.to_pylist()]
    return list(
        zip(
            firings.rule.tolist(),
            firings.subscriber.tolist(),
            firings.decided_at.tolist(),
            values,
            strict=True,
        )
    )


def run(activations, records, calls, late=False):
    """One evaluator call per span of ``calls``."""
    rules, memory, parts = active(activations), Memory(), []
    for number, (after, upto) in enumerate(pairwise(calls)):
        seen = [r for r in records if r.arrival <= number]
        flags = (
            np.array([r.arrival == number and r.start < after for r in seen], bool)
            if late and number
            else None
        )
        firings, memory = evaluate(
            rules,
            interactions_of(seen),
            CONTEXT,
            after=after,
            upto=upto,
            pane=PANE,
            memory=memory,
            late=flags,
        )
        memory = memory_from_arrow(memory.to_arrow())
        parts.append(firings)
    return rows(gather(parts))


@budget
@given(worlds())
def test_one_call_and_many_equal_the_oracle(world):
    activations, records, calls = world
    expected = oracle.firings(WORLD, activations, records, [calls[0], calls[-1]])
    assert run(activations, records, [calls[0], calls[-1]]) == expected
    assert run(activations, records, calls) == expected


@budget
@given(worlds(late=True))
def test_late_records_count_from_the_next_pane_end_on(world):
    activations, records, calls = world
    assert run(activations, records, calls, late=True) == oracle.firings(WORLD, activations, records, calls)
