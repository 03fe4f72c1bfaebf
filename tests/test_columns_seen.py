"""Which records were seen before: by caller and id, for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, One, expected, ones, records_of

from transforms.columns import seen as seen_module
from transforms.columns.seen import SeenRecords


@settings(max_examples=40, deadline=None)
@given(ones(), st.integers(0, 40))
def test_in_calls_as_at_once(records: list[One], cut: int) -> None:
    seen = SeenRecords()
    results = [seen.new(records_of(part)) for part in (records[:cut], records[cut:])]
    fates = expected(records).fates
    assert sum(int(fresh.sum()) for fresh, _ in results) == fates["good"] == len(seen)
    assert sum(conflicting for _, conflicting in results) == fates["conflicting"]
    again, conflicting = seen.new(records_of(records))
    assert not again.any()
    assert conflicting == fates["conflicting"]


@pytest.mark.parametrize(
    "change", [{"called": "bob"}, {"second": 5}, {"offset": 60}, {"duration": 1}, {"charge": 1}, {"kind": 1}]
)
def test_conflicts(change: dict[str, str | int]) -> None:
    seen, first = SeenRecords(), One(id="a")
    seen.new(records_of([first]))
    fresh, conflicting = seen.new(records_of([replace(first, **change), first]))
    assert (fresh.tolist(), conflicting) == ([False, False], 1)


def test_an_account_that_is_missing_in_a_batch_is_an_empty_one() -> None:
    seen = SeenRecords()
    records = records_of([One(id="a")])
    seen.new(records)
    bare = replace(records, text={k: v for k, v in records.text.items() if k != "account_id"})
    assert seen.new(bare)[1] == 0
    assert seen.new(records_of([One(id="a", account="A1")]))[1] == 1


def test_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SeenRecords()
    records = [One(second=BEGIN + k, id=str(k)) for k in range(10)]
    seen.new(records_of(records))
    seen.forget_before(BEGIN + 6)
    assert len(seen) == 10, "too few to be worth a sweep"
    seen._sweep_at = 10
    monkeypatch.setattr(seen_module, "_FIRST_SWEEP", 10)
    seen.forget_before(BEGIN + 6)
    assert len(seen) == 4
    fresh, conflicting = seen.new(records_of(records))
    assert fresh.tolist() == [True] * 6 + [False] * 4
    assert conflicting == 0
