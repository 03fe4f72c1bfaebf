"""Subscribers by number, and interactions ready to be counted by subscriber."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from transforms.columns.keytable import KeyTable
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.filters import abroad, passing
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Filter


class Roll:
    """Subscribers by number: 0, 1, 2 … as they came."""

    def __init__(self, codes: Ints) -> None:
        self._table = KeyTable(len(codes))
        self._table.add(codes.view(np.uint64))
        self._own = np.empty(0, np.uint16)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def codes(self) -> Ints:
        """Their party codes by number."""
        return self._table.keys.view(np.int64)

    def numbers(self, codes: Ints) -> Ints:
        """Their numbers; whoever is new gets the next one."""
        return self._table.find_or_add(codes.view(np.uint64))

    def known(self, codes: Ints) -> Ints:
        """The numbers of those of them that have one."""
        found = self._table.find(codes.view(np.uint64))
        return found[found >= 0]

    def own_regions(self, numbers: Ints, context: Context) -> NDArray[np.uint16]:
        """Own regions by number."""
        if len(self._own) < len(self):
            self._own = np.concatenate([self._own, context.regions_of(self.codes[len(self._own) :])])
        return self._own[numbers]

    def places(self, numbers: Iterable[Ints]) -> tuple[Ints, Ints]:
        """The distinct ones of these numbers in ascending order of codes, and by number its position there."""
        there = np.zeros(len(self), np.bool_)
        for some in numbers:
            there[some] = True
        who = np.flatnonzero(there)
        who = who[np.argsort(self.codes[who])]
        place = np.empty(len(self), np.int64)
        place[who] = np.arange(len(who))
        return who, place


class Some:
    """Some interactions and whose they are, and for each filter those of them that pass.

    Attributes:
        person: numbers in the roll.
        place: positions in a list of subscribers.
    """

    def __init__(self, rows: Interactions, person: Ints, place: Ints, roll: Roll, context: Context) -> None:
        self.rows, self.person, self.place = rows, person, place
        self._roll, self._context = roll, context
        self._kept: dict[Filter, Ints] = {}

    def passing(self, wanted: Filter) -> Ints:
        """The positions of those that pass a filter."""
        if wanted not in self._kept:
            mask = passing(wanted, lambda name: getattr(self.rows, name), lambda: self._abroad)
            self._kept[wanted] = np.arange(len(self.rows)) if mask is None else np.flatnonzero(mask)
        return self._kept[wanted]

    @cached_property
    def _abroad(self) -> Bools:
        own = self._roll.own_regions(self.person, self._context)
        return abroad(self.rows.called_region, own, self._context.words)

    def weights(self, wanted: Filter, rows: Ints) -> Ints | None:
        """What some rows weigh for a filter; None: 1 each."""
        return getattr(self.rows, wanted.weight)[rows] if wanted.weight else None

    def summed(self, wanted: Filter, rows: Ints, size: int) -> Ints:
        """Per subscriber of a list of so many, how many of these rows there are or what they weigh."""
        sums = np.bincount(self.place[rows], self.weights(wanted, rows), size)
        return sums.astype(np.int64, copy=False)
