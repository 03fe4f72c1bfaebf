"""Real and sample files that stand beside the project, read in place."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from callbeam_io.inputs import plan_inputs, read_block

DATA = Path(__file__).parents[2] / "shared" / "data"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no sample data beside the project (../shared/data)"),
]


def read(name: str, input_format: str = "auto", block_bytes: int = 8 << 20) -> pl.DataFrame:
    plan = plan_inputs([str(DATA / name)], input_format, block_bytes=block_bytes)
    parts = [pl.DataFrame(pl.from_arrow(batch)) for block in plan.blocks for batch in read_block(block)]
    return pl.concat(parts, how="diagonal")


def test_calls_of_the_copenhagen_networks_study() -> None:
    calls = read("cns/calls.csv", str(EXAMPLES / "cns_calls.json"), block_bytes=5000)
    answered = calls.filter(call_result="ANSWERED")
    assert (calls.height, answered.height) == (3600, 3234)
    assert answered["duration"].cast(pl.Int64).sum() == 204_813
    assert set(calls["call_type"]) == {"VOICE"}
    assert set(calls["call_result"]) == {"ANSWERED", "NO_ANSWER"}
    for some in (calls, answered):
        hours = Counter(some["start_time"].dt.hour().to_list())
        assert hours.most_common(1)[0][0] == 17


def test_texts_of_the_copenhagen_networks_study() -> None:
    texts = read("cns/sms.csv", str(EXAMPLES / "cns_sms.json"))
    with (DATA / "cns/sms.csv").open() as file:
        expected = Counter(int(row["timestamp"]) % 86400 // 3600 for row in csv.DictReader(file))
    assert Counter(texts["start_time"].dt.hour().to_list()) == expected


@pytest.mark.parametrize(
    ("name", "rows", "bad", "answered"),
    [
        ("asterisk-testsuite/good.csv", 5, 0, 2),
        ("asterisk-testsuite/buggy.csv", 1, 1, 0),
        ("asterisk-testsuite/Master.csv", 2, 0, 2),
        ("bandicoot/demo_data_ego.csv", 314, 0, 314),
        ("bandicoot/bandicoot_tests_samples_manual_B_orange.csv", 7, 0, 7),
        ("bandicoot/bandicoot_tests_samples_user_ignored.csv", 5, 2, 5),
        ("cdr-stats/CDRImport-2015-10-26.csv", 5, 0, 5),
        ("cdr-stats/import_cdr.txt", 5, 0, 5),
        ("cdr-stats/import_cdr_100.txt", 100, 0, 100),
        ("formats/flowkit_calls_excerpt.csv", 6, 0, 6),
        ("freeswitch/json_cdr_sample.json", 1, 0, 1),
        ("seed/appendix_sample.psv", 10, 0, None),
    ],
)
def test_samples_are_known_without_a_name(name: str, rows: int, bad: int, answered: int | None) -> None:
    frame = read(name)
    faults = frame["bad_reason"].count() if "bad_reason" in frame.columns else 0
    assert (frame.height, faults) == (rows, bad)
    if answered is not None:
        assert frame.filter(call_result="ANSWERED").height == answered


def test_both_lines_of_a_flowkit_call_are_one_record() -> None:
    frame = read("formats/flowkit_calls_excerpt.csv").drop("raw")
    assert frame.n_unique() * 2 == frame.height


def test_the_offset_of_a_freeswitch_call() -> None:
    assert read("freeswitch/json_cdr_sample.json")["start_time"].to_list() == ["2018-03-14T07:09:18-04:00"]
