"""A growing hash table from 64-bit keys to dense positions, worked by whole columns."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_MIX = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = -1
_Scalar = TypeVar("_Scalar", bound=np.generic)


class KeyTable:
    """Distinct keys, numbered 0, 1, 2, … as they come; open addressing at a load of at most one half."""

    def __init__(self, capacity: int = 1024) -> None:
        self._count = 0
        self._allocate(max(16, 2 * capacity))
        self._keys = np.empty(max(16, capacity), np.uint64)

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The keys in the order of their positions."""
        return self._keys[: self._count]

    def _allocate(self, slots: int) -> None:
        self._bits = int(slots - 1).bit_length()
        self._mask = (1 << self._bits) - 1
        self._slot_key = np.zeros(1 << self._bits, np.uint64)
        self._slot_at = np.full(1 << self._bits, _EMPTY, np.int64)

    def _slots(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (keys * _MIX >> np.uint64(64 - self._bits)).astype(np.int64)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of the keys, -1 where a key is not there."""
        found = np.full(len(keys), _EMPTY, np.int64)
        rows, slots = np.arange(len(keys)), self._slots(keys)
        while len(rows):
            at = self._slot_at[slots]
            used = at != _EMPTY
            hit = used & (self._slot_key[slots] == keys[rows])
            found[rows[hit]] = at[hit]
            going = used & ~hit
            rows, slots = rows[going], slots[going] + 1 & self._mask
        return found

    def find_or_add(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of the keys; those that were not there get new ones, in the order of their first row."""
        found = self.find(keys)
        missing = np.flatnonzero(found == _EMPTY)
        if len(missing):
            new, first, inverse = np.unique(keys[missing], return_index=True, return_inverse=True)
            rank = np.empty(len(new), np.int64)
            rank[np.argsort(first, kind="stable")] = np.arange(len(new))
            self._add(new[np.argsort(rank)])
            found[missing] = self._count - len(new) + rank[inverse]
        return found

    def _add(self, new: NDArray[np.uint64]) -> None:
        """Adds distinct keys that are not there."""
        count = self._count + len(new)
        if count > len(self._keys):
            self._keys = np.resize(self._keys, max(count, 2 * len(self._keys)))
        self._keys[self._count : count] = new
        start, self._count = self._count, count
        if 2 * count > len(self._slot_at):
            self._allocate(4 * count)
            start = 0
        self._place(self._keys[start:count], np.arange(start, count))

    def _place(self, keys: NDArray[np.uint64], at: NDArray[np.int64]) -> None:
        slots = self._slots(keys)
        while len(keys):
            free = self._slot_at[slots] == _EMPTY
            self._slot_at[slots[free]] = at[free]  # of several for one slot, the last one wins
            placed = self._slot_at[slots] == at
            self._slot_key[slots[placed]] = keys[placed]
            keys, at, slots = keys[~placed], at[~placed], slots[~placed] + 1 & self._mask


def grown(array: NDArray[_Scalar], size: int, fill: int = 0) -> NDArray[_Scalar]:
    """The array with room for ``size`` rows, at least doubled when it is too small; new rows hold ``fill``."""
    if size <= len(array):
        return array
    bigger: NDArray[Any] = np.full((max(size, 2 * len(array)), *array.shape[1:]), fill, array.dtype)
    bigger[: len(array)] = array
    return bigger
