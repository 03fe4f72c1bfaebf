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
_BITS: Final = 5  # hold an hour


def halves_by_hour(records: Records, grouping: Grouping) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Interactions by hour of each subscriber's older and newest half, two matrices m x 24.

    The newest half of n interactions are the n // 2 that are latest by start.
    """
    m = len(grouping)
    order = _by_group_and_start(records, grouping)
    size = np.bincount(grouping.group, minlength=m)
    newest = np.arange(len(order)) >= np.repeat(np.cumsum(size) - size // 2, size)
    cells = records.hour[order].astype(np.int64)
    cells[newest] += HOURS
    cells *= m
    cells += np.repeat(np.arange(m), size)
    halves = np.bincount(cells, minlength=2 * HOURS * m).astype(np.uint32).reshape(2, HOURS, m)
    return halves[0].T, halves[1].T


def _by_group_and_start(records: Records, grouping: Grouping) -> NDArray[np.int64]:
    """Positions of the records by subscriber, those of one subscriber by start."""
    start, group = records.start, grouping.group
    if len(grouping) <= 1 << 16:
        group = group.astype(np.uint16)  # which NumPy sorts by counting
    if (start[1:] >= start[:-1]).all():  # most files are in order of time
        return np.argsort(group, kind="stable")
    by_start = np.argsort(start, kind="stable")
    return by_start[np.argsort(group[by_start], kind="stable")]


def span_sums(hours: NDArray[np.generic]) -> NDArray[np.int64]:
    """Sums over the three hours that begin at each hour, wrapping midnight; last axis 24."""
    wide = np.concatenate([hours, hours[..., : SPAN - 1]], axis=-1).astype(np.int64)
    return sum(wide[..., k : k + HOURS] for k in range(SPAN))  # type: ignore[return-value]


def best_span(hours: NDArray[np.uint32], population: NDArray[np.int64]) -> NDArray[np.int64]:
    """First hour of the best three hours of each subscriber, the earliest on ties.

    The score is the own count plus 100 times the population's share of that span, compared exactly: as whole
    number, then by the rest of the division.

    Args:
        hours: m x 24 own interactions.
        population: 24 interactions of everybody.
    """
    whole, rest = np.divmod(POPULATION_WEIGHT * span_sums(population), max(int(population.sum()), 1))
    _, rank = np.unique(rest, return_inverse=True)
    last = (1 << _BITS) - 1
    share = ((whole << _BITS | rank) << _BITS) + (
        last - np.arange(HOURS)
    )  # of equal ones the earliest counts
    own = hours.T.astype(np.int64)
    own <<= 2 * _BITS
    top = np.zeros(len(hours), np.int64)
    for hour in range(HOURS):  # whole columns one by one: an argmax over short rows is several times slower
        score = own[hour] + share[hour]
        score += own[(hour + 1) % HOURS]
        score += own[(hour + 2) % HOURS]
        np.maximum(top, score, out=top)
    return last - (top & last)


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
    everybody = np.arange(len(tried))
    hits = sum(newest[everybody, (tried + k) % HOURS].astype(np.int64) for k in range(SPAN))
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
