"""On a real Flink cluster: batch and stream leave the rows of the in-process engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import messy
import pytest
from busy_feed import BusyFeed, csv_text
from cdr_oracle import expect
from list_feed import ListFeed
from servers.flink import FlinkCluster
from test_pipelines_live import prepared, shuffled
from test_pipelines_run import check, run, write_directory

from callbeam_io.store import Store, open_store
from pipelines.live import run_live

pytestmark = pytest.mark.flink
MEASURES = ("calls", "answered", "messages", "duration_s")


@pytest.fixture(autouse=True)
def no_job_is_left(flink_cluster: FlinkCluster) -> Iterator[None]:
    yield
    for job in flink_cluster.running_jobs():
        flink_cluster.cancel(job)


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


def check_busy(url: str, feed: BusyFeed) -> None:
    """Every record counts as often as it came."""
    store, times = open_store(url), feed.copies
    (row,) = store.runs()
    expected = expect(csv_text(feed.rows), {})
    assert row["records_read"] == row["records_good"] == feed.rows * times
    for table, key in (("duration_by_hour", "hour"), ("regions", "region"), ("subscribers", "subscriber")):
        got = {r[key]: [r[m] for m in MEASURES] for r in store.rows(table)}
        wanted = {k[-1]: [v[m] * times for m in MEASURES] for k, v in expected.tables[table].items()}
        assert got == wanted, table


@dataclass
class Watch:
    """Notes what the cluster says of its only job, on a thread.

    Once ``kill_after`` records are in the store and in a checkpoint that came later, a machine is lost.
    """

    cluster: FlinkCluster
    store: Store
    kill_after: int
    covered: int | None = None
    seen: dict[str, int] = field(default_factory=dict)
    killed: bool = False

    def __enter__(self) -> Watch:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def is_time(self) -> bool:
        """Whether enough is in the store."""
        return bool((self.store.runs()[0]["records_read"] or 0) >= self.kill_after)

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            try:
                self._look()
            except OSError:  # the cluster is busy with what was done to it
                continue

    def _look(self) -> None:
        for job in self.cluster.running_jobs():
            for name, n in self.cluster.checkpoints(job).items():
                self.seen[name] = max(n, self.seen.get(name, 0))
        completed = self.seen.get("completed", 0)
        if self.covered is None and self.is_time():
            self.covered = completed + 1  # the one that is being taken now may have less
        if not self.killed and self.covered is not None and completed > self.covered:
            self.killed = True
            self.lose()

    def lose(self) -> None:
        """A machine is gone, and another one comes."""
        self.cluster.kill_task_manager()
        self.cluster.start_task_manager()


def test_a_busy_source(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    feed = BusyFeed()
    ready = prepared(tmp_path, [feed], "--window", "all", *flink_cluster.pipeline_options())
    assert run_live(ready) == 0
    check_busy(ready.config.output, feed)


def test_a_task_manager_is_killed(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    feed = BusyFeed(batches=60, pause=0.25)
    ready = prepared(tmp_path, [feed], "--window", "all", *flink_cluster.pipeline_options())
    with Watch(flink_cluster, ready.store, kill_after=100_000) as watch:
        assert run_live(ready) == 0
    assert watch.killed
    assert watch.seen["completed"] > 0
    assert watch.seen["restored"] > 0
    check_busy(ready.config.output, feed)
    live = open_store(ready.config.output).runs()[0]["live"]
    assert live["engine"] == "FlinkRunner" and live["rows"] > 0
    assert live["checkpoints"]["restored"] > 0 and live["state_bytes"] > 0 and live["snapshot_age"] < 60
