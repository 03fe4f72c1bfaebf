"""The best three hours: ties, midnight, the population's share, and how often the choice would have been right."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, One, ones, records_of

from transforms.columns.contact import best_span, contact_columns, halves_by_hour, span_sums
from transforms.columns.subscribers import group_by_caller

NOBODY = np.zeros(24, np.int64)


def hours(**counts: int) -> np.ndarray:
    """One subscriber's interactions: ``h9=2`` is two at nine."""
    row = np.zeros((1, 24), np.uint32)
    for name, n in counts.items():
        row[0, int(name[1:])] = n
    return row


def naive_best(own: list[int], population: list[int]) -> int:
    total = sum(population) or 1

    def score(start: int) -> Fraction:
        span = [(start + k) % 24 for k in range(3)]
        return sum(own[h] for h in span) + Fraction(100 * sum(population[h] for h in span), total)

    return max(range(24), key=lambda h: (score(h), -h))


counts = st.lists(st.integers(0, 4), min_size=24, max_size=24)


@settings(max_examples=80, deadline=None)
@given(st.lists(counts, min_size=1, max_size=4), counts)
def test_the_best_span_in_exact_fractions(own: list[list[int]], population: list[int]) -> None:
    got = best_span(np.array(own, np.uint32), np.array(population, np.int64))
    assert got.tolist() == [naive_best(o, population) for o in own]


@pytest.mark.parametrize(
    ("own", "first", "end"),
    [
        (hours(), 0, 3),
        (hours(h9=1), 7, 10),
        (hours(h9=1, h11=1), 9, 12),
        (hours(h9=1, h20=1), 7, 10),
        (hours(h23=2, h0=2, h1=1), 23, 2),
        (hours(h21=1, h22=1, h23=1), 21, 0),
    ],
)
def test_spans(own: np.ndarray, first: int, end: int) -> None:
    columns = contact_columns(own, np.zeros_like(own), NOBODY)
    assert columns.row(0)[:2] == (first, end)


def test_sums_wrap_midnight() -> None:
    assert span_sums(np.arange(24))[[0, 21, 22, 23]].tolist() == [3, 66, 45, 24]


@pytest.mark.parametrize(("n", "known"), [(7, False), (8, True)])
def test_the_hit_rate_needs_eight(n: int, known: bool) -> None:
    records = records_of([One(second=BEGIN + 9 * 3600 + k) for k in range(n)])
    columns = contact_columns(*halves_by_hour(records, group_by_caller(records)), NOBODY)
    assert columns["contact_hit_rate"].to_list() == [1.0 if known else None]


def test_the_odd_one_is_of_the_older_half() -> None:
    at = [9, 9, 9, 9, 9, 10, 20, 21, 22]  # hours of nine interactions, in order
    records = records_of([One(second=BEGIN + h * 3600 + k) for k, h in enumerate(at)][::-1])
    older, newest = halves_by_hour(records, group_by_caller(records))
    assert older[0].nonzero()[0].tolist() == [9]
    assert newest[0].nonzero()[0].tolist() == [10, 20, 21, 22]
    assert contact_columns(older, newest, NOBODY)["contact_hit_rate"].to_list() == [0.0]
    early = np.zeros(24, np.int64)
    early[10] = 1  # the population decides among the spans that hold nine
    assert contact_columns(older, newest, early)["contact_hit_rate"].to_list() == [0.25]


@settings(max_examples=30, deadline=None)
@given(ones(ids=False))
def test_halves(records: list[One]) -> None:
    columns = records_of(records)
    grouping = group_by_caller(columns)
    older, newest = halves_by_hour(columns, grouping)
    sizes = np.bincount(grouping.group, minlength=len(grouping))
    assert newest.sum(axis=1).tolist() == (sizes // 2).tolist()
    assert older.sum(axis=1).tolist() == (sizes - sizes // 2).tolist()
    assert (older + newest).sum(axis=0).tolist() == np.bincount(columns.hour, minlength=24).tolist()
