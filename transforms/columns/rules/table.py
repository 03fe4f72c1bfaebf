"""Interactions sorted by subscriber and pane end: what all rules of one call look at.

A *number* stands for a subscriber and a pane end: ``s * stride + t``, where s is the subscriber's position and t
counts pane ends from ``origin``. An interaction enters a window of w panes at the first pane end after its start,
number k, and leaves it at k + w. The stride is long enough that a subscriber's last leaving stands before the
next subscriber's first entering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import (
    Bools,
    Ints,
    ascending,
    changes,
    distinct,
    expand,
    find,
    runs,
    sort_packed,
)
from transforms.columns.rules.filters import abroad, passing
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context, Older
from transforms.columns.rules.plan import Filter
from transforms.columns.rules.spans import Spans, merged

_FEW: Final = 0.5  # what is worked out for some only, where they are less than this share of all
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Clock:
    """Pane ends that are looked at: multiples of ``pane`` seconds, numbered from ``origin`` (a number of panes).

    Attributes:
        low, high: first and last pane end of interest, from ``origin``.
        widest: panes of the longest window that matters.
    """

    pane: int
    origin: int
    low: int
    high: int
    widest: int

    @property
    def stride(self) -> int:
        """Numbers per subscriber."""
        return self.high + self.widest + 2

    def of_second(self, second: int) -> int:
        """The first pane end at or after a second."""
        return -(-second // self.pane) - self.origin

    def seconds(self, ends: Ints) -> Ints:
        """Seconds since 1970 of pane ends."""
        return (ends + self.origin) * self.pane


@dataclass
class Table:
    """Interactions of some subscribers in the order of their numbers, with what has been worked out of them.

    Attributes:
        codes: the subscribers, ascending.
        first: per subscriber the first pane end after its first record.
        number: ascending, one per interaction.
        rows: the interactions as they came; ``order`` sorts them (None: they are sorted).
        older: counts of interactions no longer kept, None where there are none.
        kept: results that rules share, by what they are of.
    """

    clock: Clock
    context: Context
    codes: Ints
    first: Ints
    number: Ints
    rows: Interactions
    order: Ints | None
    older: Older | None
    kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers there are: the end of the last subscriber's."""
        return len(self.codes) * self.clock.stride

    def keep(self, key: tuple[Any, ...], make: Callable[[], Kept]) -> Kept:
        """What has been made for ``key`` before, or is now."""
        if key not in self.kept:
            self.kept[key] = make()
        return cast(Kept, self.kept[key])

    def column(self, name: str) -> NDArray[Any]:
        """A column of the interactions in the order of the numbers."""
        column: NDArray[Any] = getattr(self.rows, name)
        order = self.order
        return column if order is None else self.keep(("column", name), lambda: column[order])

    def looked_at(self, low: int, high: int) -> Spans:
        """The pane ends from ``low`` to ``high`` (of the clock) after each subscriber's first record."""
        everybody = np.arange(len(self.codes))
        return self.keep(("looked at", low, high), lambda: self._looked_at(everybody, low, high))

    def looked_at_by(self, codes: Ints, low: int, high: int) -> Spans:
        """The same, of those of some ascending codes that are in the table."""
        position, there = find(self.codes, codes)
        return self._looked_at(position[there], low, high)

    def _looked_at(self, position: Ints, low: int, high: int) -> Spans:
        base = position * self.clock.stride
        start = base + np.maximum(self.first[position], low)
        return merged(start, np.maximum(base + high + 1, start))

    def narrowed(self, codes: Ints, since: int | None) -> Table:
        """The same numbers with the interactions of some subscribers (ascending codes) only.

        Args:
            codes: whose interactions to keep.
            since: keep only what enters after this pane end (of the clock); None: all.
        """
        position, there = find(self.codes, codes)
        position = position[there]
        count = self.begin[position + 1] - self.begin[position]
        which, rows = expand(self.begin[position], count)
        if since is not None:
            rows = rows[self.number[rows] > position[which] * self.clock.stride + since]
        return self._with(rows)

    def only(self, subscribers: Ints) -> Table:
        """The same numbers with the interactions of subscribers at some positions only, which ascend and may come
        more than once; this table where that would leave most of it."""
        position = subscribers[changes(subscribers)]
        first = self.begin[position]
        count = self.begin[position + 1] - first
        if count.sum() > _FEW * len(self.number):
            return self
        narrowed = self._with(expand(first, count)[1])
        narrowed.begin = np.zeros(len(self.begin), np.int64)
        narrowed.begin[position + 1] = count
        np.cumsum(narrowed.begin, out=narrowed.begin)
        return narrowed

    def _with(self, rows: Ints) -> Table:
        order = rows if self.order is None else self.order[rows]
        number = self.number[rows]
        return Table(self.clock, self.context, self.codes, self.first, number, self.rows, order, self.older)

    def dense(self, name: str, rows: Ints) -> tuple[Ints, int]:
        """A column at some positions as small numbers, equal where its values are, and how many there are (at
        least 1)."""
        column = self.column(name)
        if column.itemsize <= 2:
            return column[rows].astype(np.int64), 1 << (8 * column.itemsize)
        if len(rows) < _FEW * len(column):
            return _numbered(column[rows])
        position, size = self.keep(("dense", name), lambda: _numbered(column))
        return position[rows], size

    @cached_property
    def subscriber(self) -> NDArray[np.int32]:
        """Per interaction the position of its subscriber."""
        return np.repeat(np.arange(len(self.codes), dtype=np.int32), np.diff(self.begin))

    @cached_property
    def begin(self) -> Ints:
        """Per subscriber the position of its first interaction, and at last their number."""
        return np.searchsorted(self.number, np.arange(len(self.codes) + 1) * self.clock.stride)

    @cached_property
    def own_region(self) -> NDArray[np.uint16]:
        """Per subscriber its own region."""
        return self.context.regions_of(self.codes)

    @cached_property
    def _abroad(self) -> Bools:
        return abroad(self.column("called_region"), self.own_region[self.subscriber], self.context.words)

    def select(self, wanted: Filter) -> Ints | None:
        """Positions of the interactions that pass a filter, ascending; None for all of them."""

        def make() -> Ints | None:
            mask = self._passing(wanted)
            return None if mask is None else np.flatnonzero(mask)

        return self.keep(("select", wanted), make)

    def numbers(self, wanted: Filter) -> Ints:
        """The numbers of the interactions that pass a filter, ascending."""
        rows = self.select(wanted)
        return self.number if rows is None else self.keep(("numbers", wanted), lambda: self.number[rows])

    def totals(self, wanted: Filter) -> Ints:
        """Sums of the filter's weight over its first 0, 1, 2 … interactions."""

        def make() -> Ints:
            rows, weight = self.select(wanted), self.column(wanted.weight)
            return np.concatenate([[0], np.cumsum(weight if rows is None else weight[rows], dtype=np.int64)])

        return self.keep(("totals", wanted), make)

    def sums(self, wanted: Filter) -> Ints:
        """Per subscriber the sum of the filter's weight."""

        def make() -> Ints:
            mask, weight = self._passing(wanted), self.column(wanted.weight)
            sums = np.zeros(len(self.codes), np.int64)
            filled = np.flatnonzero(np.diff(self.begin))
            weight = weight if mask is None else weight * mask
            sums[filled] = np.add.reduceat(weight, self.begin[filled], dtype=np.int64) if len(filled) else 0
            return sums

        return self.keep(("sums", wanted), make)

    def _passing(self, wanted: Filter) -> Bools | None:
        return passing(wanted, self.column, lambda: self._abroad)


def _numbered(values: Ints) -> tuple[Ints, int]:
    distinct_values, position = np.unique(values, return_inverse=True)
    return position, max(len(distinct_values), 1)


def build(rows: Interactions, context: Context, pane: int, low: int, high: int, widest: int) -> Table | None:
    """The table for pane ends ``low`` to ``high`` (numbers of panes since 1970).

    Args:
        rows: interactions in any order; those after ``high`` are left out.
        context: its people are in the table even if they have no interaction.
        pane: seconds.
        widest: panes of the longest window of the rules.

    Returns:
        None where nobody has been seen before ``high``.
    """
    pane_end = rows.start // pane + 1
    if len(rows) and int(pane_end.max()) > high:
        known = pane_end <= high
        rows, pane_end = rows.take(known), pane_end[known]
    codes, first, position, order = _universe(rows, pane_end, context, pane)
    seen = first <= high
    if not seen.any():
        return None
    low = max(low, int(first[seen].min()) - 1)
    earliest = int(pane_end.min()) if len(rows) else high
    widest = min(widest, high - earliest + 1)
    origin = low - widest - 1
    clock = Clock(pane, origin, low - origin, high - origin, widest)
    number = np.maximum(pane_end - origin, 0)
    number = (number if order is None else number[order]) + position * clock.stride
    number, order = sort_packed(number, order, len(codes) * clock.stride)
    older = context.people.older if context.people else None
    return Table(clock, context, codes, np.maximum(first - origin, 0), number, rows, order, older)


def _universe(
    rows: Interactions, pane_end: Ints, context: Context, pane: int
) -> tuple[Ints, Ints, Ints, Ints | None]:
    """Subscribers, their first pane ends, per interaction (in an order) the subscriber's position, that order."""
    order = None if ascending(rows.caller) else np.argsort(rows.caller)
    caller, ends = (rows.caller, pane_end) if order is None else (rows.caller[order], pane_end[order])
    at, position = runs(caller)
    codes, first = caller[at], np.minimum.reduceat(ends, at) if len(at) else ends
    people = context.people
    if people is None or not len(people):
        return codes, first, position, order
    everybody = distinct(np.concatenate([codes, people.codes]))
    earliest = np.full(len(everybody), np.iinfo(np.int64).max)
    earliest[np.searchsorted(everybody, people.codes)] = people.first // pane + 1
    place = np.searchsorted(everybody, codes)
    earliest[place] = np.minimum(earliest[place], first)
    return everybody, earliest, place[position] if len(place) else position, order
