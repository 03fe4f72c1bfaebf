"""The most frequent value of each subscriber's window, as it changes from pane end to pane end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints, expand, runs
from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.spans import Spans, merged
from transforms.columns.rules.table import Table

_CELLS = 400_000  # counts worked on at a time: they stay in the processor's cache
_LANES = 32


class Steps(NamedTuple):
    """Modes after events in ascending order of their numbers, -1 where there is no record.

    Of several events at one number the last one counts. A mode lasts until the next event, and not beyond its
    subscriber's numbers, which are ``stride`` many.
    """

    number: Ints
    mode: NDArray[Any]
    stride: int

    def where(self, wanted: list[int]) -> Spans:
        """Where the mode is one of these."""
        lookup = np.zeros(257, np.bool_)
        lookup[wanted] = True  # the last one stands for -1
        place = np.flatnonzero(lookup[self.mode])
        start = self.number[place]
        end = (start // self.stride + 1) * self.stride
        followed = place[: np.searchsorted(place, len(self.number) - 1)]
        end[: len(followed)] = np.minimum(end[: len(followed)], self.number[followed + 1])
        return merged(start, end)


class Events(NamedTuple):
    """Comings (+1) and goings (-1) of categories, ascending by number; 0 where only a look is wanted."""

    number: Ints
    category: NDArray[np.uint8]
    change: NDArray[np.int8]


def steps(table: Table, leaf: Leaf, subscribers: Ints) -> Steps:
    """The steps of a profile field.

    Args:
        table: the interactions.
        leaf: a profile condition.
        subscribers: ascending positions of those that are wanted.
    """
    events = _events(table, leaf, subscribers)
    if not len(events.number):
        return Steps(events.number, events.number, table.clock.stride)
    first, person = runs(events.number // table.clock.stride)
    older = older_counts(table, leaf, events.number[first] // table.clock.stride)
    mode = _modes(events, first, _resets(events, person, leaf.width, older), leaf.width)
    return Steps(events.number, mode, table.clock.stride)


def _events(table: Table, leaf: Leaf, subscribers: Ints) -> Events:
    count = np.diff(table.begin)[subscribers]
    everybody = len(subscribers) == len(table.codes)
    rows = slice(None) if everybody else expand(table.begin[subscribers], count)[1]
    number, category = table.number[rows], categories(table, leaf)[rows]
    clock, came = table.clock, np.ones(len(number), np.int8)
    if leaf.panes is not None:
        leave = number + min(leaf.panes, clock.widest)
        seen = np.flatnonzero(np.repeat(subscribers * clock.stride + clock.high, count) >= leave)
        more, change = (leave[seen], category[seen]), -1
    elif table.older is not None:  # what is no longer kept counts before the first event
        more, change = (subscribers * clock.stride, np.zeros(len(subscribers), np.uint8)), 0
    else:
        return Events(number, category, came)
    if not len(more[0]):
        return Events(number, category, came)
    number, category = np.concatenate([number, more[0]]), np.concatenate([category, more[1]])
    changes = np.concatenate([came, np.full(len(more[0]), change, np.int8)])
    order = np.argsort(number, kind="stable")  # two ascending runs: a merge
    return Events(number[order], category[order], changes[order])


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
    counts = table.older.by_value(leaf.column, table.codes[subscribers])
    return counts if leaf.category is None else counts @ table.context.words.types.tag_matrix()


def _resets(events: Events, person: Ints, width: int, older: Ints | None) -> NDArray[Any]:
    """What takes the counts at one subscriber's end to those at the next one's beginning, a row each.

    Their type is wide enough for the scores of `_modes`.
    """
    size = int(person[-1]) + 1
    weights = None if events.change.all() and events.change.min() > 0 else events.change
    cells = person * width + events.category
    end = np.bincount(cells, weights, size * width).reshape(size, width)
    peak = int(np.bincount(person).max()) + (0 if older is None else int(older.max(initial=0)))
    resets = np.zeros((size, width), _kind(peak, width))
    if older is not None:
        end = end + older
        resets += older.astype(resets.dtype)
    resets[1:] -= end[:-1].astype(resets.dtype)
    return resets


def _kind(peak: int, width: int) -> type[np.signedinteger[Any]]:
    """The narrowest type that holds scores of counts up to ``peak``."""
    bits = (peak + 1).bit_length() + width.bit_length()
    return np.int16 if bits < 15 else np.int32 if bits < 31 else np.int64


def _modes(events: Events, first: Ints, resets: NDArray[Any], width: int) -> NDArray[Any]:
    """The mode after each event.

    Per category a running score, count * 2^bits + rank, which falls to the next subscriber's at its first event.
    The greatest score names the mode: of equal counts the one of the smaller position has the higher rank. Sums
    on the way to a score may not fit into its type: they go round, and come back.

    Args:
        events: of all subscribers.
        first: positions of each subscriber's first event.
        resets: of the counts, see `_resets`.
        width: number of categories.
    """
    kind, bits, size = resets.dtype.type, width.bit_length(), len(events.number)
    result = np.empty(size, kind)
    resets = resets << bits
    score = (width - 1 - np.arange(width)).astype(kind)
    pieces = -(-size * width // _CELLS)
    lanes = -(-size // (pieces * _LANES))
    place = (np.arange(_LANES) * (width * lanes) + np.arange(lanes)[:, None]).reshape(-1)
    rows = np.arange(width) * lanes
    edges = np.searchsorted(first, np.arange(pieces + 1) * len(place))
    for piece in range(pieces):
        begin = piece * len(place)
        cut, new = slice(begin, begin + len(place)), slice(edges[piece], edges[piece + 1])
        category = events.category[cut]
        change = np.zeros((_LANES, width, lanes), kind)
        flat = change.reshape(-1)
        flat[place[: len(category)] + rows[category]] = events.change[cut] * kind(1 << bits)
        flat[place[first[new] - begin][:, None] + rows] += resets[new]
        best, score = _greatest(change, score)
        result[cut] = best[: len(category)]
    none = result >> bits == 0
    result = width - 1 - (result & kind((1 << bits) - 1))
    result[none] = -1
    return result


def _greatest(change: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The greatest score after each change, and the scores after the last one.

    Changes stand one after the other down the lanes and then along the columns. A column's sum takes the scores
    to the next one's beginning; then the processor works on the changes of all columns at once.
    """
    total = np.add.reduce(change, axis=0, dtype=change.dtype)
    running = np.cumsum(total, axis=1, dtype=change.dtype)
    running += score[:, None]
    last = running[:, -1].copy()
    running -= total
    best = np.empty((_LANES, change.shape[2]), change.dtype)
    for lane in range(_LANES):
        running += change[lane]
        np.maximum.reduce(running, axis=0, out=best[lane])
    return best.T.reshape(-1), last
