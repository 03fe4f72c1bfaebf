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


def test_generations_are_forgotten_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SeenRecords()
    records = [One(second=BEGIN + k, id=str(k)) for k in range(40)]
    seen.new(records_of(records[:10]))
    seen.forget_before(BEGIN + 6)
    seen.forget_before(BEGIN + 60)
    assert len(seen) == 10, "too few to be worth it"
    monkeypatch.setattr(seen_module, "_WORTH_IT", 5)
    seen = SeenRecords()
    for begin in range(0, 40, 5):  # remembered for 12 seconds
        fresh, _ = seen.new(records_of(records[begin : begin + 5]))
        assert fresh.all()
        seen.forget_before(BEGIN + begin - 7)
        remembered = records_of(records[max(0, begin - 7) : begin + 5])
        assert seen.new(remembered)[0].sum() == 0
        assert len(seen._generations) <= 5
    assert len(seen) < 30
    fresh, conflicting = seen.new(records_of(records))
    assert 10 < fresh.sum() < 30
    assert conflicting == 0


def test_a_repeat_of_an_older_generation_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "_WORTH_IT", 1)
    seen = SeenRecords()
    for step in range(3):
        seen.new(records_of([One(second=BEGIN + step, id=str(step))]))
        seen.forget_before(BEGIN + step)
    assert len(seen._generations) > 1
    again = records_of([One(second=BEGIN + 2, id="2", duration=1), One(second=BEGIN + 2, id="2")])
    fresh, conflicting = seen.new(again)
    assert (fresh.tolist(), conflicting) == ([False, False], 1)
