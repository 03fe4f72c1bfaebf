"""A source that is faster than the pipeline: it is slowed down, nothing is dropped, memory stays bounded."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from busy_feed import BusyFeed, csv_text
from cdr_oracle import expect
from test_pipelines_live import prepared

from callbeam_io.store import open_store
from pipelines.live import run_live
from pipelines.pump import MAX_UNDER_WAY
from transforms.columns.live import LiveShard
from transforms.columns.records import Records
from transforms.registry import Flow

SLOW = 1.0
MEASURES = ("calls", "answered", "messages", "duration_s")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def test_a_source_that_is_too_fast(tmp_path: Path, monkeypatch) -> None:
    """Each packet takes a second more in the shards; 400,000 records come at once."""
    feed = BusyFeed(rows=20_000, batches=20)
    ready = prepared(tmp_path, [feed], "--window", "all", "--snapshot_every", "2s")
    under_way, memory, lags, begin = [0], [resident()], [], Flow.begin

    def watched(flow: Flow, n: int = 1) -> None:
        begin(flow, n)
        under_way.append(flow.under_way)

    monkeypatch.setattr(Flow, "begin", watched)
    take_in = LiveShard.add

    def slowly(shard: LiveShard, records: Records, counts: Mapping[str, int]) -> Records:
        if len(records):
            time.sleep(SLOW)
            memory.append(resident())
            lags.append(sum(s["lag"] for s in (ready.store.runs()[0]["live"] or {}).get("splits", [])))
        return take_in(shard, records, counts)

    monkeypatch.setattr(LiveShard, "add", slowly)
    assert run_live(ready) == 0
    (row,) = open_store(ready.config.output).runs()
    assert row["records_read"] == row["records_good"] == feed.rows * feed.copies
    wanted = expect(csv_text(feed.rows), {}).tables["duration_by_hour"]
    got = {
        r["hour"]: [r[m] for m in MEASURES] for r in open_store(ready.config.output).rows("duration_by_hour")
    }
    assert got == {k[-1]: [v[m] * feed.copies for m in MEASURES] for k, v in wanted.items()}
    assert max(under_way) <= MAX_UNDER_WAY + 2
    assert max(lags) > 0
    assert max(memory) - memory[0] < 800 << 20
