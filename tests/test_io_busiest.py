"""The busiest subscribers of a run, noted while they are written."""

from itertools import count

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from callbeam_io.busiest import KEPT, busiest, note_subscribers

RUNS = count()
PARTS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=15), min_size=1, max_size=5)


def rows_of(calls: list[int], first: int) -> pa.Table:
    """Subscribers with so many calls each."""
    columns = {
        "subscriber": [f"+1202555{first + k:04d}" for k in range(len(calls))],
        "calls": calls,
        "business_type": ["Job"] * len(calls),
        "tag": ["Business"] * len(calls),
        "best_weekday": [0] * len(calls),
        "best_hour": [9] * len(calls),
        "account_id": [None] * len(calls),
    }
    return pa.table(columns)


@given(PARTS, st.integers(1, KEPT))
def test_most_calls_come_first_and_ties_by_number(parts: list[list[int]], limit: int) -> None:
    run_id, first = f"busiest-{next(RUNS)}", 0
    everybody: list[tuple[int, str]] = []
    for calls in parts:
        rows = rows_of(calls, first)
        note_subscribers(run_id, rows)
        everybody += zip([-c for c in calls], rows["subscriber"].to_pylist(), strict=True)
        first += len(calls)
    seen, top = busiest(run_id, limit)
    assert seen == len(everybody)
    assert [(-r["calls"], r["subscriber"]) for r in top] == sorted(everybody)[:limit]


def test_a_run_that_nobody_noted() -> None:
    assert busiest("never-noted", 5) == (0, [])
