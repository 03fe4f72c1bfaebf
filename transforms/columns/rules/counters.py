"""What conditions count, kept from one call to the next.

It costs a few nanoseconds per interaction and filter, and tells for whom a rule cannot fire (`bounds`), so that few
subscribers' interactions have to be looked at again. No result depends on it: counters that do not stand where
the history stands begin anew from its interactions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.counting import ENDLESS, Distincts, Shares, Sums, Window, counter_of
from transforms.columns.rules.history import History
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Filter
from transforms.columns.rules.roll import Roll, Some


class Call(NamedTuple):
    """What one call looks at: the pane ends ``after < t <= upto``, multiples of ``pane`` seconds.

    Attributes:
        history: with everything that has arrived.
        context: names and own regions.
    """

    history: History
    context: Context
    after: int
    upto: int
    pane: int

    def passing(self, panes: int) -> Interactions:
        """The interactions that leave windows of so many panes; of 0 panes: that enter any."""
        return self.history.starting(self.edge(self.after, panes), self.edge(self.upto, panes))

    def edge(self, end: int, panes: int) -> int:
        """The second at which a window of so many panes begins that ends at ``end``."""
        return (end // self.pane - panes) * self.pane


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
        self.kept: dict[Window, Sums] = {}

    def forget(self, panes: int) -> None:
        """Forgets windows that end but are longer than this: the history has lost interactions in them."""
        self.kept = {w: kept for w, kept in self.kept.items() if not panes < w.panes < ENDLESS}

    def stand(self, windows: Collection[Window], call: Call) -> None:
        """Counts exactly these windows, at the history's last decided pane end, late interactions included."""
        history = call.history
        if self.decided != history.decided:
            self.roll, self.kept, self.decided = Roll(history.people.codes), {}, history.decided
        missing = [window for window in windows if window not in self.kept]
        self.kept = {w: self.kept.get(w) or counter_of(w) for w in windows}
        self.grow()
        if history.decided is None:
            return
        for part in history.blocks if missing else ():
            self._count(part.rows.take(part.rows.start < history.decided), missing, call)
        older = history.people.older
        for window in missing if older else ():
            if older and window.panes == ENDLESS:
                cast(Shares, self.kept[window]).remember(older, self.roll)
        self._count(history.late(), windows, call)

    def grow(self) -> None:
        """Makes room for everybody on the roll."""
        for counter in self.kept.values():
            counter.grow(len(self.roll))

    def _count(self, rows: Interactions, windows: Collection[Window], call: Call) -> None:
        """Counts interactions that start before the call."""
        if not len(rows):
            return
        person = self.roll.numbers(rows.caller)
        self.grow()
        for panes in {window.panes for window in windows}:
            inside = np.flatnonzero(rows.start >= call.edge(call.after, panes))
            some = Some(rows.take(inside), person[inside], person[inside], self.roll, call.context)
            for window in windows:
                if window.panes == panes:
                    self.kept[window].change(some, 1)


class Step:
    """The changes of one call, by subscriber.

    Attributes:
        who: numbers of the subscribers spoken of, in ascending order of their ``codes``.
        new: who of them had not been seen before.
    """

    def __init__(self, counters: Counters, call: Call, others: Ints) -> None:
        """Gives numbers to subscribers who are new.

        Args:
            counters: as they stand at the beginning of the call.
            call: what is looked at.
            others: codes of more subscribers to speak of; those who have not been seen are left out.
        """
        self._counters, self._call, roll = counters, call, counters.roll
        others, seen = roll.known(others), len(roll)
        parts = {panes: call.passing(panes) for panes in {0, *(w.panes for w in counters.kept)}}
        person = {panes: roll.numbers(rows.caller) for panes, rows in parts.items()}
        counters.grow()
        self.who, place = roll.places([others, *person.values()])
        self.codes, self.new = roll.codes[self.who], self.who >= seen
        self._some = {
            panes: Some(rows, person[panes], place[person[panes]], roll, call.context)
            for panes, rows in parts.items()
        }
        self._sums: dict[tuple[Filter, int], Ints] = {}
        self._new_values: dict[Window, Ints] = {}

    def own_regions(self, at: Ints) -> NDArray[np.uint16]:
        """The own regions of some (positions in ``who``)."""
        return self._counters.roll.own_regions(self.who[at], self._call.context)

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
            window: of a count, a sum or different values.
            at: for whom, positions in ``who``.
        """
        counter = self._counters.kept[window]
        if isinstance(counter, Distincts):
            new = self._new(window, counter)[at]
            high = counter.now[self.who[at]].astype(np.int64)
            low = high - new
        else:
            low = counter.now[self.who[at]].astype(np.int64)
            high = low + self.moving(window.filter, 0)[at]
        if len(self._some[window.panes].rows):  # each may take another value with it
            low = np.maximum(low - self.moving(window.filter, window.panes)[at], 0)
        return low, high

    def _new(self, window: Window, counter: Distincts) -> Ints:
        """How many different values enter a window, once they have."""
        if window not in self._new_values:
            place = self._some[0].place[counter.enter(self._some[0])]
            self._new_values[window] = np.bincount(place, minlength=len(self.who))
        return self._new_values[window]

    def shares_between(self, window: Window, at: Ints) -> tuple[Ints, Ints]:
        """The same of a window with shares: arrays of len(at) x positions."""
        counter = cast(Shares, self._counters.kept[window])
        low = high = counter.now[self.who[at]]
        row = np.full(len(self.who), -1)
        row[at] = np.arange(len(at))

        def moving(some: Some) -> Ints:
            rows = np.flatnonzero(row[some.place] >= 0)
            cell = row[some.place[rows]] * counter.width + counter.position(some, rows)
            return np.bincount(cell, minlength=low.size).reshape(low.shape)

        if len(self._some[window.panes].rows):
            low = np.maximum(low - moving(self._some[window.panes]), 0)
        return low, high + moving(self._some[0])

    def finish(self) -> None:
        """Lets the counters stand at the end of the call."""
        for window, counter in self._counters.kept.items():
            if window not in self._new_values:  # these have entered already
                counter.change(self._some[0], 1)
            counter.change(self._some[window.panes], -1)
        self._counters.decided = self._call.upto
