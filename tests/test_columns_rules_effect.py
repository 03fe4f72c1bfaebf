"""The effect of promotions: against plain Python over every record, published examples, an example by hand."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_strategies import BEGIN, CALLERS, CONTEXT, PANE, PANES, a_record, interactions_of
from test_columns_rules_evaluate import budget

from transforms.columns.rules.effect import Effect, Group, Reached, effect, reached_by
from transforms.columns.rules.shares import newcombe, people_needed, wilson

DAY = 86400
GOALS = [
    (),
    (("business_type", ("Bank", "School")),),
    (("tag", ("Money",)), ("call_result", ("ANSWERED",))),
    (("region", ("GB",)), ("hour", (9, 10))),
    (("business_type", ("None such",)),),
]
promotions_of_rules = st.lists(
    st.tuples(
        st.sampled_from(sorted(CALLERS)),
        st.integers(0, PANES).map(lambda k: BEGIN + k * PANE),
        st.sampled_from(["offered", "control", "capped", "no_consent", "sold_out"]),
    ),
    max_size=12,
)


def has(record, goal):
    found = {"tag": {"Bank": "Money", "Broker": "Money"}.get(record.business_type)}
    return all((found | vars(record))[name] in values for name, values in goal)


def by_hand(promotions, records, goal, since, until, span):
    """Per group, who is in it: (goals before or None, goals after); and who waits, who is forgotten."""
    first = {}
    for subscriber, at, outcome in sorted(promotions):
        if outcome in ("offered", "control"):
            first.setdefault(subscriber, (at, outcome))
    found, left_out = {"offered": [], "control": []}, Counter()
    for subscriber, (at, outcome) in first.items():
        starts = [r.start for r in records if r.caller == subscriber and has(r, goal)]
        if at < since:
            left_out["forgotten"] += 1
        elif at + span > until:
            left_out["waiting"] += 1
        else:
            before = sum(at - span <= s < at for s in starts) if at - span >= since else None
            found[outcome].append((before, sum(at <= s < at + span for s in starts)))
    return found, left_out


@budget
@given(
    promotions_of_rules,
    st.lists(a_record(0), max_size=40),
    st.sampled_from(GOALS),
    st.integers(1, 6),
    st.integers(0, 6),
    st.integers(10, PANES + 2),
)
def test_groups_equal_those_of_plain_python(promotions, records, goal, panes, since, until):
    span, since, until = panes * PANE, BEGIN + since * PANE, BEGIN + until * PANE
    found, left_out = by_hand(promotions, records, goal, since, until, span)
    subscriber, at, outcome = zip(*promotions, strict=True) if promotions else ((), (), ())
    reached = reached_by(np.array(subscriber, np.int64), np.array(at, np.int64), outcome)
    rows = interactions_of(records)
    parts = [rows.take(np.arange(len(rows)) % 2 == k) for k in (0, 1)]
    result = effect(reached, parts, goal, CONTEXT.words, since=since, until=until, span=span)
    assert (result.waiting, result.forgotten) == (left_out["waiting"], left_out["forgotten"])
    for name, people in found.items():
        group, before = getattr(result, name), [b for b, _ in people if b is not None]
        assert group.people == len(people) and group.people_before == len(before)
        assert group.reached_after == sum(a > 0 for _, a in people)
        assert group.reached_before == sum(b > 0 for b in before)
        assert group.mean_after == (
            pytest.approx(sum(a for _, a in people) / len(people)) if people else None
        )
        assert group.mean_before == (pytest.approx(sum(before) / len(before)) if before else None)
    assert json.loads(json.dumps(result.to_json()))["sentence"] == result.sentence()


def test_an_example_by_hand():
    """1,000 offered of whom 42 call a bank afterwards, 1,000 for control of whom 11 do, half of them twice."""
    people = np.arange(1, 2001, dtype=np.int64)
    reached = Reached(people, np.full(2000, BEGIN + 20 * DAY), people <= 1000)
    records = [*range(1, 43), *range(1001, 1012), *range(1001, 1006)]
    rows = interactions_of(
        [call(who, BEGIN + 20 * DAY) for who in records]
    )  # at the very moment: it is after
    late = interactions_of([call(50, BEGIN + 34 * DAY), call(51, BEGIN + 20 * DAY - 1)])
    found = effect(
        reached,
        [rows, late],
        (("business_type", ("Bank",)),),
        CONTEXT.words,
        since=BEGIN,
        until=BEGIN + 34 * DAY,
    )
    assert found.sentence() == "offered 4.2 %, control 1.1 %: +3.1 points, 1.7 to 4.6"
    assert found.offered == Group(1000, 42, 0.042, 1000, 1, 0.001)
    assert found.control == Group(1000, 11, 0.016, 1000, 0, 0.0)
    assert (found.waiting, found.forgotten) == (0, 0)


def call(caller, start):
    from rules_oracle import Record

    return Record(caller, start, 1, "Bank", "US", "VOICE", "BUSY", 9, 0, 0, 0)


def of_groups(offered, control):
    """The effect of two groups, (people, of whom have the goal) each."""
    sizes = (offered[0], control[0])
    people = np.arange(sum(sizes), dtype=np.int64)
    hits = [*range(offered[1]), *range(sizes[0], sizes[0] + control[1])]
    reached = Reached(people, np.full(len(people), BEGIN), people < sizes[0])
    rows = interactions_of([call(who, BEGIN) for who in hits])
    return effect(reached, [rows], (), CONTEXT.words, since=BEGIN, until=BEGIN + 14 * DAY)


@pytest.mark.parametrize(
    ("offered", "control", "few"),
    [
        ((0, 0), (0, 0), True),
        ((500, 20), (0, 0), True),
        ((500, 400), (9, 5), True),  # a group of less than ten
        ((500, 250), (10, 5), False),
        ((90, 2), (90, 2), True),  # two with the goal are expected in a group, which should be hundreds
        ((90, 88), (90, 88), True),
        ((90, 6), (90, 6), False),
        ((5000, 1), (5000, 0), False),  # rare, but enough people to see two points
        ((400, 0), (300, 0), True),
    ],
)
def test_too_few(offered, control, few):
    found = of_groups(offered, control)
    assert (found.more is not None) == few
    assert ("too few: about " in found.sentence()) == few
    if few:
        assert found.more > 0
    else:
        assert found.low <= found.difference <= found.high


def test_as_many_more_as_are_said_are_enough():
    found = of_groups((400, 0), (300, 0))
    assert found.more == sum(people_needed(0, 0.02, 400 / 300)) - 700
    assert of_groups((550, 0), (420, 0)).more is None


def test_a_sentence_without_a_group():
    assert Effect(Group(), Group(), 3, 0, more=1234).sentence() == (
        "offered nobody, control nobody: too few: about 1,234 more needed"
    )


@pytest.mark.parametrize(
    ("found", "people", "other_found", "other_people", "low", "high"),
    [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (10, 10, 0, 10, 0.6075, 1.0)],
)
def test_newcombe_as_published(found, people, other_found, other_people, low, high):
    assert newcombe(found, people, other_found, other_people) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_an_interval_holds_its_difference(people, other, data):
    found, other_found = (data.draw(st.integers(0, n)) for n in (people, other))
    low, high = newcombe(found, people, other_found, other)
    assert -1 <= low <= found / people - other_found / other <= high <= 1
    assert newcombe(other_found, other, found, people) == pytest.approx((-high, -low))
    for k, n in ((found, people), (other_found, other)):
        below, above = wilson(k, n)
        z2 = 1.959963984540054**2
        for edge in (below, above):  # where the score statistic is at its critical value
            assert n * (k / n - edge) ** 2 == pytest.approx(z2 * edge * (1 - edge), abs=1e-9)


def test_people_needed_as_in_tables():
    assert people_needed(0.1, 0.1) == (199, 199)
    assert people_needed(0.6, 0.1) == (356, 356)
    assert people_needed(0.95, 0.1) == people_needed(0.85, 0.1)[::-1]  # no room upwards


def test_people_needed_find_the_difference_four_times_of_five():
    first, other = people_needed(0.1, 0.1, 2.0)
    rng, seen = np.random.default_rng(1), 0
    for a, b in zip(rng.binomial(first, 0.1, 2000), rng.binomial(other, 0.2, 2000), strict=True):
        low, high = newcombe(int(b), other, int(a), first)
        seen += low > 0 or high < 0
    assert 0.77 <= seen / 2000 <= 0.85
