"""Who fires when: all rules over all pane ends of a span of time, in one columnar pass.

A batch run is one call over everything; a stream is many calls with adjoining spans, whose firings together
are those of the one call. Every pane end counts as looked at, though only the changes are worked out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from transforms.columns.rules.arrays import Bools, Ints, find
from transforms.columns.rules.firing import entries, pick, unbarred
from transforms.columns.rules.firings import Firings, gather
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import Memory, RuleMemory
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Leaf, leaves_of
from transforms.columns.rules.spans import Spans, merged
from transforms.columns.rules.table import Table, build
from transforms.columns.rules.tree import node_spans
from transforms.columns.rules.turns import Turn, turns_of
from transforms.columns.rules.values import features
from transforms.rules.language import ActiveRule


class Scene(NamedTuple):
    """What all rules of one call look at.

    Attributes:
        table: of the interactions; None where nobody has been seen.
        late: subscribers with late interactions, ascending codes.
        before: the table without these interactions at the last decided pane end; None where nobody is in it.
        telling: firings get the values of their conditions.
    """

    table: Table | None
    late: Ints
    before: Table | None
    telling: bool = True


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
    only: Mapping[int, Ints] | None = None,
) -> tuple[Firings, Memory]:
    """The firings at all pane ends t with ``after < t <= upto``.

    Args:
        rules: activations; those of one rule_id must not overlap.
        interactions: all that have arrived of these subscribers, as far back as the longest window before
            ``after``, in any order. Those after ``upto`` are left out.
        context: names, own regions and, where interactions have been dropped, the people seen.
        after, upto: seconds; pane ends up to ``after`` are decided already. ``after`` may be long before the
            first record.
        pane: length of a pane in seconds; every window has to be a multiple of it.
        memory: from the call that ended at ``after``; empty at first.
        late: which interactions arrived since that call but start before ``after``: they count later only.
        only: per position of a rule the subscribers (ascending codes) for whom it may fire; others: everybody.

    Returns:
        The firings and the memory for the next call.

    Raises:
        RuleProblem: for a window that is no multiple of the pane.
    """
    turns = turns_of(rules, memory, after, upto, pane)
    if not turns:
        return gather([]), memory
    leaves, widest, table = _laid_out(turns, interactions, context, upto // pane, pane)
    scene = Scene(table, *_before_late(interactions, late, context, pane, after // pane, widest))
    found, memory = _decide_all(turns, leaves, scene, memory, only or {})
    return gather(found), memory


def evaluate_for_counts(
    rules: Sequence[ActiveRule],
    interactions: Interactions,
    context: Context,
    *,
    after: int,
    upto: int,
    pane: int,
) -> list[Firings]:
    """The firings of `evaluate` without a past, of each rule by itself and without values: for who only counts.

    Those of a rule ascend by subscriber, then second; ``features`` are null.
    """
    fired = [gather([]) for _ in rules]
    turns = turns_of(rules, Memory(), after, upto, pane)
    if not turns:
        return fired
    leaves, _, table = _laid_out(turns, interactions, context, upto // pane, pane)
    scene = Scene(table, np.empty(0, np.int64), None, telling=False)
    for turn, found in zip(turns, _decide_all(turns, leaves, scene, Memory(), {})[0], strict=True):
        fired[turn.position] = found
    return fired


def _laid_out(
    turns: Sequence[Turn], rows: Interactions, context: Context, high: int, pane: int
) -> tuple[list[dict[str, Leaf]], int, Table | None]:
    """The conditions of each turn, the panes of the longest window, and the table for pane ends until ``high``."""
    leaves = [leaves_of(turn.active.rule, context.words, pane) for turn in turns]
    widest = max(leaf.panes or 0 for of_rule in leaves for leaf in of_rule.values())
    return leaves, widest, build(rows, context, pane, min(turn.look for turn in turns), high, widest)


def _decide_all(
    turns: Sequence[Turn],
    leaves: Sequence[dict[str, Leaf]],
    scene: Scene,
    memory: Memory,
    only: Mapping[int, Ints],
) -> tuple[list[Firings], Memory]:
    """The firings of each turn that has any to decide, and the memory after them."""
    found, changed = [], dict[str, RuleMemory]()
    for turn, of_rule in zip(turns, leaves, strict=True):
        mine = only.get(turn.position)
        if mine is not None and not len(mine) and not turn.begins:
            continue
        rule_id = turn.active.rule.rule_id
        old = changed.get(rule_id, memory.of(rule_id))
        fired, changed[rule_id] = _decide(turn, of_rule, scene, old, mine)
        found.append(fired)
    return found, memory.replaced(changed)


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
    turn: Turn, leaves: dict[str, Leaf], scene: Scene, memory: RuleMemory, only: Ints | None
) -> tuple[Firings, RuleMemory]:
    """The firings of one activation and what is remembered after them."""
    rule, table = turn.active.rule, scene.table
    if table is None:
        return gather([]), memory.begin(turn.activation, np.empty(0, np.int64)) if turn.begins else memory
    if only is not None:
        table = table.narrowed(only, _since(leaves, turn.look - table.clock.origin))
    spans, held = _since_low(turn, leaves, scene, table, only)
    if turn.begins:
        barred = held[:0] if rule.limits.repeat == "on_reentry" else held
        memory = memory.begin(turn.activation, table.codes[barred])
    if rule.limits.repeat == "on_reentry":
        spans = entries(spans, held * table.clock.stride + turn.low - table.clock.origin)
    elif rule.limits.repeat == "always" and memory.barred.any():
        first, last = turn.low - table.clock.origin, turn.high - table.clock.origin
        spans, memory = unbarred(spans, memory, table, only, first, last)
    numbers = pick(spans, rule.limits, memory, table)
    if not len(numbers):
        return gather([]), memory
    subscriber, end = np.divmod(numbers, table.clock.stride)
    codes, seconds = table.codes[subscriber], table.clock.seconds(end)
    position = np.full(len(codes), turn.position, np.int32)
    texts = pa.nulls(len(codes), pa.string())
    if scene.telling:
        texts = features(table.only(subscriber), list(leaves.values()), subscriber, end)
    return Firings(position, codes, seconds, texts), memory.after(codes, seconds)


def _since_low(
    turn: Turn, leaves: dict[str, Leaf], scene: Scene, table: Table, only: Ints | None
) -> tuple[Spans, Ints]:
    """Where the condition holds from ``turn.low`` on, and the subscribers for whom it held one pane end before."""
    low, high, look = (end - table.clock.origin for end in (turn.low, turn.high, turn.look))
    domain = table.looked_at(look, high) if only is None else table.looked_at_by(only, look, high)
    spans = node_spans(table, turn.active.rule.when, "when", leaves, domain)
    base = spans.start // table.clock.stride * table.clock.stride
    held = base[spans.start < base + low] // table.clock.stride
    if len(scene.late) and look < low and not turn.begins:  # decided for them without the late interactions
        late, there = find(table.codes, scene.late)
        held = np.union1d(held[~np.isin(held, late[there])], _held_before(turn, leaves, scene.before, table))
    return merged(np.maximum(spans.start, base + low), spans.end), held


def _held_before(turn: Turn, leaves: dict[str, Leaf], before: Table | None, table: Table) -> Ints:
    """Positions in ``table`` of the subscribers for whom the condition held in the table without late ones."""
    if before is None:
        return np.empty(0, np.int64)
    end = before.clock.high
    spans = node_spans(before, turn.active.rule.when, "when", leaves, before.looked_at(end, end))
    return np.searchsorted(table.codes, before.codes[spans.start // before.clock.stride])


def _since(leaves: dict[str, Leaf], look: int) -> int | None:
    """The pane end after which interactions enter that count at ``look`` or later; None: all do."""
    if any(leaf.panes is None and leaf.family == "profile" for leaf in leaves.values()):
        return None
    return look - max((leaf.panes or 0 for leaf in leaves.values()), default=0)
