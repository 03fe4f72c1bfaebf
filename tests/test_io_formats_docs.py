"""Every example of docs/FORMATS.md is read, and its tables name what there is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callbeam_io.formats import NAMES
from callbeam_io.formats.mapping import _MAPPING_CHECKS, _SOURCE_CHECKS, load_mapping
from callbeam_io.inputs import plan_inputs, read_block
from transforms.schema import RECORD_FIELDS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "FORMATS.md").read_text("utf-8")
EXAMPLES = DOCS / "examples"


def blocks(language: str) -> list[str]:
    """The contents of the code blocks that are opened so."""
    return re.findall(rf"```{re.escape(language)}\n(.*?)```", TEXT, re.DOTALL)


def read(text: str, input_format: str, folder: Path, encoding: str = "utf-8") -> list[dict[str, Any]]:
    path = folder / "calls"
    path.write_bytes(text.encode(encoding))
    rows: list[dict[str, Any]] = []
    for block in plan_inputs([str(path)], input_format).blocks:
        for batch in read_block(block):
            assert "bad_reason" not in batch.schema.names
            rows += pl.DataFrame(pl.from_arrow(batch)).to_dicts()
    return rows


def test_the_tables_name_every_format_key_and_field() -> None:
    first_cells = re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE)
    named = {word for cell in first_cells for word in re.findall(r"`(\w+)`", cell)}
    assert {*NAMES} - {"auto"} <= named
    assert {*_SOURCE_CHECKS} <= named
    assert {*_MAPPING_CHECKS} - {"fields"} <= named
    assert {*RECORD_FIELDS} <= named


def test_the_canonical_example(tmp_path: Path) -> None:
    canonical, _cns = blocks("csv")
    rows = read(canonical, "auto", tmp_path)
    assert [row["call_result"] for row in rows] == ["ANSWERED", "ANSWERED", "NO_ANSWER"]
    assert rows[2]["called_number"] == "4930 12, ext. 7"


def test_the_first_mapping_is_the_file_beside_it(tmp_path: Path) -> None:
    (shown,) = blocks("json")
    kept = json.loads((EXAMPLES / "cns_calls.json").read_text("utf-8"))
    assert json.loads(shown)["fields"] == kept["fields"]
    rows = read(blocks("csv")[1], str(EXAMPLES / "cns_calls.json"), tmp_path)
    assert [(r["calling_number"], r["start_time"], r["duration"], r["call_result"]) for r in rows] == [
        ("300", datetime(2023, 1, 1, 0, 3, 4), "121", "ANSWERED"),
        ("401", datetime(2023, 1, 1, 2, 34, 12), "0", "NO_ANSWER"),
    ]


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "csv european.json": [
        {
            "id": "4711",
            "calling_number": "030 123456",
            "start_time": "2024-02-05T10:00:00+01:00",
            "duration": 3723.0,
            "call_type": "VOICE",
            "charge": "1234.50",
            "call_result": "ANSWERED",
        },
        {
            "called_number": "110",
            "duration": None,
            "call_type": "SMS",
            "charge": "0.09",
            "call_result": "NO_ANSWER",
        },
    ],
    "tsv epoch_ms.json": [
        {
            "id": "a-1",
            "calling_number": "+12025550123",
            "start_time": datetime(2024, 2, 5, 10, tzinfo=UTC),
            "duration": 61.5,
            "call_result": "ANSWERED",
        },
        {"id": "a-2", "duration": 0.0, "call_result": "BUSY"},
    ],
    "json both_legs.json": [
        {
            "id": "x",
            "calling_number": "+12025550123",
            "called_number": "+4930123456",
            "call_result": "ANSWERED",
        },
        {"id": "x", "calling_number": "+12025550123", "called_number": "+4930123456", "duration": "61"},
    ],
    "csv cns_sms.json": [
        {"calling_number": "370", "call_type": "SMS", "start_time": datetime(2023, 1, 1, 0, 0, 18)},
        {"calling_number": "512", "call_result": "ANSWERED"},
    ],
}


@pytest.mark.parametrize("opening", EXPECTED)
def test_each_example_reads_its_lines(tmp_path: Path, opening: str) -> None:
    (text,) = blocks(opening)
    path = EXAMPLES / opening.split()[1]
    rows = read(text, str(path), tmp_path, load_mapping(str(path)).encoding)
    assert len(rows) == len(EXPECTED[opening])
    for row, wanted in zip(rows, EXPECTED[opening], strict=True):
        assert {name: row[name] for name in wanted} == wanted


def test_no_example_is_left_out() -> None:
    shown = {opening.split()[1] for opening in EXPECTED} | {"cns_calls.json"}
    assert {
        path.name for path in EXAMPLES.glob("*.json") if "fields" in json.loads(path.read_text("utf-8"))
    } == shown
    assert all(f"examples/{name}" in TEXT for name in shown)
