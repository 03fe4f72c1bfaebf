"""What conditions count, kept from one call to the next, by subscriber.

It costs a few nanoseconds per interaction and filter, and tells for whom a rule cannot fire (`bounds`), so that few
subscribers' interactions have to be looked at again. No result depends on them: counters that do not stand where
the history stands begin anew from its interactions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from transforms.columns.keytable import KeyTable, grown
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.history import History
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context, Older
from transforms.columns.rules.plan import Filter, Leaf
from transforms.columns.rules.roll import Roll, Some

_BITS: Final = 32
_ENDLESS: Final = 1 << 40  # panes that nothing ever leaves
_MATRICES: Final = {"called_type": "types", "hour": "hours", "weekday": "weekdays"}


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
    shares = (leaf.category or tuple(range(leaf.width))) if leaf.family == "profile" else ()
    return Window(leaf.filter, _ENDLESS if leaf.panes is None else leaf.panes, leaf.column, shares)


class _Sums:
    """Counts, or sums of a weight, by the subscriber's number."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.now: NDArray[Any] = np.zeros(0, np.int64 if window.filter.weight else np.int32)

    def of(self, numbers: Ints, everybody: int) -> NDArray[Any]:
        """The values of some of so many subscribers."""
        self.now = grown(self.now, everybody)
        return self.now[numbers]

    def enter(self, some: Some) -> Ints:
        """The rows of some interactions that raise a value by entering."""
        return some.passing(self.window.filter)

    def leave(self, some: Some) -> Ints:
        """The rows that lower a value by leaving, when all that enters has done so."""
        return some.passing(self.window.filter)

    def change(self, some: Some, rows: Ints, sign: int, everybody: int) -> None:
        """Raises (1) or lowers (-1) the values of so many subscribers by these rows."""
        self.now = grown(self.now, everybody)
        weights = some.weights(self.window.filter, rows)
        by = self.now.dtype.type(sign)  # NumPy adds many times as quickly what has the same type
        np.add.at(self.now, some.person[rows], by if weights is None else by * weights)


class _Shares(_Sums):
    """Counts by the subscriber's number and a position of a value."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.width = max(window.shares) + 1
        self._position = np.array(window.shares)
        self.now = np.zeros((0, self.width), np.int32)

    def change(self, some: Some, rows: Ints, sign: int, everybody: int) -> None:
        self.now = grown(self.now, everybody)
        cells = some.person[rows] * self.width + self.position(some, rows)
        np.add.at(self.now.reshape(-1), cells, np.int32(sign))

    def position(self, some: Some, rows: Ints) -> Ints:
        """The positions that some rows count for."""
        return self._position[getattr(some.rows, self.window.column)[rows]]

    def remember(self, older: Older, roll: Roll) -> None:
        """Counts what is no longer kept."""
        counts = older.counts(_MATRICES[self.window.column], older.codes)
        self.now = grown(self.now, len(roll))
        self.now[roll.numbers(older.codes)] += counts @ np.eye(self.width, dtype=np.int32)[self._position]


class _Distincts(_Sums):
    """How many values of a column there are; it remembers each pair of subscriber and value, with its count."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._values, self._pairs = KeyTable(), KeyTable()
        self._count = np.zeros(0, np.int32)

    def _at(self, some: Some, rows: Ints) -> Ints:
        values = getattr(some.rows, self.window.column)[rows].astype(np.int64)
        number = self._values.find_or_add(values.view(np.uint64))
        at = self._pairs.find_or_add((some.person[rows] << _BITS | number).view(np.uint64))
        self._count = grown(self._count, len(self._pairs))
        return at

    def enter(self, some: Some) -> Ints:
        rows = some.passing(self.window.filter)
        at = self._at(some, rows)
        new = self._count[at] == 0
        np.add.at(self._count, at, np.int32(1))
        return rows[new][_once(at[new], len(self._pairs))]

    def leave(self, some: Some) -> Ints:
        rows = some.passing(self.window.filter)
        at = self._at(some, rows)
        np.subtract.at(self._count, at, np.int32(1))
        gone = self._count[at] == 0
        last = rows[gone][_once(at[gone], len(self._pairs))]
        self._tidy()
        return last

    def _tidy(self) -> None:
        """Forgets the pairs that are no more, where they are most of them."""
        count = self._count[: len(self._pairs)]
        there = count > 0
        if 2 * np.count_nonzero(there) < len(there):
            keys = self._pairs.keys[there].view(np.int64)
            used, number = np.unique(keys & ((1 << _BITS) - 1), return_inverse=True)
            values, self._values, self._pairs = self._values.keys[used], KeyTable(), KeyTable()
            self._values.add(values)
            self._pairs.add((keys >> _BITS << _BITS | number).view(np.uint64))
            self._count = count[there]


def _once(positions: Ints, size: int) -> Bools:
    """Which rows are the first with their position, of so many positions."""
    first, row = np.empty(size, np.int64), np.arange(len(positions))
    first[positions[::-1]] = row[::-1]  # of several for one position, the last one wins
    return first[positions] == row


def _counter(window: Window) -> _Sums:
    if window.shares:
        return _Shares(window)
    return _Distincts(window) if window.column else _Sums(window)


class Counters:
    """All counters of a shard, changed in place.

    Attributes:
        roll: the subscribers.
        decided: second of the pane end that they stand at, None before the first.
        kept: the counters by what they count.
    """

    def __init__(self) -> None:
        self.roll = Roll(np.empty(0, np.int64))
        self.decided: int | None = None
        self.kept: dict[Window, _Sums] = {}

    def forget(self, panes: int) -> None:
        """Forgets windows that end but are longer than this: the history has lost interactions in them."""
        self.kept = {w: kept for w, kept in self.kept.items() if not panes < w.panes < _ENDLESS}

    def stand(self, windows: Collection[Window], history: History, context: Context, pane: int) -> None:
        """Counts exactly these windows, at the history's last decided pane end, late interactions included."""
        if self.decided != history.decided:
            self.roll, self.kept, self.decided = Roll(history.people.codes), {}, history.decided
        missing = [window for window in windows if window not in self.kept]
        self.kept = {w: self.kept.get(w) or _counter(w) for w in windows}
        if self.decided is None:
            return
        for part in history.blocks if missing else ():
            self._count(part.rows.take(part.rows.start < self.decided), missing, context, pane)
        older = history.people.older
        for window in missing if older else ():
            if older and window.panes == _ENDLESS:
                cast(_Shares, self.kept[window]).remember(older, self.roll)
        self._count(history.late(), windows, context, pane)

    def _count(self, rows: Interactions, windows: Collection[Window], context: Context, pane: int) -> None:
        """Counts interactions that start before the pane end where the counters stand."""
        if not len(rows) or self.decided is None:
            return
        person = self.roll.numbers(rows.caller)
        for panes in {window.panes for window in windows}:
            inside = np.flatnonzero(rows.start >= (self.decided // pane - panes) * pane)
            some = Some(rows.take(inside), person[inside], person[inside], self.roll, context)
            for window in windows:
                if window.panes == panes:
                    counter = self.kept[window]
                    counter.change(some, counter.enter(some), 1, len(self.roll))


class Step:
    """The changes of one call, by subscriber.

    Attributes:
        who: numbers of the subscribers spoken of, in ascending order of their ``codes``.
        new: who of them had not been seen before.
    """

    def __init__(
        self,
        counters: Counters,
        entering: Interactions,
        leaving: Mapping[int, Interactions],
        others: Ints,
        context: Context,
    ) -> None:
        """Gives numbers to subscribers who are new.

        Args:
            counters: as they stand.
            entering: interactions that enter every window.
            leaving: by panes, those that leave the windows of so many; for all windows that are counted.
            others: codes of more subscribers to speak of; those who have not been seen are left out.
            context: names and own regions.
        """
        self._counters, self._context, roll = counters, context, counters.roll
        others, seen = roll.known(others), len(roll)
        parts = {0: entering, **leaving}
        person = {panes: roll.numbers(rows.caller) for panes, rows in parts.items()}
        self.who, place = roll.places([others, *person.values()])
        self.codes, self.new = roll.codes[self.who], self.who >= seen
        self._some = {
            panes: Some(rows, person[panes], place[person[panes]], roll, context)
            for panes, rows in parts.items()
        }
        self._entered: dict[Window, Ints] = {}
        self._sums: dict[tuple[Filter, int], Ints] = {}

    def own_regions(self, at: Ints) -> NDArray[np.uint16]:
        """The own regions of some (positions in ``who``)."""
        return self._counters.roll.own_regions(self.who[at], self._context)

    def moving(self, wanted: Filter, panes: int) -> Ints:
        """How many interactions that pass a filter leave the windows of so many panes, or what they weigh.

        With 0 panes: enter all windows.
        """
        if (wanted, panes) not in self._sums:
            some = self._some[panes]
            self._sums[wanted, panes] = some.summed(wanted, some.passing(wanted), len(self.who))
        return self._sums[wanted, panes]

    def between(self, window: Window, at: Ints) -> tuple[Ints, Ints]:
        """The least and the greatest value that a window can have at any pane end of the call.

        Args:
            window: of a count, a sum or distinct values.
            at: for whom, positions in ``who``.
        """
        low = high = self._counters.kept[window].of(self.who[at], len(self._counters.roll)).astype(np.int64)
        if len(self._some[window.panes].rows):  # each may take another value with it
            low = np.maximum(low - self.moving(window.filter, window.panes)[at], 0)
        if window.column:
            place = self._some[0].place[self._entering(window)]
            return low, high + np.bincount(place, minlength=len(self.who))[at]
        return low, high + self.moving(window.filter, 0)[at]

    def shares_between(self, window: Window, at: Ints) -> tuple[Ints, Ints]:
        """The same of a window with shares: arrays of len(at) x positions."""
        counter = cast(_Shares, self._counters.kept[window])
        low = high = counter.of(self.who[at], len(self._counters.roll))
        row = np.full(len(self.who), -1)
        row[at] = np.arange(len(at))

        def moving(some: Some) -> Ints:
            rows = np.flatnonzero(row[some.place] >= 0)
            cell = row[some.place[rows]] * counter.width + counter.position(some, rows)
            return np.bincount(cell, minlength=low.size).reshape(low.shape)

        if len(self._some[window.panes].rows):
            low = np.maximum(low - moving(self._some[window.panes]), 0)
        return low, high + moving(self._some[0])

    def _entering(self, window: Window) -> Ints:
        """The rows that raise a window's value; asked for once of a counter, which may learn from it."""
        if window not in self._entered:
            self._entered[window] = self._counters.kept[window].enter(self._some[0])
        return self._entered[window]

    def finish(self, upto: int) -> None:
        """Lets the counters stand at second ``upto``, the end of the call."""
        everybody = len(self._counters.roll)
        for window, counter in self._counters.kept.items():
            counter.change(self._some[0], self._entering(window), 1, everybody)
            left = self._some[window.panes]
            counter.change(left, counter.leave(left), -1, everybody)
        self._counters.decided = upto
