"""Duplicates: the first of each (caller, id) counts, and the unequal among the others are named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from record_sets import One, expected, ones, records_of

from transforms.columns.dedup import distinct_records, unequal


@settings(max_examples=60, deadline=None)
@given(ones())
def test_as_the_oracle_counts(records: list[One]) -> None:
    got, fates = distinct_records(records_of(records)), expected(records).fates
    assert len(got.records) == fates["good"]
    assert (got.duplicates, got.conflicting) == (fates["duplicate"], fates["conflicting"])


def test_the_first_is_kept_in_order() -> None:
    records = [
        One(id="a", duration=1),
        One(id="b", duration=2),
        One(id="a", duration=3),
        One(id="c", duration=4),
    ]
    got = distinct_records(records_of(records))
    assert got.records.duration.tolist() == [1, 2, 4]
    assert (got.duplicates, got.conflicting) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("called", "bob"),
        ("second", 5),
        ("offset", 3600),
        ("duration", 1),
        ("charge", 1),
        ("kind", 1),
        ("account", "A1"),
    ],
)
def test_every_field_makes_a_conflict(name: str, value: str | int) -> None:
    first = One(id="a")
    second = replace(first, **{name: value})
    assert distinct_records(records_of([first, second])).conflicting == 1
    assert distinct_records(records_of([first, first])).conflicting == 0
    assert unequal(records_of([first]), records_of([second])).tolist() == [True]


def test_an_id_is_the_callers_own() -> None:
    records = [One(id="a"), One(id="a", caller="100")]
    assert distinct_records(records_of(records)).duplicates == 0


def test_without_an_id_the_whole_record_is_the_id() -> None:
    records = [One(), One(), One(account="A1"), One(duration=61)]
    got = distinct_records(records_of(records))
    assert (len(got.records), got.duplicates, got.conflicting) == (3, 1, 0)
