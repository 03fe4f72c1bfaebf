"""Which interactions a filter lets pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Bools
from transforms.columns.rules.people import Words
from transforms.columns.rules.plan import UNKNOWN_REGION, Filter

_DENSE_LOOKUP: Final = 1 << 16
_RUNS: Final = 12  # of neighbouring values: fewer are compared with a column quicker than each is looked up


def abroad(region: NDArray[np.uint16], own: NDArray[np.uint16], words: Words) -> Bools:
    """Which interactions are international: to a known region that is not the subscriber's own."""
    return (region != words.regions.index(UNKNOWN_REGION)) & (region != own)


def passing(
    wanted: Filter, column: Callable[[str], NDArray[Any]], international: Callable[[], Bools]
) -> Bools | None:
    """Which interactions pass a filter; None: all of them.

    Args:
        wanted: the filter.
        column: gives a column of the interactions by name.
        international: gives which of them are international.
    """
    masks = [_one_of(column(name), values) for name, values in wanted.allowed]
    if wanted.abroad:
        masks.append(international())
    if wanted.weight:
        masks.append(np.greater(column(wanted.weight), 0))
    return reduce(np.logical_and, masks) if masks else None


def _one_of(column: NDArray[Any], values: tuple[int, ...]) -> Bools:
    """Which values of a column are among some ascending ones."""
    edges = [0, *(k for k in range(1, len(values)) if values[k] != values[k - 1] + 1), len(values)]
    if not values or len(edges) > _RUNS:
        lookup: Bools = np.zeros(256 if column.dtype == np.uint8 else _DENSE_LOOKUP, np.bool_)
        lookup[list(values)] = True
        return np.take(lookup, column)
    return reduce(np.logical_or, [_between(column, values[a], values[b - 1]) for a, b in pairwise(edges)])


def _between(column: NDArray[Any], low: int, high: int) -> Bools:
    return (
        np.equal(column, low) if low == high else np.greater_equal(column, low) & np.less_equal(column, high)
    )
