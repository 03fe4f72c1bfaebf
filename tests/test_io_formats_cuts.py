"""Blocks read as places give the records and rejects of blocks read as text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbeam_io.inputs import line_numbers, plan_inputs, read_block, read_cut
from transforms.cleaning import rejects_of
from transforms.columns.clean import CleanSettings, clean
from transforms.columns.cuts import CUTS
from transforms.columns.directory import Directory

HEADER = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"
GOOD = "7,+12025550123,+442079460018,2026-01-05T10:00:00Z,60,VOICE,0.5,ANSWERED"
DIRECTORY = Directory(np.empty(0, np.int64), np.empty(0, np.uint8), 0)

FIELDS = [
    ["7", "", " ", "a1b2c3d4e5f6a7b8c9"],
    ["+12025550123", "0049301234567", "alice", "", "+44 (0)20 7946 0018", "+1"],
    ["+442079460018", "100", "", "+12025550199"],
    [
        "2026-01-05T10:00:00Z",
        "2026-01-05 10:00:00",
        "2026-01-05T10:00:00+02:00",
        "",
        "nonsense",
        "2026-02-30T00:00:00Z",
    ],
    ["60", "", "1.5", "-3", "x", "99999999999"],
    ["VOICE", "SMS", "voice", "FAX", ""],
    ["0.5", "", "12.3456789", "-1", "1e3", ".5"],
    ["ANSWERED", "NO_ANSWER", "BUSY", "FAILED", "Answered", "", "LOST"],
]
LINE = st.tuples(*(st.sampled_from(values) for values in FIELDS)).map(",".join)


def outcome(path: Path, read: Any, **how: Any) -> list[Any]:
    """All that cleaning says of a file's blocks."""
    found: list[Any] = []
    for block in plan_inputs([str(path)], "callbeam", block_bytes=300).blocks:
        for batch in read(block):
            cleaned = clean(batch, CleanSettings(**how), DIRECTORY)
            records = cleaned.records
            found.append(records.to_batch().to_pylist())
            rejects = rejects_of(
                batch, cleaned, lambda r, k=block, b=batch: [str(n) for n in line_numbers(k, r, b)]
            )
            found.append(None if rejects is None else rejects.to_pylist())
    return found


def write(path: Path, lines: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(LINE, min_size=1, max_size=12), st.sampled_from([None, "US"]), st.booleans())
def test_any_values(tmp_path: Path, lines: list[str], region: str | None, keep: bool) -> None:
    path = write(tmp_path / "cdrs.csv", lines)
    how = {"default_region": region, "keep_text": keep}
    assert outcome(path, read_cut, **how) == outcome(path, read_block, **how)


def test_accounts(tmp_path: Path) -> None:
    path = write(tmp_path / "cdrs.csv", [GOOD + ",acc-1", GOOD + ",", GOOD + ", "], HEADER + ",account_id")
    assert outcome(path, read_cut) == outcome(path, read_block)


@pytest.mark.parametrize(
    "lines",
    [
        [GOOD, GOOD + ",more"],
        [GOOD, "too,few"],
        [GOOD, "", GOOD],
        [GOOD, GOOD.replace("7,", '"7",', 1)],
        [GOOD + "\r", GOOD + "\r"],
        [GOOD, GOOD.replace("+12025550123", "José")],
        [GOOD, GOOD.replace("+12025550123", "a\0b")],
        [GOOD + ",x", GOOD.removesuffix(",ANSWERED")],
    ],
)
def test_irregular_lines_are_read_as_text(tmp_path: Path, lines: list[str]) -> None:
    path = write(tmp_path / "cdrs.csv", lines)
    batches = [b for block in plan_inputs([str(path)], "callbeam").blocks for b in read_cut(block)]
    assert all(CUTS not in b.schema.names for b in batches)
    assert outcome(path, read_cut) == outcome(path, read_block)


def test_regular_lines_are_not_read_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "cdrs.csv", [GOOD] * 3)
    (batch,) = (b for block in plan_inputs([str(path)]).blocks for b in read_cut(block))
    assert batch.schema.names == ["raw", CUTS]
    assert batch.column("raw").to_pylist() == [GOOD.encode()] * 3


def test_the_last_line_may_lack_its_end(tmp_path: Path) -> None:
    path = tmp_path / "cdrs.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{GOOD}")
    assert outcome(path, read_cut) == outcome(path, read_block)
