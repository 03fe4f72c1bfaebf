"""Files of a workload: every format read back, dirt as it was asked for, order, names."""

import csv
import gzip
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from callbeam_io.inputs import plan_inputs, read_block
from callbeam_io.workload import FORMATS, Workload, WorkloadSettings, Written, beside, render, write_workload
from callbeam_io.workload.dirt import FIRST_BAD, KINDS, TORN
from callbeam_io.workload.formats import format_of
from transforms.columns.clean import Cleaned, CleanSettings, clean
from transforms.columns.directory import Directory
from transforms.columns.records import concat
from transforms.errors import OptionError
from transforms.schema import RECORD_FIELDS

NAMES = {"callbeam": "c.csv", "pipes": "c.psv", "jsonl": "c.jsonl", "parquet": "c.parquet"}
DIRT: dict[str, Any] = {"duplicate_rate": 0.05, "conflict_rate": 0.03, "reject_rate": 0.1}


def _write(folder: Path, name: str, order: str = "time", **settings: Any) -> tuple[Written, Workload]:
    workload = Workload(WorkloadSettings(**{"people": 200, **settings}))
    return write_workload(workload, folder / name, order=order), workload


def _read(path: Path, timezone: str = "UTC") -> list[Cleaned]:
    nobody = Directory(np.empty(0, np.int64), np.empty(0, np.uint8), 15)
    settings = CleanSettings(timezone=timezone, keep_text=True)
    batches = (batch for block in plan_inputs([str(path)]).blocks for batch in read_block(block))
    return [clean(batch, settings, nobody) for batch in batches]


@pytest.mark.parametrize("zone", ["UTC", "+05:30", "America/New_York"])
@pytest.mark.parametrize("name", [*NAMES.values(), "c.csv.gz", "c.jsonl.gz"])
def test_every_format_reads_back(tmp_path: Path, name: str, zone: str) -> None:
    if name == "c.psv" and zone == "+05:30":
        with pytest.raises(OptionError, match="Asia/Kolkata"):
            _write(tmp_path, name, zone=zone)
        zone = "Asia/Kolkata"
    written, workload = _write(tmp_path, name, zone=zone, start=datetime(2025, 5, 5))
    parts = _read(written.output, "UTC" if zone == "+05:30" else zone)
    found, made = concat([part.records for part in parts]), pl.concat(workload.records())
    assert not any(len(part.bad_rows) for part in parts)
    assert len(found) == written.good == written.records == workload.total
    assert (found.start == made["start_time"].cast(pl.Int64).to_numpy()).all()
    assert (found.offset == made["offset"].to_numpy()).all()
    assert (found.caller == made["calling_number"].str.strip_prefix("+").cast(pl.Int64).to_numpy()).all()
    assert (found.called == made["called_number"].str.strip_prefix("+").cast(pl.Int64).to_numpy()).all()
    assert (found.duration == made["duration"].to_numpy()).all()
    assert (found.charge == (made["charge"] * 1e6).round().cast(pl.Int64).to_numpy()).all()
    assert found.text["id"].to_list() == made["id"].to_list()
    assert found.text["account_id"].to_list() == made["account_id"].to_list()
    results = ("ANSWERED", "BUSY", "NO_ANSWER", "FAILED")
    kinds = [
        4 * (kind == "SMS") + results.index(result)
        for kind, result in made.select("call_type", "call_result").iter_rows()
    ]
    assert found.kind.tolist() == kinds


@pytest.mark.parametrize("name", NAMES.values())
def test_dirt_is_as_much_as_was_asked_for_and_rejected(tmp_path: Path, name: str) -> None:
    written, workload = _write(tmp_path, name, people=500, **DIRT)
    assert written.good == workload.total
    assert written.duplicates == pytest.approx(0.08 * written.good, rel=0.02)
    assert written.conflicting == pytest.approx(0.03 * written.good, rel=0.02)
    assert written.rejects == pytest.approx(0.1 * written.good, rel=0.02)
    parts = _read(written.output)
    assert sum(len(part.bad_rows) for part in parts) == written.rejects
    records = concat([part.records for part in parts])
    assert len(records) == written.good + written.duplicates
    texts = records.text["id"]
    assert texts.n_unique() == written.good
    whys = {why for part in parts for why in zip(part.bad_fields, part.bad_reasons, strict=True)}
    assert len(whys) >= (6 if name == "c.parquet" else 8)


def test_dirt_leaves_the_good_as_they_are() -> None:
    clean_records = pl.concat(Workload(WorkloadSettings(people=200)).records())
    assert pl.concat(Workload(WorkloadSettings(people=200, **DIRT)).records()).equals(clean_records)


def test_copies_stand_behind_what_they_repeat() -> None:
    frame = pl.concat(Workload(WorkloadSettings(people=200, **DIRT)).frames())
    assert frame["start_time"].is_sorted()
    lines = frame.filter(pl.col("dirt") < FIRST_BAD).with_row_index()
    firsts = lines.group_by("id").agg(pl.col("dirt").first(), pl.col("calling_number").n_unique())
    assert firsts["dirt"].unique().to_list() == [0] and firsts["calling_number"].unique().to_list() == [1]
    copies = lines.filter(pl.col("dirt") == 1).join(lines.filter(pl.col("dirt") == 0), on=RECORD_FIELDS)
    assert len(copies) == (lines["dirt"] == 1).sum()
    conflicts = lines.filter(pl.col("dirt") == 2).join(lines.filter(pl.col("dirt") == 0), on="id")
    assert (conflicts["duration"] != conflicts["duration_right"]).all()
    bad = frame.filter(pl.col("dirt") >= FIRST_BAD)
    assert set(bad["dirt"]) == set(range(FIRST_BAD, FIRST_BAD + len(KINDS)))
    assert not set(bad["id"]) & set(lines["id"])


@pytest.mark.parametrize("name", ["callbeam", "pipes", "jsonl"])
def test_torn_lines_end_in_their_middle(name: str) -> None:
    frame = next(Workload(WorkloadSettings(people=200, **DIRT)).frames())
    torn = (frame["dirt"] == TORN).to_list()
    whole = render(frame.with_columns(dirt=pl.lit(0, pl.UInt8)), name).splitlines()
    lines = render(frame, name).splitlines()
    assert len(lines) == len(whole) == len(frame)
    assert all(
        line == full[: len(full) // 2] for line, full, cut in zip(lines, whole, torn, strict=True) if cut
    )
    assert all(len(line) > 50 for line, cut in zip(lines, torn, strict=True) if not cut)
    assert torn[0] is False or lines[0] != whole[0]


def test_the_students_spelling(tmp_path: Path) -> None:
    written, workload = _write(tmp_path, "c.psv", zone="Europe/Paris")
    rows = [line.split("|") for line in written.output.read_text().splitlines()]
    records = pl.concat(workload.records())
    assert {len(row) for row in rows} == {9}
    assert {row[8] for row in rows} == {"AWNSERED", "Busy", "NO_ANSWER", "FAILED"}
    assert [row[2] for row in rows] == records["id"].to_list()
    local = records["start_time"].dt.convert_time_zone("Europe/Paris")
    assert [row[4] for row in rows[:50]] == [time.asctime(moment.timetuple()) for moment in local[:50]]
    assert rows[0][4].startswith("Mon May  5 ")


def test_canonical_lines_are_canonical(tmp_path: Path) -> None:
    written, _ = _write(tmp_path, "c.csv.gz", zone="-03:00")
    with gzip.open(written.output, "rt") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == RECORD_FIELDS
    assert all(row["start_time"].endswith("-03:00") and len(row["start_time"]) == 25 for row in rows)


def test_json_keeps_numbers(tmp_path: Path) -> None:
    written, _ = _write(tmp_path, "c.jsonl")
    first = json.loads(written.output.read_text().splitlines()[0])
    assert tuple(first) == RECORD_FIELDS
    assert isinstance(first["duration"], int) and isinstance(first["charge"], float)
    assert first["start_time"].endswith("Z")


def test_parquet_is_typed_and_in_parts(tmp_path: Path) -> None:
    written, _ = _write(tmp_path, "c.parquet", people=5000)
    schema = pl.read_parquet_schema(written.output)
    assert schema["start_time"] == pl.Datetime("us", "UTC") and schema["duration"] == pl.Int32
    local, _ = _write(tmp_path, "l.parquet", zone="Europe/Paris")
    assert pl.read_parquet(local.output)["start_time"].str.ends_with("+02:00").all()


@pytest.mark.parametrize("people", [50, 4000])
def test_shuffled_has_the_same_lines_in_another_order(tmp_path: Path, people: int) -> None:
    by_time, _ = _write(tmp_path, "t.csv", people=people)
    shuffled, _ = _write(tmp_path, "s.csv", people=people, order="shuffled")
    first, second = (p.output.read_bytes().splitlines() for p in (by_time, shuffled))
    assert first[0] == second[0] and first != second
    assert sorted(first) == sorted(second)
    ids = np.array([int(line[:16], 16) for line in second[1:]], dtype=np.float64)
    assert abs(np.corrcoef(np.arange(len(ids)), ids)[0, 1]) < 0.1
    again, _ = _write(tmp_path, "a.csv", people=people, order="shuffled")
    assert again.output.read_bytes() == shuffled.output.read_bytes()
    assert not list(tmp_path.glob(".shuffle*"))


@pytest.mark.parametrize("name", ["c.csv.gz", "c.parquet"])
def test_the_same_bytes_every_time(tmp_path: Path, name: str) -> None:
    once, again = (_write(tmp_path / f"{i}", name)[0].output.read_bytes() for i in range(2))
    assert once == again


def test_files_beside_the_records(tmp_path: Path) -> None:
    written, workload = _write(tmp_path, "made.here/cdrs.csv.gz")
    output = written.output
    assert beside(output, "truth") == output.parent / "cdrs.truth.csv"
    assert sorted(p.name for p in output.parent.iterdir()) == [
        "cdrs.consent.csv",
        "cdrs.csv.gz",
        "cdrs.directory.csv",
        "cdrs.truth.csv",
    ]
    assert pl.read_csv(beside(output, "directory")).equals(workload.directory())
    columns = pl.read_csv(beside(output, "truth")).columns
    assert columns == [
        "number",
        "account_id",
        "interactions",
        "business_type",
        "tag",
        "weekday",
        "hour",
    ]
    consent = pl.read_csv(beside(output, "consent"))
    assert consent.columns == ["subscriber", "opted_in", "at"] and consent["at"][0] == "2025-05-04T00:00:00Z"


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def stop(_records: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_workload(Workload(WorkloadSettings(people=50)), tmp_path / "c.csv", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_formats_by_name_or_extension() -> None:
    assert {format_of(Path(name)) for name in NAMES.values()} == set(FORMATS)
    assert format_of(Path("a.b.CSV.GZ")) == "callbeam" and format_of(Path("x"), "jsonl") == "jsonl"
    for path, name in (("x", None), ("x.csv.zip", None), ("x.parquet.gz", None), ("x.csv", "cucm")):
        with pytest.raises(OptionError):
            format_of(Path(path), name)


def test_progress_is_told_everything(tmp_path: Path) -> None:
    told: list[int] = []
    written = write_workload(
        Workload(WorkloadSettings(people=3000, **DIRT)), tmp_path / "c.csv", progress=told.append
    )
    assert sum(told) == written.records
    assert len(told) > 1
