"""Cleaning as a step: what a loader gives becomes packets by shard; and what a live source does before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from numpy.typing import NDArray
from record_sets import BEGIN, CALLERS, One, csv_of, small_reference

from callbeam_io.inputs import plan_inputs, read_block
from transforms.cleaning import CleanRecords, Prepare, raw_texts, spread
from transforms.columns.clean import CleanSettings, clean
from transforms.columns.hashing import shard_of
from transforms.columns.records import from_batches
from transforms.errors import TooManyRejects
from transforms.packets import Packet
from transforms.schema import with_origin
from transforms.tally import tally_of

RECORDS = [One(caller=c, id=str(n)) for n, c in enumerate(CALLERS * 3)]
BAD = "x,+12025550123,,2026-01-01T00:00:00Z,1,VOICE,0,ANSWERED,"
SHARDS = 4


@dataclass(frozen=True)
class TextLoader:
    """An element is the CSV text of one file."""

    folder: str

    def load(self, element: tuple[str, str]) -> Iterable[pa.RecordBatch]:
        return parsed(self.folder, *element)

    def lines(self, element: tuple[str, str], batch: pa.RecordBatch, rows: NDArray[np.int64]) -> list[str]:
        return [str(r + 2) for r in rows.tolist()]

    def size(self, element: tuple[str, str]) -> int:
        return len(element[1])


def parsed(folder: str, name: str, text: str) -> list[pa.RecordBatch]:
    path = Path(folder) / f"{name}.csv"
    path.write_text(text, encoding="utf-8")
    return [
        with_origin(b, order=name) for block in plan_inputs([str(path)]).blocks for b in read_block(block)
    ]


def test_records_by_shard_with_counts_and_rejects(tmp_path: Path) -> None:
    texts = [
        ("a", csv_of(RECORDS[:7]) + BAD + "\n"),
        ("b", csv_of(RECORDS[7:])),
        ("c", csv_of([]) + BAD + "\n"),
    ]

    def check(packets: list[tuple[int, Packet]]) -> None:
        records = [
            (k, from_batches(p.tables["records"].to_batches())) for k, p in packets if "records" in p.tables
        ]
        assert all((shard_of(r.caller, SHARDS) == k).all() for k, r in records)
        assert sum(len(r) for _, r in records) == len(RECORDS)
        assert sum(p.header.get("read", 0) for _, p in packets) == len(RECORDS) + 2
        assert sum(p.header.get("rejected", 0) for _, p in packets) == 2
        rejects = [
            row for _, p in packets if "rejects" in p.tables for row in p.tables["rejects"].to_pylist()
        ]
        assert sorted((r["line"], r["field"], r["reason"]) for r in rejects) == [
            ("2", "called_number", "empty"),
            ("9", "called_number", "empty"),
        ]
        assert {r["raw"] for r in rejects} == {BAD}
        assert {p.header["order"][:1] for _, p in packets} <= set("abc/")

    with beam.Pipeline("BundleBasedDirectRunner") as pipeline:
        step = CleanRecords(TextLoader(str(tmp_path)), CleanSettings(), small_reference, "cleaning", SHARDS)
        assert_that(pipeline | beam.Create(texts) | step, check)
    tally = tally_of("cleaning")
    assert (tally.read, tally.rejected) == (len(RECORDS) + 2, 2)
    assert tally.bytes == sum(len(t) for _, t in texts)


def test_a_run_of_rejects_is_stopped() -> None:
    tally = tally_of("mostly bad")
    tally.add(1000, 900, 0)
    tally.judge(0.5)
    with pytest.raises(TooManyRejects, match="900 of 1,000 records are rejects"):
        tally.judge(0.5, final=True)
    with pytest.raises(TooManyRejects):
        tally.judge(1.0)  # once it is fatal it stays so: retries must not read everything again


def test_nothing_good_is_one_packet_with_the_counts() -> None:
    cleaned = clean(pa.RecordBatch.from_pylist([{"id": "x"}]), CleanSettings(), small_reference().directory)
    ((shard, packet),) = spread(cleaned, None, {"order": "7", "read": 1}, SHARDS)
    assert shard == 0
    assert packet == Packet({"order": "7", "read": 1, "rejected": 1}, {})


def test_typed_rows_are_shown_as_json() -> None:
    batch = pa.RecordBatch.from_pylist([{"id": "é", "duration": -1.5}])
    assert raw_texts(batch, np.array([0])) == ['{"id": "é", "duration": -1.5}']


def live_batch(records: list[One], tmp_path: Path) -> pa.RecordBatch:
    (batch,) = parsed(str(tmp_path), "live", csv_of(records))
    return batch.append_column("line", pa.array([f"7#{n}" for n in range(len(records))]))


@pytest.mark.parametrize(
    ("horizon", "late"),
    [(None, []), (BEGIN, []), (BEGIN + 1, ["7#0"]), (BEGIN + 99, ["7#0", "7#1"])],
)
def test_lateness_is_judged_in_the_source(tmp_path: Path, horizon: int | None, late: list[str]) -> None:
    prepare = Prepare(CleanSettings(), small_reference, None)
    records = [One(id="a"), One(id="b", second=BEGIN + 1), One(id="c", second=BEGIN + 2, called=" ")]
    ready = prepare.clean(live_batch(records, tmp_path))
    assert (ready.rows, ready.greatest) == (3, (BEGIN + 1) * 1_000_000)
    micros = None if horizon is None else horizon * 1_000_000
    packet = prepare.finish(ready, micros, {"tick": False})
    assert packet.header == {"tick": False, "read": 3, "rejected": 1, "late": len(late)}
    assert packet.tables["records"].num_rows == 2 - len(late)
    rejects = [(r["line"], r["field"], r["reason"]) for r in packet.tables["rejects"].to_pylist()]
    assert rejects == [("7#2", "called_number", "empty"), *[(n, "start_time", "late") for n in late]]


def test_the_future_begins_at_the_clock(tmp_path: Path) -> None:
    batch = live_batch([One()], tmp_path)
    for now, bad in ((BEGIN - 60, 0), (BEGIN - 61, 1)):
        prepare = Prepare(CleanSettings(), small_reference, 60, clock=partial(float, now))
        assert len(prepare.clean(batch).cleaned.bad_rows) == bad
    assert Prepare(CleanSettings(), small_reference, None, clock=lambda: 0).clean(batch).greatest is not None
    assert prepare.clean(batch).greatest is None


def test_a_bare_header() -> None:
    assert Prepare(CleanSettings(), small_reference, 1).finish(None, 5, {"end": True}) == Packet(
        {"end": True}
    )
