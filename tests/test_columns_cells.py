"""Sums that grow record by record are those of all records at once."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, DAY, One, by_key, expected, ones, records_of, small_reference

from transforms.columns.cells import (
    CellSums,
    Layout,
    cells_table,
    from_cells_table,
    template_rows,
    window_totals,
    windows_to_write,
)
from transforms.columns.templates import GROUP_TEMPLATES
from transforms.columns.windows import Window

REFERENCE = small_reference()
WINDOWS = [(0, 0), (86_400, 86_400), (43_200, 18_000)]


def layout_of(window: Window) -> Layout:
    return Layout.of(tuple(GROUP_TEMPLATES), REFERENCE, window)


def rows_of(sums: list[CellSums], layout: Layout) -> dict[str, pl.DataFrame]:
    """Rows of every window that has a cell."""
    cells = np.unique(np.concatenate([s.all()[0] for s in sums]))
    return template_rows(window_totals(windows_to_write(cells, layout), layout, sums), layout, REFERENCE)


@settings(max_examples=20, deadline=None)
@given(ones(ids=False), st.sampled_from(WINDOWS), st.lists(st.integers(0, 40), max_size=3))
def test_in_pieces_and_over_shards(records: list[One], size: tuple[int, int], cuts: list[int]) -> None:
    records, layout = list(dict.fromkeys(records)), layout_of(Window(*size))
    shards = [CellSums(), CellSums()]
    bounds = [0, *sorted(cuts), len(records)]
    for number, (a, b) in enumerate(itertools.pairwise(bounds)):
        shards[number % 2].add(records_of(records[a:b]), layout, REFERENCE)
    want = {t: rows for t, rows in expected(records, size).tables.items() if rows and t != "subscribers"}
    assert {t: by_key(t, rows) for t, rows in rows_of(shards, layout).items()} == want


def test_what_changed() -> None:
    layout, sums = layout_of(Window()), CellSums()
    sums.add(records_of([One()]), layout, REFERENCE)
    first, _ = sums.take_changed()
    assert len(first) == 4
    assert len(sums.take_changed()[0]) == 0
    sums.add(records_of([One(called="bob")]), layout, REFERENCE)
    again, values = sums.take_changed()
    assert set(again) & set(first)  # T1 counts the same hour
    assert values[np.isin(again, first)][0].tolist() == [2, 2, 0, 120]


def test_absolute_values_and_tables() -> None:
    sums = CellSums()
    cells, values = np.array([5, 1 << 30]), np.array([[1, 1, 0, 9], [0, 0, 2, 0]])
    for _ in range(2):
        sums.put(cells, values)
    assert np.array_equal(sums.get(np.array([1 << 30, 6, 5])), [[0, 0, 2, 0], [0] * 4, [1, 1, 0, 9]])
    again = from_cells_table(cells_table(*sums.all()))
    assert all(np.array_equal(a, b) for a, b in zip(again, (cells, values), strict=True))
    assert [len(part) for part in from_cells_table(cells_table(*CellSums().all()))] == [0, 0]


def test_old_panes_are_forgotten_once_they_are_shown() -> None:
    layout, sums = layout_of(Window(3600, 3600)), CellSums()
    sums.add(records_of([One(second=BEGIN + h * 3600) for h in range(10)]), layout, REFERENCE)
    pane = (BEGIN + DAY) // 3600
    sums.drop_before(pane)
    assert len(sums) == 40, "not shown yet"
    assert len(sums.take_changed()[0]) == 40
    sums.drop_before(pane)
    assert len(sums) == 0
    sums.add(records_of([One(second=BEGIN + DAY)]), layout, REFERENCE)
    sums.drop_before(pane)
    assert len(sums) == 4
