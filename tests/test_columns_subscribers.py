"""T4 and T5 against the oracle, whatever way subscribers are spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, One, by_key, expected, ones, records_of, small_reference
from threeways import three_ways

from transforms.columns.records import Records
from transforms.columns.subscribers import (
    Grouping,
    count_subscribers,
    group_by_caller,
    in_last_window,
    mode,
    subscriber_rows,
)
from transforms.columns.windows import Window

WINDOWS = [(0, 0), (86_400, 86_400), (86_400, 7200), (43_200, 18_000)]
TYPES = small_reference().types


def profile(records: Records, window: Window) -> pl.DataFrame:
    """Rows of some distinct records: all of their subscribers' records are among them."""
    grouping = group_by_caller(records)
    inside = in_last_window(records, grouping, window)
    counts = count_subscribers(records.take(inside), Grouping(grouping.codes, grouping.group[inside]), TYPES)
    return subscriber_rows(counts, TYPES, window)


@settings(max_examples=25, deadline=None)
@given(ones(ids=False), st.sampled_from(WINDOWS), st.integers(0, 99))
def test_three_ways(records: list[One], size: tuple[int, int], seed: int) -> None:
    """The parts here are subscribers: that is how they are sharded."""
    records = [r for r in dict.fromkeys(records) if _unambiguous(r, records)]
    callers = sorted({r.caller for r in records})

    def count(part: Sequence[str]) -> pl.DataFrame:
        return profile(records_of([r for r in records if r.caller in part]), Window(*size))

    rows = three_ways(callers, count, pl.concat, lambda f: by_key("subscribers", f), seed)
    assert rows == expected(records, size).tables["subscribers"]


def _unambiguous(one: One, records: list[One]) -> bool:
    """Without ids the account of two records of one moment is anybody's guess."""
    return not any(
        r.caller == one.caller and r.second == one.second and r.account != one.account for r in records
    )


@settings(max_examples=15, deadline=None)
@given(ones(), st.integers(0, 40))
def test_a_shuffle_changes_nothing(records: list[One], cut: int) -> None:
    records = list({(r.caller, r.id): r for r in records if r.id}.values())
    rows = [
        by_key("subscribers", profile(records_of(part), Window()))
        for part in (records, records[cut:] + records[:cut])
    ]
    assert rows[0] == rows[1]


def test_the_account_of_the_greatest_start_and_id() -> None:
    records = [One(id="b", account="B"), One(id="c", account=""), One(id="a", account="A")]
    assert profile(records_of(records), Window())["account_id"].to_list() == [None]
    assert profile(records_of(records[::2]), Window())["account_id"].to_list() == ["B"]
    later = One(id="0", account="late", second=BEGIN + 1)
    assert profile(records_of([later, *records]), Window())["account_id"].to_list() == ["late"]


@pytest.mark.parametrize(
    ("called", "international"),
    [("+12025550101", 0), ("+33123456789", 1), ("+18095550111", 1), ("bob", 0), ("100", 0)],
)
def test_international(called: str, international: int) -> None:
    assert profile(records_of([One(called=called)]), Window())["international"].to_list() == [international]
    own = One(caller="100", called=called)  # a party without a region is abroad wherever it calls
    assert profile(records_of([own]), Window())["international"].to_list() == [called.startswith("+")]


def test_the_tag_whose_types_sum_highest() -> None:
    calls = [("+33123456789", 3), ("+12025550101", 2), ("+12025550102", 2)]
    records = [One(called=c, id=f"{c}{n}") for c, times in calls for n in range(times)]
    row = profile(records_of(records), Window()).to_dicts()[0]
    assert (row["business_type"], row["business_type_count"]) == ("School", 3)
    assert (row["tag"], row["tag_count"]) == ("Money", 4)


def test_ties_go_to_the_first() -> None:
    best, count = mode(np.array([[0, 2, 2], [0, 0, 0], [1, 1, 1]]))
    assert (best.tolist(), count.tolist()) == ([1, 0, 0], [2, 0, 1])


def test_nobody() -> None:
    assert profile(records_of([]), Window()).height == 0
    counts = count_subscribers(records_of([One()]), group_by_caller(records_of([One()])), TYPES)
    assert len(counts.take(np.array([], np.int64))) == 0


def test_callers_with_one_hash_stay_apart() -> None:
    mix = 0x9E37_79B9_7F4A_7C15
    other = (12025550123 * mix + 64) * pow(mix, -1, 1 << 64) % (1 << 64)  # the same but for its last bits
    callers = np.array([12025550123, other, 12025550123, other] * 8, np.uint64).view(np.int64)
    blank = np.zeros(len(callers), np.int64)
    records = Records(callers, *([blank] * 9), text={})
    grouping = group_by_caller(records)
    assert (grouping.codes[grouping.group] == callers).all()
    assert grouping.codes.tolist() == sorted(set(callers.tolist()))
