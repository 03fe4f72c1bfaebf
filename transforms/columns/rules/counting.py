"""Counters by subscriber: of interactions, sums, shares of values and different values within a window."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.columns.keytable import KeyTable, grown
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.people import Older
from transforms.columns.rules.plan import Filter, Leaf
from transforms.columns.rules.roll import Roll, Some

_BITS: Final = 32
ENDLESS: Final = 1 << 40
"""Panes of a window that nothing ever leaves."""


class Window(NamedTuple):
    """What a counter counts within so many panes: interactions that pass a filter.

    Attributes:
        column: of them, how many different values this column has.
        shares: of them, how many there are for each position, which this gives for each value of the column.
    """

    filter: Filter
    panes: int
    column: str = ""
    shares: tuple[int, ...] = ()


def window_of(leaf: Leaf) -> Window | None:
    """What to count for a condition; None for one of the subscriber alone."""
    if leaf.family == "own":
        return None
    shares = leaf.positions if leaf.family == "profile" else ()
    return Window(leaf.filter, ENDLESS if leaf.panes is None else leaf.panes, leaf.column, shares)


class Sums:
    """Counts, or sums of a weight, by the subscriber's number."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.now: NDArray[Any] = np.zeros(0, np.int64 if window.filter.weight else np.int32)

    def grow(self, everybody: int) -> None:
        """Makes room for so many subscribers; before anything else is asked of it."""
        self.now = grown(self.now, everybody)

    def change(self, some: Some, sign: int) -> None:
        """Raises (1) or lowers (-1) values by those of some interactions that pass."""
        rows = some.passing(self.window.filter)
        weights = some.weights(self.window.filter, rows)
        by = self.now.dtype.type(sign)  # NumPy adds many times as quickly what has the same type
        np.add.at(self.now, some.person[rows], by if weights is None else by * weights)


class Shares(Sums):
    """Counts by the subscriber's number and a position of a value."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.width = max(window.shares) + 1
        self._position = np.array(window.shares)
        self.now = np.zeros((0, self.width), np.int32)

    def change(self, some: Some, sign: int) -> None:
        """As of any counter."""
        rows = some.passing(self.window.filter)
        cells = some.person[rows] * self.width + self.position(some, rows)
        np.add.at(self.now.reshape(-1), cells, np.int32(sign))

    def position(self, some: Some, rows: Ints) -> Ints:
        """The positions that some rows count for."""
        return self._position[getattr(some.rows, self.window.column)[rows]]

    def remember(self, older: Older, roll: Roll) -> None:
        """Counts what is no longer kept."""
        counts = older.by_value(self.window.column, older.codes)
        self.now[roll.numbers(older.codes)] += counts @ np.eye(self.width, dtype=np.int32)[self._position]


class Distincts(Sums):
    """How many different values of a column there are; each pair of subscriber and value is remembered, counted."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._values, self._pairs = KeyTable(), KeyTable()
        self._count = np.zeros(0, np.int32)

    def change(self, some: Some, sign: int) -> None:
        """As of any counter; what leaves has entered before."""
        if sign > 0:
            self.enter(some)
        else:
            self.leave(some)

    def enter(self, some: Some) -> Ints:
        """Counts pairs; gives the rows that brought new ones."""
        rows, at = self._at(some)
        new = self._count[at] == 0
        np.add.at(self._count, at, np.int32(1))
        first = rows[new][_once(at[new], len(self._pairs))]
        np.add.at(self.now, some.person[first], np.int32(1))
        return first

    def leave(self, some: Some) -> None:
        """Takes back what has entered before."""
        rows, at = self._at(some)
        np.subtract.at(self._count, at, np.int32(1))
        gone = self._count[at] == 0
        last = rows[gone][_once(at[gone], len(self._pairs))]
        np.subtract.at(self.now, some.person[last], np.int32(1))
        self._tidy()

    def _at(self, some: Some) -> tuple[Ints, Ints]:
        """The rows that pass, and the positions of their pairs."""
        rows = some.passing(self.window.filter)
        values = getattr(some.rows, self.window.column)[rows]
        number = values.astype(np.int64)
        if values.itemsize * 8 > _BITS:
            number = self._values.find_or_add(number.view(np.uint64))
        at = self._pairs.find_or_add((some.person[rows] << _BITS | number).view(np.uint64))
        self._count = grown(self._count, len(self._pairs))
        return rows, at

    def _tidy(self) -> None:
        """Forgets the pairs that are no more, where they are most of them."""
        count = self._count[: len(self._pairs)]
        there = count > 0
        if 2 * np.count_nonzero(there) < len(there):
            keys = self._pairs.keys[there].view(np.int64)
            if len(self._values):
                used, number = np.unique(keys & ((1 << _BITS) - 1), return_inverse=True)
                values, self._values = self._values.keys[used], KeyTable()
                self._values.add(values)
                keys = keys >> _BITS << _BITS | number
            self._pairs = KeyTable()
            self._pairs.add(keys.view(np.uint64))
            self._count = count[there]


def _once(positions: Ints, size: int) -> Bools:
    """Which rows are the first with their position, of so many positions."""
    first, row = np.empty(size, np.int64), np.arange(len(positions))
    first[positions[::-1]] = row[::-1]  # of several for one position, the last one wins
    return first[positions] == row


def counter_of(window: Window) -> Sums:
    """A counter that has counted nothing."""
    if window.shares:
        return Shares(window)
    return Distincts(window) if window.column else Sums(window)
