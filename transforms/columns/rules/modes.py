"""The most frequent value of each subscriber's window, as it changes from pane end to pane end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints, expand
from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.spans import Spans, where_true
from transforms.columns.rules.table import Table

_CELLS = 400_000  # counts worked on at a time: they stay in the processor's cache
_LANES = 32
_MATRICES = {"business_type": "types", "tag": "types", "best_hour": "hours", "best_weekday": "weekdays"}


class Steps(NamedTuple):
    """Modes by span of numbers: ``mode[i]`` from ``start[i]`` until ``end[i]``; -1 where there is no record."""

    start: Ints
    end: Ints
    mode: Ints

    def where(self, wanted: list[int]) -> Spans:
        """Where the mode is one of these."""
        lookup = np.zeros(257, np.bool_)
        lookup[wanted] = True  # the last one stands for -1
        return where_true(self.start, self.end, lookup[self.mode])


class Events(NamedTuple):
    """Comings (+1) and goings (-1) of categories, ascending by number; 0 where only a look is wanted."""

    number: Ints
    category: NDArray[np.uint8]
    change: NDArray[np.int32]


def steps(table: Table, leaf: Leaf, subscribers: Ints) -> Steps:
    """The steps of a profile field.

    Args:
        table: the interactions.
        leaf: a profile condition.
        subscribers: ascending positions of those that are wanted.
    """
    events = _events(table, leaf, subscribers)
    number, stride = events.number, table.clock.stride
    if not len(number):
        return Steps(number, number, number)
    owner = number // stride
    new = np.empty(len(number), np.bool_)
    new[0] = True
    np.not_equal(owner[1:], owner[:-1], out=new[1:])
    last = np.append(number[1:] != number[:-1], True)  # of several at one number the state after the last one
    mode = _modes(events, new, leaf.width, older_counts(table, leaf, owner[new]))[last]
    number, owner = number[last], owner[last]
    end = np.minimum(np.append(number[1:], table.size), (owner + 1) * stride)
    return Steps(number, end, mode)


def _events(table: Table, leaf: Leaf, subscribers: Ints) -> Events:
    count = np.diff(table.begin)[subscribers]
    everybody = len(subscribers) == len(table.codes)
    rows = slice(None) if everybody else expand(table.begin[subscribers], count)[1]
    number, category = table.number[rows], categories(table, leaf)[rows]
    clock = table.clock
    numbers, kinds, changes = [number], [category], [np.ones(len(number), np.int32)]
    if leaf.panes is None and table.older is not None:  # what is no longer kept counts before the first event
        numbers.append(subscribers * clock.stride)
        kinds.append(np.zeros(len(subscribers), np.uint8))
        changes.append(np.zeros(len(subscribers), np.int32))
    elif leaf.panes is not None:
        leave = number + min(leaf.panes, clock.widest)
        seen = np.repeat(subscribers * clock.stride + clock.high, count) >= leave
        numbers.append(leave[seen])
        kinds.append(category[seen])
        changes.append(np.full(len(numbers[-1]), -1, np.int32))
    if len(numbers) == 1 or not len(numbers[1]):
        return Events(number, category, changes[0])
    merged = np.concatenate(numbers)
    order = np.argsort(merged, kind="stable")  # two ascending runs: a merge
    return Events(merged[order], np.concatenate(kinds)[order], np.concatenate(changes)[order])


def categories(table: Table, leaf: Leaf) -> NDArray[np.uint8]:
    """Per interaction the category that a profile condition counts it in."""
    column = table.column(leaf.column)
    if leaf.category is None:
        return column
    lookup = np.array(leaf.category, np.uint8)
    return table.keep(("category", leaf.column, leaf.category), lambda: lookup[column])


def older_counts(table: Table, leaf: Leaf, subscribers: Ints) -> Ints | None:
    """Counts per category of interactions no longer kept, one row per subscriber; None: none of them count."""
    if leaf.panes is not None or table.older is None:
        return None
    counts = table.older.counts(_MATRICES[leaf.condition.field], table.codes[subscribers])
    return counts if leaf.category is None else counts @ table.context.words.types.tag_matrix()


def _modes(events: Events, new: NDArray[np.bool_], width: int, older: Ints | None) -> Ints:
    """The mode after each event; ``new`` marks each subscriber's first event.

    Per category a running score, count * 2^bits + rank, which falls to the next subscriber's at its first event.
    The greatest score names the mode: of equal counts the one of the smaller position has the higher rank.
    """
    bits = width.bit_length()
    peak = len(events.number) + (int(older.max(initial=0)) if older is not None else 0)
    kind = np.int32 if (peak + 1) << bits < 1 << 31 else np.int64
    resets = np.left_shift(_resets(events, new, width, older), bits).astype(kind)
    rank = (width - 1 - np.arange(width)).astype(kind)
    score, result, person = rank, np.empty(len(events.number), np.int64), 0
    lanes = max(min(_CELLS // width, len(events.number)) // _LANES, 1)
    place = (np.arange(_LANES) * (width * lanes) + np.arange(lanes)[:, None]).reshape(-1)
    rows = np.arange(width) * lanes
    for a in range(0, len(events.number), len(place)):
        cut = slice(a, a + len(place))
        first, category = np.flatnonzero(new[cut]), events.category[cut]
        change = np.zeros((_LANES, width, lanes), kind)
        flat = change.reshape(-1)
        flat[place[: len(category)] + rows[category]] = np.left_shift(events.change[cut].astype(kind), bits)
        flat[place[first][:, None] + rows] += resets[person : person + len(first)]
        person += len(first)
        score = _accumulate(change, score)
        best = np.maximum.reduce(change, axis=1).T.reshape(-1)[: len(category)]
        result[cut] = np.where(best >> bits > 0, width - 1 - (best & ((1 << bits) - 1)), -1)
    return result


def _resets(events: Events, new: NDArray[np.bool_], width: int, older: Ints | None) -> Ints:
    """What takes the counts at one subscriber's end to those at the next one's beginning, a row each."""
    person = np.cumsum(new) - 1
    size = int(person[-1]) + 1
    total = np.bincount(person * width + events.category, weights=events.change, minlength=size * width)
    start = np.zeros((size, width), np.int64) if older is None else older
    end = start + total.reshape(size, width).astype(np.int64)
    return start - np.vstack([np.zeros((1, width), np.int64), end[:-1]])


def _accumulate(change: NDArray[Any], score: NDArray[Any]) -> NDArray[Any]:
    """Turns changes into running sums that begin with ``score``; gives the last ones.

    Sums go down the lanes of all chunks at once, which the processor does many at a time, and then along the
    chunks: several times quicker than one long running sum.
    """
    for lane in range(1, _LANES):
        change[lane] += change[lane - 1]
    along = np.cumsum(change[-1], axis=1)
    change[:, :, 1:] += along[:, :-1].astype(change.dtype)
    change += score[:, None]
    return change[-1, :, -1].copy()
