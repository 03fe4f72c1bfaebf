"""Names of array types, and the few array idioms that NumPy has no word for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def expand(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """All positions of ranges: (which range, position) for ``first[i] … first[i] + count[i] - 1``."""
    which = np.repeat(np.arange(len(first)), count)
    before = np.cumsum(count) - count
    return which, np.arange(len(which)) - (before - first)[which]


def find(codes: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Position of each wanted code in ascending ``codes``, and whether it is there (else position 0)."""
    if not len(codes):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    position = np.searchsorted(codes, wanted)
    position[position == len(codes)] = 0
    return position, codes[position] == wanted


def ceil_div(value: int, step: int) -> int:
    """The least k with ``k * step >= value``."""
    return -(-value // step)


def chunks(count: Ints, most: int) -> list[slice]:
    """Runs of positions whose counts add up to about ``most`` at the most (single ones may be larger)."""
    if not len(count):
        return []
    block = (np.cumsum(count) - 1) // most
    edges = np.flatnonzero(np.diff(block)) + 1
    return [slice(int(a), int(b)) for a, b in zip([0, *edges], [*edges, len(count)], strict=True)]


def ascending(values: Ints) -> bool:
    """Whether no value is less than the one before."""
    return bool((values[1:] >= values[:-1]).all())


def changes(values: Ints) -> Ints:
    """First positions of the runs of equal neighbours."""
    return np.flatnonzero(_new(values))


def _new(values: Ints) -> Bools:
    new = np.empty(len(values), np.bool_)
    new[:1] = True
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def runs(values: Ints) -> tuple[Ints, Ints]:
    """First positions of the runs of equal neighbours, and per value the number of its run, from 0."""
    new = _new(values)
    return np.flatnonzero(new), np.cumsum(new.astype(np.int64)) - 1  # quicker than of truths


def distinct(values: Ints) -> Ints:
    """The distinct values, ascending; quicker than by hashing, as NumPy does it."""
    ordered = np.sort(values)
    return ordered[changes(ordered)]


def sort_packed(values: Ints, order: Ints | None, bound: int) -> tuple[Ints, Ints | None]:
    """Values from 0 to ``bound`` (excluded) in ascending order, and ``order`` rearranged with them.

    Values with their positions in the lower bits sort some five times quicker than positions by their values.
    """
    if ascending(values):
        return values, order
    bits = len(values).bit_length()
    if bound.bit_length() + bits < 63:
        packed = np.sort((values << bits) | np.arange(len(values)))
        values, step = packed >> bits, packed & ((1 << bits) - 1)
    else:
        step = np.argsort(values, kind="stable")
        values = values[step]
    return values, step if order is None else order[step]
