"""When a rule fires, given where its condition holds: repeat, cooldown and the limit per subscriber."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Bools, Ints, ceil_div, find
from transforms.columns.rules.memory import NEVER, RuleMemory
from transforms.columns.rules.spans import Spans
from transforms.columns.rules.table import Clock, Table
from transforms.rules.language import Limits

_UNLIMITED: Final = np.iinfo(np.int64).max


def entries(spans: Spans, not_at: Ints) -> Spans:
    """The starts of spans, where the condition comes to hold, but for these numbers (it held before them)."""
    start = spans.start[~np.isin(spans.start, not_at)] if len(not_at) else spans.start
    return Spans(start, start + 1)


def unbarred(
    spans: Spans, memory: RuleMemory, table: Table, only: Ints | None, low: int, high: int
) -> tuple[Spans, RuleMemory]:
    """Where a rule that fires ``always`` holds for other reasons than that it has held since it was switched on.

    Args:
        spans: where it holds from pane end ``low`` of the clock on.
        memory: with those whom ``start: entering`` bars until it has stopped holding for them.
        table: whose numbers they are.
        only: ascending codes of those that ``spans`` tell of; None: everybody.
        low, high: first and last pane end of the call.

    Returns:
        The other spans, and the memory with those freed for whom it has stopped.
    """
    waiting = memory.codes[memory.barred]
    if only is not None:
        waiting = waiting[find(only, waiting)[1]]
    position, there = find(table.codes, waiting)
    waiting, base = waiting[there], position[there] * table.clock.stride
    span, holds = find(spans.start, base + low)
    if not len(waiting):
        return spans, memory
    still = holds.copy()
    still[holds] = spans.end[span[holds]] > base[holds] + high
    others = np.ones(spans.size, np.bool_)
    others[span[holds]] = False
    return Spans(spans.start[others], spans.end[others]), memory.free(waiting[~still])


def pick(where: Spans, limits: Limits, memory: RuleMemory, table: Table) -> Ints:
    """The numbers at which a rule fires, ascending.

    Args:
        where: it may, each span of one subscriber.
        limits: of the rule.
        memory: of the rule's firings so far.
        table: whose numbers they are.
    """
    clock = table.clock
    owner = where.start // clock.stride
    new = np.append(True, owner[1:] != owner[:-1])[: where.size]
    first = np.flatnonzero(new)
    person = owner[first]
    last, count, barred = memory.of(table.codes[person])
    left = _left(limits, count, barred)
    after = _not_before(limits, last, clock)
    cooldown = max(ceil_div(limits.cooldown, clock.pane), 1)
    edges = np.append(first, where.size)
    return _rounds(
        where, Row(person * clock.stride, edges[:-1], edges[1:] - 1), left, after, cooldown, clock.high
    )


def ready(limits: Limits, memory: RuleMemory, codes: Ints, upto: int) -> Bools:
    """Which subscribers a rule may fire for at second ``upto`` or before, as far as its limits go."""
    last, count, barred = memory.of(codes)
    cooling = (last != NEVER) & (last > upto - limits.cooldown)
    return (_left(limits, count, barred) > 0) & ~cooling


def _left(limits: Limits, count: NDArray[np.int32], barred: Bools) -> Ints:
    """How many firings each subscriber may still have."""
    most = np.full(len(count), _UNLIMITED)
    if limits.max_per_subscriber is not None:
        most = np.maximum(limits.max_per_subscriber - count.astype(np.int64), 0)
    if limits.repeat == "never":
        return np.where((count > 0) | barred, 0, np.minimum(most, 1))
    return most


def _not_before(limits: Limits, last: Ints, clock: Clock) -> Ints:
    """The first pane end at which each subscriber's cooldown is over."""
    fired = last != NEVER
    over = -(-(np.where(fired, last, 0) + limits.cooldown) // clock.pane) - clock.origin
    return np.where(fired, np.maximum(over, 0), 0)


class Row(NamedTuple):
    """Per subscriber: number of its pane end 0, and positions of its first and last span."""

    base: Ints
    first: Ints
    last: Ints


def _rounds(where: Spans, row: Row, left: Ints, after: Ints, cooldown: int, high: int) -> Ints:
    """Each round takes everybody's next firing: the first chance at or after the end of the cooldown."""
    found = []
    going = np.flatnonzero((left > 0) & (after <= high))
    while len(going):
        floor = row.base[going] + after[going]
        span = np.maximum(np.searchsorted(where.end, floor, "right"), row.first[going])
        there = span <= row.last[going]
        going, span, floor = going[there], span[there], floor[there]
        fired = np.maximum(where.start[span], floor)
        found.append(fired)
        left[going] -= 1
        after[going] = fired - row.base[going] + cooldown
        going = going[(left[going] > 0) & (after[going] <= high)]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
