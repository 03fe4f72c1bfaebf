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
