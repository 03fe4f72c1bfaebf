"""Who fires when: all rules over all pane ends of a span of time, in one columnar pass.

A batch run is one call over everything; a stream is many calls with adjoining spans, whose firings together are
those of the one call. Every pane end counts as looked at, though only the changes are worked out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, ceil_div
from transforms.columns.rules.firing import entries, pick
from transforms.columns.rules.firings import Firings, gather
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import Memory, RuleMemory
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Leaf, leaf
from transforms.columns.rules.spans import Spans, merged
from transforms.columns.rules.table import Table, build
from transforms.columns.rules.tree import node_spans
from transforms.columns.rules.values import features
from transforms.rules.check import check_pane
from transforms.rules.language import ActiveRule, conditions

_EVER = -(1 << 62)


class Turn(NamedTuple):
    """What one call decides of one activation: pane ends ``low`` to ``high``, numbers of panes since 1970.

    Attributes:
        look: pane end from which on the condition is evaluated: the one before ``low`` where it matters.
        begins: whether the activation begins at ``low``.
    """

    position: int
    active: ActiveRule
    low: int
    high: int
    look: int
    begins: bool


def evaluate(
    rules: Sequence[ActiveRule],
    interactions: Interactions,
    context: Context,
    *,
    after: int,
    upto: int,
    pane: int,
    memory: Memory,
    late: Bools | None = None,
) -> tuple[Firings, Memory]:
    """The firings at all pane ends t with ``after < t <= upto``.

    Args:
        rules: activations; those of one rule_id must not overlap.
        interactions: all that have arrived of these subscribers, as far back as the longest window before
            ``after``, in any order. Those after ``upto`` are left out.
        context: types, regions and, where interactions have been dropped, the people seen.
        after, upto: seconds; pane ends up to ``after`` are decided already. ``after`` may be long before the
            first record.
        pane: length of a pane in seconds; every window has to be a multiple of it.
        memory: from the call that ended at ``after``; empty at first.
        late: which interactions arrived after pane ends that they would have counted at were decided, since the
            call that ended at ``after``. They count at later pane ends only.

    Returns:
        The firings and the memory for the next call.

    Raises:
        RuleProblem: for a window that is no multiple of the pane.
    """
    turns = _turns(rules, memory, after // pane, upto // pane, pane)
    if not turns:
        return gather([]), memory
    leaves = [_leaves(turn.active, context, pane) for turn in turns]
    widest = max(leaf.panes or 0 for of_rule in leaves for leaf in of_rule.values())
    look = min(turn.look for turn in turns)
    table = build(interactions, context, pane, look, upto // pane, widest)
    earlier = _before_late(interactions, late, context, pane, after // pane, widest)
    found, changed = [], dict[str, RuleMemory]()
    for turn, of_rule in zip(turns, leaves, strict=True):
        rule_id = turn.active.rule.rule_id
        old = changed.get(rule_id, memory.of(rule_id))
        fired, changed[rule_id] = _decide(turn, of_rule, table, earlier, old)
        found.append(fired)
    return gather(found), memory.replaced(changed)


def _turns(rules: Sequence[ActiveRule], memory: Memory, after: int, upto: int, pane: int) -> list[Turn]:
    """The activations that have a pane end in this call, in order of their beginnings."""
    turns = []
    for position, active in enumerate(rules):
        begin = _EVER if active.begin is None else ceil_div(active.begin, pane)
        high = upto if active.end is None else min(upto, ceil_div(active.end, pane) - 1)
        begins = memory.of(active.rule.rule_id).begun != (active.version, active.active_from)
        low = max(begin, after + 1) if begins else after + 1
        matters = active.rule.start == "entering" if begins else True
        before = matters and active.rule.limits.repeat in (
            ("on_reentry", "never") if begins else ("on_reentry",)
        )
        if low <= high:
            turns.append(Turn(position, active, low, high, low - before, begins))
    return sorted(turns, key=lambda turn: turn.low)


def _leaves(active: ActiveRule, context: Context, pane: int) -> dict[str, Leaf]:
    """The conditions of a rule made ready, by path."""
    found = {}
    for path, condition in conditions(active.rule.when):
        check_pane(condition, path, pane)
        found[path] = leaf(path, condition, context, pane)
    return found


def _before_late(
    rows: Interactions, late: Bools | None, context: Context, pane: int, end: int, widest: int
) -> tuple[Ints, Table | None]:
    """Subscribers with late interactions, ascending, and their table at pane end ``end`` without these."""
    if late is None or not late.any():
        return np.empty(0, np.int64), None
    codes = np.unique(rows.caller[late])
    theirs = rows.take(np.isin(rows.caller, codes) & ~late)
    people = None if context.people is None else context.people.of(codes)
    return codes, build(theirs, replace(context, people=people), pane, end, end, widest)


def _decide(
    turn: Turn,
    leaves: dict[str, Leaf],
    table: Table | None,
    earlier: tuple[Ints, Table | None],
    memory: RuleMemory,
) -> tuple[Firings, RuleMemory]:
    """The firings of one activation and what is remembered after them."""
    rule = turn.active.rule
    activation = (turn.active.version, turn.active.active_from)
    if table is None:
        return gather([]), memory.begin(activation, np.empty(0, np.int64)) if turn.begins else memory
    spans, held = _since_low(turn, leaves, table, earlier)
    if turn.begins:
        barred = held if rule.limits.repeat == "never" else held[:0]
        memory = memory.begin(activation, table.codes[barred])
    if rule.limits.repeat == "on_reentry":
        spans = entries(spans, held * table.clock.stride + turn.low - table.clock.origin)
    numbers = pick(spans, rule.limits, memory, table)
    subscriber, end = np.divmod(numbers, table.clock.stride)
    codes, seconds = table.codes[subscriber], table.clock.seconds(end)
    texts = features(table, list(leaves.values()), subscriber, end)
    position = np.full(len(codes), turn.position, np.int32)
    return Firings(position, codes, seconds, texts), memory.after(codes, seconds)


def _since_low(
    turn: Turn, leaves: dict[str, Leaf], table: Table, earlier: tuple[Ints, Table | None]
) -> tuple[Spans, Ints]:
    """Where the condition holds from ``turn.low`` on, and for which subscribers it held one pane end before."""
    low, high, look = (end - table.clock.origin for end in (turn.low, turn.high, turn.look))
    spans = _holding(table, turn, leaves, look, high)
    base = spans.start // table.clock.stride * table.clock.stride
    held = base[spans.start < base + low] // table.clock.stride
    codes, then = earlier
    if len(codes) and look < low and not turn.begins:  # for them it was decided without the late interactions
        late = np.searchsorted(table.codes, codes)
        held = np.union1d(held[~np.isin(held, late)], _held_then(turn, leaves, table, then))
    return merged(np.maximum(spans.start, base + low), spans.end), held


def _held_then(turn: Turn, leaves: dict[str, Leaf], table: Table, then: Table | None) -> Ints:
    """Positions in ``table`` of the subscribers for whom the condition held in the table of the pane end before."""
    if then is None:
        return np.empty(0, np.int64)
    spans = _holding(then, turn, leaves, then.clock.high, then.clock.high)
    return np.searchsorted(table.codes, then.codes[spans.start // then.clock.stride])


def _holding(table: Table, turn: Turn, leaves: dict[str, Leaf], low: int, high: int) -> Spans:
    """Where the condition holds on the pane ends ``low`` to ``high`` on which subscribers are looked at."""
    base = np.arange(len(table.codes)) * table.clock.stride
    start = base + np.maximum(table.first, low)
    domain = merged(start, np.maximum(base + high + 1, start))
    return node_spans(table, turn.active.rule.when, "when", leaves, domain)
