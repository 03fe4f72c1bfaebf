"""A growing hash table from 64-bit keys to dense positions, worked by whole columns."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_MIX = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = -1
_BLOCK = 1 << 14  # keys at a time: the temporaries stay in the processor's cache
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
        self._slot_at = np.full(1 << self._bits, _EMPTY, np.int32)

    def _slots(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (keys * _MIX >> np.uint64(64 - self._bits)).view(np.int64)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of the keys, -1 where a key is not there."""
        found = np.empty(len(keys), np.int64)
        for begin in range(0, len(keys), _BLOCK):
            found[begin : begin + _BLOCK] = self._find(keys[begin : begin + _BLOCK])
        return found

    def _find(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        slots = self._slots(keys)
        found = self._slot_at.take(slots)
        going = np.flatnonzero((self._slot_key.take(slots) != keys) & (found != _EMPTY))
        keys, slots = keys[going], slots[going]
        while len(going):
            slots = slots + 1 & self._mask
            at = self._slot_at.take(slots)
            found[going] = at
            other = (self._slot_key.take(slots) != keys) & (at != _EMPTY)
            going, keys, slots = going[other], keys[other], slots[other]
        return found

    def find_or_add(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of the keys; those that were not there get new ones, in the order of their first row."""
        found = self.find(keys)
        missing = np.flatnonzero(found == _EMPTY)
        if len(missing):
            wanted = keys[missing]
            first = first_rows(wanted)
            new = np.flatnonzero(first == np.arange(len(wanted)))
            rank = np.empty(len(wanted), np.int64)
            rank[new] = np.arange(len(new))
            found[missing] = self._count + rank[first]
            self.add(wanted[new])
        return found

    def add(self, new: NDArray[np.uint64]) -> None:
        """Adds distinct keys of which it is known that they are not there; they get the next positions."""
        count = self._count + len(new)
        if count > len(self._keys):
            self._keys = np.resize(self._keys, max(count, 2 * len(self._keys)))
        self._keys[self._count : count] = new
        start, self._count = self._count, count
        if 2 * count > len(self._slot_at):
            self._allocate(4 * count)
            start = 0
        for begin in range(start, count, _BLOCK):
            end = min(begin + _BLOCK, count)
            self._place(self._keys[begin:end], np.arange(begin, end, dtype=np.int32))

    def _place(self, keys: NDArray[np.uint64], at: NDArray[np.int32]) -> None:
        slots = self._slots(keys)
        while len(keys):
            free = np.flatnonzero(self._slot_at.take(slots) == _EMPTY)
            self._slot_at[slots[free]] = at[free]  # of several for one slot, the last one wins
            placed = self._slot_at.take(slots) == at
            self._slot_key[slots[placed]] = keys[placed]
            left = np.flatnonzero(~placed)
            keys, at, slots = keys[left], at[left], slots[left] + 1 & self._mask


def first_rows(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Per key the first row that has it; many times as quick as NumPy's sorting."""
    bits = max((2 * len(keys)).bit_length(), 4)
    row_at = np.full(1 << bits, _EMPTY, np.int32)
    first = np.empty(len(keys), np.int64)
    going, slots = np.arange(len(keys)), (keys * _MIX >> np.uint64(64 - bits)).view(np.int64)
    while len(going):
        free = np.flatnonzero(row_at.take(slots) == _EMPTY)[::-1]
        row_at[slots[free]] = going[free]  # of several for one slot, the last one wins: the first row
        owner = row_at.take(slots)
        same = keys.take(owner) == keys.take(going)
        first[going[same]] = owner[same]
        going, slots = going[~same], slots[~same] + 1 & (1 << bits) - 1
    return first


def grown(array: NDArray[_Scalar], size: int, fill: int = 0) -> NDArray[_Scalar]:
    """The array with room for ``size`` rows, at least doubled when it is too small; new rows hold ``fill``."""
    if size <= len(array):
        return array
    bigger: NDArray[Any] = np.full((max(size, 2 * len(array)), *array.shape[1:]), fill, array.dtype)
    bigger[: len(array)] = array
    return bigger
