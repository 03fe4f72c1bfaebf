"""T1, T2, T3 and the type graph: the oracle's rows, whatever way the records are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import One, by_key, expected, ones, records_of, small_reference
from threeways import three_ways

from transforms.columns import templates
from transforms.columns.dedup import distinct_records
from transforms.columns.panes import merge_panes
from transforms.columns.templates import GROUP_TEMPLATES
from transforms.columns.windows import Window
from transforms.schema import TABLE_KEYS, TABLE_VALUES

WINDOWS = [(0, 0), (86_400, 86_400), (43_200, 18_000)]
REFERENCE = small_reference()


@settings(max_examples=15, deadline=None)
@given(ones(ids=False), st.sampled_from(WINDOWS), st.integers(0, 99))
def test_three_ways(records: list[One], size: tuple[int, int], seed: int) -> None:
    records, window = list(dict.fromkeys(records)), Window(*size)
    tables = expected(records, size).tables
    for name, template in GROUP_TEMPLATES.items():

        def count(part: Sequence[One], template: Any = template) -> pl.DataFrame:
            return template.sums(records_of(part), REFERENCE, window)

        def finish(sums: pl.DataFrame, template: Any = template) -> dict[tuple, dict[str, Any]]:
            return by_key(template.table, template.rows(sums, REFERENCE, window))

        assert three_ways(records, count, merge_panes, finish, seed) == tables[name], name


@pytest.mark.parametrize(
    ("pure", "table"),
    [
        (templates.hourly_durations, "duration_by_hour"),
        (templates.business_type_counts, "business_types"),
        (templates.region_counts, "regions"),
        (templates.type_graph, "type_graph"),
    ],
)
def test_each_by_itself(pure: Any, table: str) -> None:
    records = [One(id="a"), One(id="b", called="bob", kind=5), One(id="c", caller="100", offset=19_800)]
    frame = pure(distinct_records(records_of(records)).records, REFERENCE, Window())
    assert frame.columns == [n for n, _ in (*TABLE_KEYS[table], *TABLE_VALUES[table])]
    assert by_key(table, frame) == expected(records).tables[table]
    assert pure(records_of([]), REFERENCE, Window(60, 5)).columns == frame.columns
