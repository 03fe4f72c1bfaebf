"""Where a condition holds, as spans of numbers: found by sorted steps, never pane by pane.

A *flow* is what moves a number up and down: ascending numbers at which something enters and at which something
leaves, the same many of both, and per subscriber as many. The value is how much has entered less what has left.
As all that leaves had entered before in the same order, "the value is at least k" holds from an entering until
the k-th entering back from there (itself the first) leaves again, whatever enters in between.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transforms.columns.rules import modes
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.spans import (
    Spans,
    complement,
    everything,
    intersect,
    merged,
    nothing,
    unite,
    where_true,
)
from transforms.columns.rules.table import Table

_BITS = 62
_SHORT = 2  # bytes of values that are few
_FEW = 0.5  # evaluate for some subscribers only where they have less than this share of the interactions


class Flow(NamedTuple):
    """Ascending numbers of entering and leaving; ``totals`` of weights (0 first) where not all weigh 1."""

    enter: Ints
    leave: Ints
    totals: Ints | None = None

    def at_least(self, least: int) -> Spans:
        """Where the value is at least ``least`` (1 or more)."""
        if self.totals is None:
            return merged(self.enter[least - 1 :], self.leave[: max(len(self.leave) - least + 1, 0)])
        back = np.searchsorted(self.totals, self.totals[1:] - least, "right") - 1
        reached = np.flatnonzero(back >= 0)
        return merged(self.enter[reached], self.leave[back[reached]])


def leaf_spans(table: Table, leaf: Leaf, within: Spans) -> Spans:
    """Where a condition holds, right for the subscribers that ``within`` speaks of (others: anything)."""
    if leaf.family == "profile":
        return _profile_spans(table, leaf, within)
    if leaf.family == "own":
        return _own_spans(table, leaf)
    thresholds = {low for low, _ in leaf.ranges} | {high + 1 for _, high in leaf.ranges if high is not None}
    thresholds -= {0}
    flow = _flow(table, leaf, thresholds, within) if thresholds else None
    return unite([_range_spans(table, flow, low, high) for low, high in leaf.ranges])


def _range_spans(table: Table, flow: Flow | None, low: int, high: int | None) -> Spans:
    size = table.size
    inside = everything(size) if low == 0 or flow is None else flow.at_least(low)
    if high is None or flow is None:
        return inside
    above = flow.at_least(high + 1)
    return complement(above, size) if low == 0 else intersect(inside, complement(above, size))


def _flow(table: Table, leaf: Leaf, thresholds: set[int], within: Spans) -> Flow:
    """What moves the number of a condition; of distinct values only where the least threshold can be reached."""
    panes = min(leaf.panes or 0, table.clock.widest)
    if leaf.family == "sum":
        table = table.only(np.flatnonzero(table.sums(leaf.filter) >= min(thresholds)))
        enter = table.numbers(leaf.filter)
        return Flow(enter, enter + panes, table.totals(leaf.filter))
    enter = table.numbers(leaf.filter)
    if leaf.family == "count" or thresholds == {1}:
        return Flow(enter, enter + panes)
    live = np.zeros(len(table.codes), np.bool_)
    reached = intersect(_enough(table, leaf, panes, min(thresholds)), within)
    live[reached.start // table.clock.stride] = True
    return presences(table, leaf, live, panes)


def _enough(table: Table, leaf: Leaf, panes: int, least: int) -> Spans:
    """Where there are enough interactions for ``least`` distinct values.

    Where one value has most of them, all but one of the values have to be others.
    """
    enter, rows = table.numbers(leaf.filter), table.select(leaf.filter)
    if least > 1 and table.column(leaf.column).itemsize <= _SHORT:
        value = table.column(leaf.column)
        value = value if rows is None else value[rows]
        common = np.bincount(value, minlength=1).argmax()
        enter, least = enter[np.flatnonzero(value != common)], least - 1
    return Flow(enter, enter + panes).at_least(least)


def presences(table: Table, leaf: Leaf, live: Bools, panes: int) -> Flow:
    """Values coming into a window and going from it: each once, however often it occurs meanwhile."""
    rows, enter = table.select(leaf.filter), table.numbers(leaf.filter)
    subscriber = table.subscriber if rows is None else table.subscriber[rows]
    chosen = np.flatnonzero(live[subscriber])
    rows = chosen if rows is None else rows[chosen]
    base = subscriber[chosen] * np.int64(table.clock.stride)
    value, size = table.dense(leaf.column, rows)
    pair = base // table.clock.stride * size + value
    owner = None
    if int(pair.max(initial=0)).bit_length() + table.clock.stride.bit_length() > _BITS:
        owner, pair = np.unique(pair, return_inverse=True)
    seen = np.sort(pair * table.clock.stride + enter[chosen] - base)  # by pair, then pane end
    present = merged(seen, seen + panes)
    pair = present.start // table.clock.stride
    back = ((pair if owner is None else owner[pair]) // size - pair) * table.clock.stride
    return Flow(np.sort(present.start + back), np.sort(present.end + back))


def _own_spans(table: Table, leaf: Leaf) -> Spans:
    wanted = np.zeros(len(table.context.words.regions), np.bool_)
    wanted[[low for low, _ in leaf.ranges]] = True
    start = np.arange(len(table.codes)) * table.clock.stride
    return where_true(start, start + table.clock.stride, wanted[table.own_region])


def _profile_spans(table: Table, leaf: Leaf, within: Spans) -> Spans:
    wanted = [low for low, _ in leaf.ranges]
    if not wanted:
        return nothing()
    live = np.zeros(len(table.codes), np.bool_)
    live[_with_any(table, leaf, within).start // table.clock.stride] = True
    some = np.flatnonzero(live)
    key = ("modes", leaf.column, leaf.category, leaf.panes)
    if key not in table.kept and np.diff(table.begin)[some].sum() < _FEW * len(table.number):
        return modes.steps(table, leaf, some).where(wanted)
    return table.keep(key, lambda: modes.steps(table, leaf, np.arange(len(table.codes)))).where(wanted)


def _with_any(table: Table, leaf: Leaf, within: Spans) -> Spans:
    """The part of ``within`` where one of the wanted values is there at all: elsewhere it is not the most frequent."""
    if leaf.panes is None:
        return within
    enter = table.numbers(leaf.wanted)
    return intersect(merged(enter, enter + min(leaf.panes, table.clock.widest)), within)
