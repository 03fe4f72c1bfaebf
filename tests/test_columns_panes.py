"""Sums per pane and window, against adding up one record at a time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
from cdr_oracle import windows_with
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import One, ones, records_of

from transforms.columns import panes
from transforms.columns.panes import MEASURES, empty_panes, merge_panes, pane_sums, window_sums
from transforms.columns.windows import Window

WINDOWS = [Window(), Window(3600, 3600), Window(86_400, 7200), Window(43_200, 18_000)]


def measures(record: One) -> list[int]:
    voice = record.kind < 4
    answered = record.kind == 0
    return [int(voice), int(answered), int(not voice), record.duration * answered]


def rows(frame: pl.DataFrame) -> list[tuple[int, ...]]:
    return frame.rows()


@settings(max_examples=60, deadline=None)
@given(ones(), st.sampled_from(WINDOWS), st.booleans())
def test_sums_of_windows(records: list[One], window: Window, dense: bool) -> None:
    keys = np.array([r.duration % 5 for r in records], np.int64)
    limit, panes._DENSE_CELLS = panes._DENSE_CELLS, 1 << 22 if dense else 0
    try:
        sums = pane_sums(records_of(records), keys, 5, window)
    finally:
        panes._DENSE_CELLS = limit
    expected: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * len(MEASURES))
    for record, key in zip(records, keys.tolist(), strict=True):
        for start in windows_with(record.second, (window.size, window.slide)):
            expected[start, key] = [
                a + b for a, b in zip(expected[start, key], measures(record), strict=True)
            ]
    assert rows(window_sums(sums, window)) == [(*key, *sums) for key, sums in sorted(expected.items())]


@settings(max_examples=30, deadline=None)
@given(ones(), st.sampled_from(WINDOWS), st.integers(0, 40))
def test_parts_add_up(records: list[One], window: Window, cut: int) -> None:
    def sums(part: list[One]) -> pl.DataFrame:
        keys = np.array([r.duration % 5 for r in part], np.int64)
        return pane_sums(records_of(part), keys, 5, window)

    whole = merge_panes([sums(records)])
    assert rows(merge_panes([sums(records[cut:]), empty_panes(), sums(records[:cut])])) == rows(whole)


def test_a_record_of_no_measure_but_the_count_has_a_row() -> None:
    busy = One(kind=1, duration=0)
    assert rows(pane_sums(records_of([busy]), np.array([0]), 1, Window())) == [(0, 0, 1, 0, 0, 0)]


def test_nothing() -> None:
    assert merge_panes([]).height == 0
    assert window_sums(empty_panes(), Window(60, 5)).height == 0
    assert panes.with_window_columns(window_sums(empty_panes(), Window()), Window()).height == 0
