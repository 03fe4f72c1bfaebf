"""The parts of the rules one by one: sets of spans, interactions, history, why, and what a rule would have done."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_oracle import Record
from rules_strategies import BEGIN, CONTEXT, TYPES, a_record, interactions_of

from transforms.columns.rules import interactions as inter
from transforms.columns.rules import spans as sp
from transforms.columns.rules.block import block, tidy
from transforms.columns.rules.explain import explain, holds
from transforms.columns.rules.history import History
from transforms.columns.rules.memory import Memory, RuleMemory, memory_from_arrow
from transforms.columns.rules.people import older_from_arrow
from transforms.columns.rules.plan import number_ranges
from transforms.columns.rules.promotions import SCHEMA
from transforms.columns.rules.summary import summarise
from transforms.rules.language import OPERATORS, Condition
from transforms.rules.parse import parse_rule

SIZE = 30
SETS = st.sets(st.integers(0, SIZE - 1))


def spans_of(numbers):
    points = np.array(sorted(numbers), np.int64)
    return sp.merged(points, points + 1)


def numbers_of(spans):
    assert (spans.start < spans.end).all()
    assert (spans.start[1:] > spans.end[:-1]).all()
    return {n for a, b in zip(spans.start.tolist(), spans.end.tolist(), strict=True) for n in range(a, b)}


@settings(max_examples=80, deadline=None)
@given(SETS, SETS, SETS)
def test_spans_are_sets(a, b, c):
    x, y, z = spans_of(a), spans_of(b), spans_of(c)
    assert numbers_of(x) == a
    assert numbers_of(sp.complement(x, SIZE)) == set(range(SIZE)) - a
    assert numbers_of(sp.intersect(x, y)) == a & b
    assert numbers_of(sp.unite([x, y, z])) == a | b | c
    assert numbers_of(sp.everything(SIZE)) == set(range(SIZE))


VALUES = st.integers(-2, 6) | st.sampled_from([0.5, 2.5, 1.000001])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(OPERATORS), VALUES, VALUES)
def test_ranges_are_the_numbers_that_hold(operator, first, second):
    value = {"between": tuple(sorted((first, second)))}.get(operator, first)
    value = (first, second) if operator in ("in", "notIn") else value
    condition = Condition("calls", operator, value, 3600)
    for scale in (1, 2):
        ranges = number_ranges(condition, scale)
        for n in range(20):
            inside = sum(low <= n and (high is None or n <= high) for low, high in ranges)
            assert inside == condition.holds(n / scale)


RECORDS = st.lists(a_record(0), max_size=20)


def rows_of(interactions):
    return sorted(
        zip(*(getattr(interactions, f).tolist() for f in inter.Interactions.__annotations__), strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(RECORDS, RECORDS, st.integers(0, 30))
def test_interactions(first, second, pane):
    a, b = interactions_of(first), interactions_of(second)
    both = a.append(b)
    assert rows_of(both) == rows_of(interactions_of(first + second))
    assert rows_of(inter.from_arrow(both.to_arrow())) == rows_of(both)
    edge = BEGIN + pane * 600
    assert rows_of(both.drop_before(edge)) == rows_of(
        interactions_of([r for r in first + second if r.start >= edge])
    )
    ordered = both.by_caller()
    assert rows_of(ordered) == rows_of(both)
    pairs = list(zip(ordered.caller.tolist(), ordered.start.tolist(), strict=True))
    assert pairs == sorted(pairs)


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=5), st.integers(0, 30), st.integers(0, 30))
def test_blocks_find_by_caller_and_by_time(parts, first, end):
    blocks = tidy(tuple(block([interactions_of(part)]) for part in parts), 4)
    everything = [r for part in parts for r in part]
    codes = np.array([100, 300])
    first, end = (BEGIN + 600 * k for k in sorted((first, end)))

    def joined(found):
        return rows_of(inter.concat(list(found)))

    mine = [r for r in everything if r.caller in (100, 300)]
    assert joined(b.of(codes) for b in blocks) == rows_of(interactions_of(mine))
    assert joined(b.of(codes, first) for b in blocks) == rows_of(
        interactions_of([r for r in mine if r.start >= first])
    )
    between = [r for r in everything if first <= r.start < end]
    assert joined(b.starting(first, end) for b in blocks) == rows_of(interactions_of(between))


@settings(max_examples=30, deadline=None)
@given(RECORDS, st.integers(0, 31))
def test_dropped_interactions_become_counts(records, pane):
    edge = BEGIN + pane * 600
    history = History().append(interactions_of(records)).after(BEGIN + 10**6)
    dropped = history.drop_before(edge, lambda codes, seconds: (seconds % 24).astype(np.uint8), len(TYPES))
    old = [r for r in records if r.start < edge]
    assert len(dropped) == len(records) - len(old)
    assert dropped.people.codes.tolist() == sorted({r.caller for r in records})
    older = dropped.people.older
    if not old:
        assert older is None
        return
    older = older_from_arrow(older.to_arrow())
    for name, read in (
        ("hours", lambda r: r.hour),
        ("weekdays", lambda r: r.weekday),
        ("zone_hours", lambda r: r.start % 24),
    ):
        for code in (100, 200, 300):
            row = older.counts(name, np.array([code]))[0]
            assert row.tolist() == [
                sum(r.caller == code and read(r) == k for r in old) for k in range(len(row))
            ]


def test_memory_as_arrow():
    one = RuleMemory().begin((2, None), np.array([7])).after(np.array([5, 5, 9]), np.array([10, 20, 20]))
    memory = Memory({"a": one, "b": RuleMemory()})
    back = memory_from_arrow(memory.to_arrow())
    assert back.of("a").begun == (2, None)
    assert back.of("b").begun is None
    assert back.of("a").codes.tolist() == [5, 7, 9]
    assert back.of("a").last[[0, 2]].tolist() == [20, 20]
    assert back.of("a").count.tolist() == [2, 0, 1]
    assert back.of("a").barred.tolist() == [False, True, False]


def test_why():
    records = [
        Record(100, BEGIN + k, 1, "Bank", "GB", "VOICE", "ANSWERED", 9, 0, 60, 250_000) for k in (0, 10, 700)
    ]
    rule = parse_rule(
        {
            "name": "x",
            "when": {
                "combinator": "and",
                "rules": [
                    {"field": "calls", "operator": ">=", "value": 2, "window": "10m"},
                    {
                        "combinator": "or",
                        "rules": [
                            {"field": "charge", "operator": ">", "value": 1, "window": "1h"},
                            {"field": "tag", "operator": "=", "value": "Money", "window": "all"},
                        ],
                    },
                    {"field": "subscriber_region", "operator": "=", "value": "US"},
                ],
            },
            "offer": {"code": "X"},
        }
    )
    found = explain(rule, 100, interactions_of(records), BEGIN + 600, CONTEXT)
    assert [(c.path, c.value, c.operator, c.threshold, c.held) for c in found] == [
        ("when.rules[0]", 2, ">=", 2, True),
        ("when.rules[1].rules[0]", 0.5, ">", 1, False),
        ("when.rules[1].rules[1]", "Money", "=", "Money", True),
        ("when.rules[2]", "US", "=", "US", True),
    ]
    assert found[0].sentence == "at least 2 calls in the last 10 minutes to any type"
    assert holds(rule.when, {c.path: c.held for c in found})
    unknown = explain(rule, 200, interactions_of(records), BEGIN + 600, CONTEXT)
    assert [c.value for c in unknown] == [0, 0.0, None, "GB"]


def promotion_rows(rows):
    columns = ("rule_id", "subscriber", "decided_at", "outcome")
    filled = [
        {
            **dict(zip(columns, row, strict=True)),
            "rule_version": 1,
            "offer_code": "X",
            "features": '{"when.rules[0]": 3}',
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=SCHEMA)


def test_what_a_rule_would_have_done():
    day = 86_400_000_000
    rows = promotion_rows(
        [("a", f"+{k % 30}", k * day // 10, "offered" if k % 2 else "control") for k in range(40)]
    )
    others = promotion_rows(
        [
            ("b", "+1", 0, "offered"),
            ("b", "+1", day, "capped"),
            ("b", "+99", 0, "offered"),
            ("c", "+2", 0, "offered"),
        ]
    )
    found = summarise(rows, others)
    assert (found.subscribers, found.firings) == (30, 40)
    assert found.by_outcome == {"no_consent": 0, "capped": 0, "control": 20, "sold_out": 0, "offered": 20}
    assert list(found.per_day.items())[:2] == [("1970-01-01", 10), ("1970-01-02", 10)]
    assert found.overlap == {"b": 1, "c": 1}
    assert len(found.examples) == 20
    assert found.examples[0]["features"] == json.loads('{"when.rules[0]": 3}')
    assert found.examples[0]["decided_at"] < found.examples[-1]["decided_at"]


@pytest.mark.parametrize("rows", [[], [("a", "+1", 0, "capped")]])
def test_little_to_sum_up(rows):
    found = summarise(promotion_rows(rows))
    assert found.firings == found.subscribers == len(found.examples) == len(rows)
    assert found.overlap == {}
