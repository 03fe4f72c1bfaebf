"""Sets of whole numbers as sorted half-open spans that neither overlap nor touch.

Rules use them for pane ends of all subscribers at once: the number of pane end ``t`` of the subscriber at
position ``s`` is ``s * stride + t``, so that one set says where a condition holds, for everybody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, expand


class Spans(NamedTuple):
    """``start[i] <= number < end[i]``, ascending."""

    start: Ints
    end: Ints

    @property
    def size(self) -> int:
        """How many spans there are."""
        return len(self.start)


def nothing() -> Spans:
    """The empty set."""
    none = np.empty(0, np.int64)
    return Spans(none, none)


def everything(size: int) -> Spans:
    """All numbers from 0 to ``size`` (excluded)."""
    return Spans(np.zeros(1, np.int64), np.full(1, size, np.int64))


def merged(start: Ints, end: Ints) -> Spans:
    """The union of spans whose starts and whose ends both ascend (empty and touching ones among them)."""
    filled = np.flatnonzero(start < end)
    if len(filled) < len(start):
        start, end = start[filled], end[filled]
    if not len(start):
        return nothing()
    apart = np.flatnonzero(start[1:] > end[:-1])
    return Spans(start[np.append(0, apart + 1)], end[np.append(apart, len(end) - 1)])


def where_true(start: Ints, end: Ints, true: Bools) -> Spans:
    """The union of those of ascending, non-overlapping spans that are true."""
    return merged(start[true], end[true])


def complement(spans: Spans, size: int) -> Spans:
    """The numbers from 0 to ``size`` (excluded) that are not in the set."""
    start = np.concatenate([[0], spans.end])
    end = np.concatenate([spans.start, [size]])
    return merged(start, end)


def intersect(a: Spans, b: Spans) -> Spans:
    """The numbers in both sets."""
    if a.size > b.size:
        a, b = b, a
    if not a.size:
        return a
    first = np.searchsorted(b.end, a.start, "right")
    count = np.searchsorted(b.start, a.end, "left") - first
    which, position = expand(first, count)
    return Spans(np.maximum(a.start[which], b.start[position]), np.minimum(a.end[which], b.end[position]))


def unite(sets: list[Spans]) -> Spans:
    """The numbers in any of the sets."""
    filled = [s for s in sets if s.size]
    if len(filled) < 2:
        return filled[0] if filled else nothing()
    start = np.concatenate([s.start for s in filled])
    end = np.concatenate([s.end for s in filled])
    order = np.argsort(start, kind="stable")
    return merged(start[order], np.maximum.accumulate(end[order]))
