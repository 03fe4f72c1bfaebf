"""The best time to contact a subscriber: three hours with the most of their own and the population's activity."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.records import Records
from transforms.columns.subscribers import HOURS, Grouping

SPAN: Final = 3
POPULATION_WEIGHT: Final = 100
MIN_INTERACTIONS: Final = 8


def halves_by_hour(records: Records, grouping: Grouping) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Interactions by hour of each subscriber's older and newest half, two matrices m x 24.

    The newest half of n interactions are the n // 2 that are latest by start.
    """
    m = len(grouping)
    order = np.lexsort((records.start, grouping.group))
    group = grouping.group[order]
    size = np.bincount(group, minlength=m)
    rank = np.arange(len(group)) - (np.cumsum(size) - size)[group]
    newest = rank >= (size - size // 2)[group]
    cells = group * HOURS + records.hour[order]

    def matrix(rows: NDArray[np.bool_]) -> NDArray[np.uint32]:
        return np.bincount(cells[rows], minlength=m * HOURS).reshape(m, HOURS).astype(np.uint32)

    return matrix(~newest), matrix(newest)


def span_sums(hours: NDArray[np.generic]) -> NDArray[np.int64]:
    """Sums over the three hours that begin at each hour, wrapping midnight; last axis 24."""
    wide = hours.astype(np.int64)
    return sum((np.roll(wide, -k, axis=-1) for k in range(SPAN)), np.zeros_like(wide))


def best_span(hours: NDArray[np.uint32], population: NDArray[np.int64]) -> NDArray[np.int64]:
    """First hour of the best three hours of each subscriber, the earliest on ties.

    The score is the own count plus 100 times the population's share of that span, compared exactly: both
    sides times the population's total.

    Args:
        hours: m x 24 own interactions.
        population: 24 interactions of everybody.
    """
    total = max(int(population.sum()), 1)
    score = span_sums(hours) * total + POPULATION_WEIGHT * span_sums(population)
    return score.argmax(axis=1)


def contact_columns(
    older: NDArray[np.uint32], newest: NDArray[np.uint32], population: NDArray[np.int64]
) -> pl.DataFrame:
    """Columns ``contact_from``, ``contact_to`` (exclusive) and ``contact_hit_rate`` per subscriber.

    The hit rate is the share of the newest half of the interactions inside the span chosen from the older
    half, null under 8 interactions.
    """
    whole = older + newest
    chosen = best_span(whole, population)
    tried = best_span(older, population)
    hits = span_sums(newest)[np.arange(len(tried)), tried]
    size = newest.sum(axis=1)
    enough = whole.sum(axis=1) >= MIN_INTERACTIONS
    rate = np.where(enough, hits / np.maximum(size, 1), np.nan)
    return pl.DataFrame(
        {
            "contact_from": chosen.astype(np.int64),
            "contact_to": ((chosen + SPAN) % HOURS).astype(np.int64),
            "contact_hit_rate": pl.Series(rate).fill_nan(None),
        }
    )
