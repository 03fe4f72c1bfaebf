"""Interactions ordered by caller, looked up by caller and by time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints, ascending, expand, find, runs
from transforms.columns.rules.interactions import Interactions, concat


@dataclass(frozen=True)
class Block:
    """A part of a history that is never changed; ``rows`` ascend by caller."""

    rows: Interactions

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _callers(self) -> tuple[Ints, Ints]:
        """Distinct callers, and where each one's interactions begin (and the last one's end)."""
        begin = runs(self.rows.caller)[0]
        return self.rows.caller[begin], np.append(begin, len(self.rows))

    @cached_property
    def _by_time(self) -> tuple[Ints, NDArray[np.int32]]:
        """Starts, ascending, and the positions of their interactions."""
        order = np.argsort(self.rows.start)
        return self.rows.start[order], order.astype(np.int32)

    def of(self, codes: Ints, since: int | None = None) -> Interactions:
        """The interactions of some callers (ascending), without those that start before ``since``."""
        callers, begin = self._callers
        position, there = find(callers, codes)
        position = position[there]
        rows = expand(begin[position], begin[position + 1] - begin[position])[1]
        if since is not None:
            rows = rows[self.rows.start[rows] >= since]
        return self.rows.take(rows)

    def starting(self, first: int, end: int) -> Interactions:
        """The interactions with ``first <= start < end``."""
        starts, order = self._by_time
        edge = np.searchsorted(starts, [first, end])
        return self.rows.take(order[edge[0] : edge[1]].astype(np.int64))


def block(parts: list[Interactions]) -> Block:
    """A block of some interactions in any order."""
    rows = concat(parts)
    return Block(rows if ascending(rows.caller) else rows.take(np.argsort(rows.caller, kind="stable")))


def tidy(blocks: tuple[Block, ...], small: int) -> tuple[Block, ...]:
    """Merges the last blocks until each is more than twice as large as the next, or the next ``small``.

    An interaction is merged about as often as their number can be halved, and there are few blocks to search.
    """
    kept = list(blocks)
    while len(kept) > 1 and (len(kept[-2]) < 2 * len(kept[-1]) or len(kept[-2]) < small):
        last, other = kept.pop(), kept.pop()
        kept.append(block([other.rows, last.rows]))
    return tuple(kept)
