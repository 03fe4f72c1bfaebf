"""Who calls when: the plan of one period, of which any slot can be looked at without making the others.

Every person has an exact number of interactions in a period. They are of four kinds: free in time, on the
planted weekday, in the planted hour, in both. All interactions of a kind that share the same weekday and hour
make a group of n; the group's slots deal the ranks 0..n-1 among them by the daily and weekly curves, and a
keyed bijection says whose interaction each rank is. So a slot knows its interactions from four ranges of
ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from callbeam_io.workload.clock import Slots, slots_of, zone_of
from callbeam_io.workload.mixing import I64, key_of, mix, permute, unit
from callbeam_io.workload.population import NONE, Population
from callbeam_io.workload.settings import WorkloadSettings
from callbeam_io.workload.shapes import F64, WEEKLY_CURVE, hour_shares

BLOCK: Final = 100_000
"""Interactions that are made at once, about: what memory holds of the data at any time."""
FREE, ON_DAY, IN_HOUR, IN_BOTH = range(4)
_GROUPS: Final = (1, 7, 24, 168)
_PARTS: Final = (1, 2, 3, 4, 6, 12, 30, 60, 120, 240, 360, 720, 1800, 3600)
_KINDS, _RANKS, _BLOCKS = 101, 102, 103


@dataclass(frozen=True)
class Block:
    """Interactions of some neighbouring slots in order of time.

    ``caller``: people first, then businesses; ``start`` in seconds since 1970 UTC; ``offset`` in seconds;
    ``first``: the first slot's start; ``rng``: for the rest.
    """

    caller: I64
    start: I64
    offset: npt.NDArray[np.int32]
    first: int
    rng: np.random.Generator


@dataclass(frozen=True)
class _Stack:
    """The interactions of one kind: callers in order of their groups, ``ends`` the running sum of their
    interactions, ``base`` and ``size`` of each group in it."""

    callers: I64
    ends: I64
    base: I64
    size: I64
    key: int

    def owners(self, ranks: I64, groups: I64) -> tuple[I64, I64]:
        """Whose interactions these ranks of these groups are; and which rank each is of, as positions.

        In order of callers: searching in a sorted order is several times faster, and time is drawn later.
        """
        cards = self.base[groups] + permute(ranks, self.size[groups], self.key)
        order = np.argsort(cards)
        return self.callers[np.searchsorted(self.ends, cards[order], side="right")], order


class Plan:
    """The interactions of period `period` (0 is the one from ``start``; -1 the one before it)."""

    def __init__(self, population: Population, period: int) -> None:
        self._settings = settings = population.settings
        self._period = period
        hourly = self._slots(3600)
        self._stacks = _stacks(population, hourly, period)
        most = int(_per_slot(self._ranges(hourly)).max(initial=0))
        parts = next((p for p in _PARTS if most <= p * BLOCK), _PARTS[-1])
        self.slots = self._slots(3600 // parts)
        self._bounds = self._ranges(self.slots)
        totals = _per_slot(self._bounds)
        self.total = int(totals.sum())
        bucket = (np.cumsum(totals) - totals) // BLOCK
        self._edges = np.append(np.flatnonzero(np.diff(bucket, prepend=-1)), len(totals))
        self._seed = key_of(settings.seed, _BLOCKS, period)

    @property
    def blocks(self) -> int:
        """How many blocks the period has."""
        return len(self._edges) - 1

    def span(self, block: int) -> tuple[int, int]:
        """From when to when the block is, seconds since 1970 UTC, half-open."""
        first, last = self._edges[block], self._edges[block + 1] - 1
        return int(self.slots.start[first]), int(self.slots.start[last]) + self.slots.length

    def block(self, block: int) -> Block:
        """The interactions of one block (0 <= block < `blocks`), the same whenever it is asked for."""
        rng = np.random.default_rng([self._seed, block])
        slots = slice(int(self._edges[block]), int(self._edges[block + 1]))
        drawn = [self._of_kind(kind, slots) for kind in range(4)]
        caller, slot = (np.concatenate(columns) for columns in zip(*drawn, strict=True))
        start = self.slots.start[slot] + rng.integers(0, self.slots.length, len(slot))
        order = np.argsort(start, kind="stable")
        slot = slot[order]
        first = int(self.slots.start[slots.start])
        return Block(caller[order], start[order], self.slots.offset[slot], first, rng)

    def _of_kind(self, kind: int, slots: slice) -> tuple[I64, I64]:
        """Callers and slots of the interactions of one kind."""
        groups, low, high = (column[slots] for column in self._bounds[kind])
        count = high - low
        slot = np.repeat(np.arange(len(count)), count)
        ranks = np.arange(len(slot)) - np.repeat(np.cumsum(count) - count - low, count)
        callers, order = self._stacks[kind].owners(ranks, groups[slot])
        return callers, slot[order] + slots.start

    def _slots(self, length: int) -> Slots:
        s = self._settings
        return slots_of(s.start + timedelta(hours=self._period * s.hours), s.hours, zone_of(s.zone), length)

    def _ranges(self, slots: Slots) -> list[tuple[I64, I64, I64]]:
        weights = _weights(self._settings, slots)
        return [
            _deal_ranks(groups, weights, stack.size)
            for groups, stack in zip(_groups(slots), self._stacks, strict=True)
        ]


def _weights(settings: WorkloadSettings, slots: Slots) -> F64:
    """How much happens in each slot, relatively."""
    weekly = np.array(WEEKLY_CURVE, dtype=np.float64)
    return hour_shares(settings.time_of_day)[slots.hour] * weekly[slots.weekday]


def _groups(slots: Slots) -> list[I64]:
    """Per kind the group that each slot belongs to."""
    weekday, hour = slots.weekday, slots.hour
    return [np.zeros(len(hour), dtype=np.int64), weekday, hour, weekday * 24 + hour]


def _per_slot(bounds: list[tuple[I64, I64, I64]]) -> I64:
    totals: I64 = np.sum([high - low for _, low, high in bounds], axis=0)
    return totals


def _deal_ranks(groups: I64, weights: F64, size: I64) -> tuple[I64, I64, I64]:
    """Per slot its group and the ranks [low, high) that it has of it: together they have all."""
    order = np.argsort(groups, kind="stable")
    sums, ordered = np.cumsum(weights[order]), groups[order]
    opens = np.flatnonzero(np.diff(ordered, prepend=-1))
    counts = np.diff(np.append(opens, len(ordered)))
    before = np.repeat(np.where(opens > 0, sums[opens - 1], 0.0), counts)
    whole = np.repeat(sums[opens + counts - 1], counts) - before
    part = np.divide(sums - before, whole, out=np.zeros_like(sums), where=whole > 0)
    high = np.floor(size[ordered] * part).astype(np.int64)
    low = np.roll(high, 1)
    low[opens] = 0
    back = np.argsort(order, kind="stable")
    return groups, low[back], high[back]


def _stacks(population: Population, hourly: Slots, period: int) -> list[_Stack]:
    """The interactions by kind; those of a planted time that the period has not are free."""
    s, people = population.settings, population.people
    kinds = _split(s, people.calls, people.habit_type != NONE, period)
    groups = _group_of_person(people.weekday.astype(np.int64), people.hour.astype(np.int64))
    for kind in (ON_DAY, IN_HOUR, IN_BOTH):
        there = np.bincount(_groups(hourly)[kind], minlength=_GROUPS[kind]) > 0
        lost = ~there[groups[kind]]
        kinds[FREE] += kinds[kind] * lost
        kinds[kind] *= ~lost
    calls = [np.concatenate([kinds[FREE], population.businesses.calls]), *kinds[1:]]
    groups[FREE] = np.zeros(len(calls[FREE]), dtype=np.int64)
    keys = [key_of(s.seed, _RANKS, period, kind) for kind in range(4)]
    return [_stack(*stack) for stack in zip(calls, groups, _GROUPS, keys, strict=True)]


def _group_of_person(weekday: I64, hour: I64) -> list[I64]:
    """Per kind the group that each person's planted times belong to (any, where there is no habit)."""
    weekday, hour = np.maximum(weekday, 0), np.maximum(hour, 0)
    return [np.zeros_like(hour), weekday, hour, weekday * 24 + hour]


def _split(s: WorkloadSettings, calls: I64, habit: npt.NDArray[np.bool_], period: int) -> I64:
    """Each person's interactions by kind, int64[4, people]: weekday and hour are followed independently."""
    strength = s.habit_strength
    shares = [(1 - strength) ** 2, strength * (1 - strength), (1 - strength) * strength]
    luck = unit(mix(np.arange(len(calls)), key_of(s.seed, _KINDS, period))) * 0.999
    ends = [np.floor(calls * share + luck) for share in (0.0, *np.cumsum(shares), 1.0)]
    split = np.diff(np.stack(ends), axis=0).astype(np.int64)
    split[:, ~habit] = 0
    split[FREE, ~habit] = calls[~habit]
    return split


def _stack(calls: I64, groups: I64, most: int, key: int) -> _Stack:
    callers = np.flatnonzero(calls)
    callers = callers[np.argsort(groups[callers], kind="stable")]
    own = calls[callers]
    size = np.bincount(groups[callers], weights=own, minlength=most).astype(np.int64)
    return _Stack(callers, np.cumsum(own), np.cumsum(size) - size, size, key)
