"""Recall and precision against a naive count."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbeam_io.workload.truth import PROPERTIES, compare, read_truth
from transforms.errors import InputError

_TRUTH = {
    "number": pl.String,
    "tag": pl.String,
    "business_type": pl.String,
    "weekday": pl.Int64,
    "hour": pl.Int64,
}
_VALUES = {"tag": ["A", "B"], "business_type": ["x", "y"], "weekday": [0, 1], "hour": [3, 4]}


def _planted() -> st.SearchStrategy[list[dict[str, Any]]]:
    habit = {name: st.sampled_from(values) for name, values in _VALUES.items()}
    nothing = st.just(dict.fromkeys(_VALUES))
    return st.lists(st.one_of(st.fixed_dictionaries(habit), nothing), max_size=8)


def _found() -> st.SearchStrategy[list[dict[str, Any]]]:
    columns: dict[str, st.SearchStrategy[Any]] = {"calls": st.integers(0, 6), "messages": st.integers(0, 3)}
    for name, (value, count) in PROPERTIES.items():
        columns |= {value: st.sampled_from(_VALUES[name]), count: st.integers(0, 6)}
    return st.lists(st.fixed_dictionaries(columns), max_size=10)


@given(_planted(), _found(), st.integers(0, 5), st.sampled_from([0.2, 0.5, 1.0]))
def test_compare_counts_what_a_loop_counts(
    planted: list[dict[str, Any]], found: list[dict[str, Any]], least: int, share: float
) -> None:
    truth = [{"number": f"+{i}", **row} for i, row in enumerate(planted)]
    run = [{"subscriber": f"+{i}", **row} for i, row in enumerate(found)]
    schema = dict.fromkeys(("calls", "messages"), pl.Int64) | {"subscriber": pl.String}
    for name, (value, count) in PROPERTIES.items():
        schema |= {value: _TRUTH[name], count: pl.Int64}
    got = compare(pl.DataFrame(truth, schema=_TRUTH), pl.DataFrame(run, schema=schema), least, share)
    by_number = {row["subscriber"]: row for row in run}
    for row in got.iter_rows(named=True):
        value, count = PROPERTIES[row["property"]]
        people = claimed = right = habits = 0
        for person in truth:
            own = by_number.get(person["number"], {"calls": 0, "messages": 0, value: None, count: 0})
            total = own["calls"] + own["messages"]
            if total >= least:
                claim = total > 0 and own[count] >= share * total
                people, habits = people + 1, habits + (person[row["property"]] is not None)
                claimed, right = claimed + claim, right + (claim and own[value] == person[row["property"]])
        assert (row["people"], row["planted"], row["claimed"], row["right"]) == (
            people,
            habits,
            claimed,
            right,
        )
        assert row["recall"] == (right / habits if habits else None)
        assert row["precision"] == (right / claimed if claimed else None)


def test_truth_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "c.truth.csv"
    path.write_text(
        "number,account_id,interactions,business_type,tag,weekday,hour\n+1,A1,10,,,,\n+2,A2,11,Job,Business,6,14\n"
    )
    assert read_truth(path).rows() == [("+1", None, None, None, None), ("+2", "Job", "Business", 6, 14)]


@pytest.mark.parametrize(
    "text", [None, "number,tag\n1,2\n", "", "number,business_type,tag,weekday,hour\n+1,a,b,c,d\n"]
)
def test_no_truth_is_said_so(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "truth.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="--truth"):
        read_truth(path)
