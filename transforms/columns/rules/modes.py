"""The most frequent value of each subscriber's window, as it changes from pane end to pane end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints, expand
from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.spans import Spans, where_true
from transforms.columns.rules.table import Table

_CELLS = 400_000  # counts worked on at a time: they stay in the processor's cache
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
    key = ("category", leaf.column, leaf.category)
    if key not in table.kept:
        table.kept[key] = np.array(leaf.category, np.uint8)[column]
    return table.kept[key]


def older_counts(table: Table, leaf: Leaf, subscribers: Ints) -> Ints | None:
    """Counts per category of interactions no longer kept, one row per subscriber; None: none of them count."""
    if leaf.panes is not None or table.older is None:
        return None
    counts = table.older.counts(_MATRICES[leaf.condition.field], table.codes[subscribers])
    return counts if leaf.category is None else counts @ table.context.types.tag_matrix()


def _modes(events: Events, new: NDArray[np.bool_], width: int, older: Ints | None) -> Ints:
    """The mode after each event; ``new`` marks each subscriber's first event."""
    bits = width.bit_length()
    peak = len(events.number) + (int(older.max(initial=0)) if older is not None else 0)
    kind = np.int32 if peak << bits < 1 << 31 else np.int64
    rank = (width - 1 - np.arange(width, dtype=kind))[:, None]  # ties go to the smaller position
    carry, base = np.zeros((width, 1), kind), np.zeros((width, 1), kind)
    result, block, person = np.empty(len(events.number), np.int64), max(_CELLS // width, 256), 0
    for a in range(0, len(events.number), block):
        cut = slice(a, a + block)
        count = _running(events, cut, carry)
        first = np.flatnonzero(new[cut])
        before = count[:, first - 1]
        if len(first) and first[0] == 0:
            before[:, 0] = carry[:, 0]
        if older is not None:
            before = before - older[person : person + len(first)].T.astype(kind)
        person += len(first)
        carry = count[:, -1:].copy()
        base = np.hstack([base, before])
        count -= base[:, np.cumsum(new[cut])]
        base = base[:, -1:]
        count <<= bits
        count += rank
        best = np.maximum.reduce(count, axis=0)
        result[cut] = np.where(best >> bits > 0, width - 1 - (best & ((1 << bits) - 1)), -1)
    return result


def _running(events: Events, cut: slice, carry: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """Counts per category (rows) after each event of a block (columns), whoever's event it is."""
    change = events.change[cut]
    count = np.zeros((len(carry), len(change)), carry.dtype)
    count[events.category[cut], np.arange(len(change))] = change
    count[:, 0] += carry[:, 0]
    return np.cumsum(count, axis=1, out=count)
