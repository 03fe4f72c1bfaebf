"""Subscribers counted record by record are those counted at once."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, One, by_key, expected, ones, records_of, small_reference

from transforms.columns.callers import Callers
from transforms.columns.records import Records
from transforms.columns.subscribers import subscriber_rows
from transforms.columns.windows import Window

TYPES = small_reference().types
WINDOWS = [(0, 0), (86_400, 7200), (43_200, 18_000)]


def without_accounts(records: Records) -> Records:
    """As cleaning leaves a batch without a single account: neither accounts nor ids are kept."""
    if records.text["account_id"].null_count() < len(records):
        return records
    return Records(**{**vars_of(records), "text": {"caller_text": records.text["caller_text"]}})


def vars_of(records: Records) -> dict[str, Any]:
    return {name: getattr(records, name) for name in records.__dataclass_fields__}


def pieces(records: list[One], cuts: list[int]) -> list[Records]:
    bounds = [0, *sorted(cuts), len(records)]
    parts = [records_of(records[a:b]) for a, b in itertools.pairwise(bounds)]
    return [without_accounts(part) for part in parts if len(part)]


def rows(callers: Callers, log: list[Records], window: Window) -> dict[tuple, dict[str, Any]]:
    if not len(callers):
        return {}
    counts = callers.counts(callers.everyone(), log)
    return by_key("subscribers", subscriber_rows(counts, TYPES, window))


def distinct(records: list[One]) -> list[One]:
    """No duplicates, and no two of a caller at one moment: their order would decide the account."""
    return list({(r.caller, r.second): r for r in dict.fromkeys(records)}.values())


cuts = st.lists(st.integers(0, 40), max_size=4)


@settings(max_examples=40, deadline=None)
@given(ones(ids=False), st.sampled_from(WINDOWS), cuts, st.integers(0, 4))
def test_in_pieces_saved_and_restored(
    records: list[One], size: tuple[int, int], cuts: list[int], killed: int
) -> None:
    records, window = distinct(records), Window(*size)
    callers, log = Callers(TYPES, window), []
    saved = [callers.saved()]
    for number, part in enumerate(pieces(records, cuts)):
        callers.add(part)
        log.append(part)
        saved.append(callers.saved())
        if number == killed:
            restored = Callers(TYPES, window)
            for table in saved:
                restored.restore(table)
            assert restored.saved(everything=True).equals(callers.saved(everything=True))
            assert restored.population.tolist() == callers.population.tolist()
            callers = restored
    assert rows(callers, log, window) == expected(records, size).tables["subscribers"]
    hours = np.bincount(records_of(records).hour, minlength=24)
    assert callers.population.tolist() == hours.tolist()
    assert callers.hours(callers.everyone()).sum(axis=0).tolist() == hours.tolist()


def test_the_account_of_the_greatest_start_and_id_over_calls() -> None:
    later = One(second=BEGIN + 1, id="a", account="later")
    for first, second, account in [
        (One(id="b", account="B"), One(id="a", account="A"), "B"),
        (One(id="a", account="A"), One(id="b", account="B"), "B"),
        (One(id="a", account="A"), later, "later"),
        (later, One(id="z", account="Z"), "later"),
        (One(id="a", account="A"), One(id="b", second=BEGIN + 1), None),
    ]:
        callers = Callers(TYPES, Window())
        for record in (first, second):
            callers.add(without_accounts(records_of([record])))
        (row,) = rows(callers, [], Window()).values()
        assert row["account_id"] == account


def test_who_changed() -> None:
    callers = Callers(TYPES, Window())
    callers.add(records_of([One(), One(caller="100")]))
    assert len(callers.changed()) == 2
    callers.written(callers.changed())
    callers.add(records_of([One(caller="100", second=BEGIN + 1)]))
    assert callers.changed().tolist() == callers.positions_of(records_of([One(caller="100")]).caller).tolist()
    assert callers.positions_of(np.array([1])).tolist() == [-1]
    assert callers.saved().num_rows == 2
    assert callers.saved().num_rows == 0


def test_nobody() -> None:
    callers = Callers(TYPES, Window(60, 5))
    callers.add(records_of([]))
    callers.restore(callers.saved(everything=True))
    assert len(callers) == 0
    assert callers.hours(callers.everyone()).shape == (0, 24)
