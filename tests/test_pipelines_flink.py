"""On a real Flink cluster: batch and stream leave the rows of the in-process engine."""

from __future__ import annotations

from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from list_feed import ListFeed
from servers.flink import FlinkCluster
from test_pipelines_live import prepared, shuffled
from test_pipelines_run import check, run, write_directory

from pipelines.live import run_live

pytestmark = pytest.mark.flink


def test_batch(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    text, listed = messy.csv_text(1500, seed=41, accounts=True), messy.directory()
    url = run(tmp_path, text, *flink_cluster.pipeline_options(), listed=listed)
    check(url, expect(text, listed))


def test_stream(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    text, listed = messy.csv_text(1500, seed=42, accounts=True).replace("BUSY", "ANSWERED"), messy.directory()
    feed = ListFeed(shuffled(text, 3), chunk=130, split_count=2)
    flags = ["--window", "sliding:1d/2h", "--directory", str(write_directory(tmp_path, listed))]
    ready = prepared(tmp_path, [feed], *flags, *flink_cluster.pipeline_options())
    assert run_live(ready) == 0
    check(ready.config.output, expect(text, listed, (86400, 7200)))
