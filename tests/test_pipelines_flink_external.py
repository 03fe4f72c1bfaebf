"""Flink with workers in processes of their own: one is killed, and rows and promotions are those of batch."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from servers.flink import FlinkCluster
from servers.processes import ServerProcess, free_port
from slow_feed import SlowFeed
from test_pipelines_flink import Watch, no_job_is_left
from test_pipelines_flink_rules import RECORDS, in_order, write_rules
from test_pipelines_rules import FLAGS, RULES, prepared_with_rules, promotions
from test_pipelines_run import check, run, write_directory

from pipelines.live import run_live

__all__ = ["no_job_is_left"]
pytestmark = pytest.mark.flink
ROOT = Path(__file__).parents[1]


@dataclass
class Pool:
    """Beam's worker pool: it starts a worker when the engine asks for one."""

    process: ServerProcess
    port: int

    def workers(self) -> list[int]:
        """Ids of the worker processes: what else runs with the mark of this pool."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command, environment = ((entry / n).read_bytes() for n in ("cmdline", "environ"))
            except OSError:  # it ended, or is somebody else's
                continue
            if self.mark in environment.split(b"\0") and b"worker_pool_main" not in command:
                found.append(int(entry.name))
        return found

    @property
    def mark(self) -> bytes:
        """What is in the environment of this pool's processes only."""
        return f"CALLBEAM_TEST_POOL={self.port}".encode()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    port = free_port()
    places = os.pathsep.join(map(str, (ROOT, ROOT / "io", ROOT / "tests")))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    environment = {"PYTHONPATH": places, "PATH": path, "CALLBEAM_TEST_POOL": str(port)}
    process = ServerProcess(command, tmp_path / "pool.log", environment)
    process.start()
    yield Pool(process, port)
    process.kill()


@dataclass
class KillWorker(Watch):
    """The worker is killed, once a checkpoint holds enough."""

    pool: Pool | None = None
    lost: list[int] = field(default_factory=list)
    came: set[int] = field(default_factory=set)

    def _look(self) -> None:
        super()._look()
        if self.pool is not None and self.lost:
            self.came |= {worker for worker in self.pool.workers() if worker not in self.lost}

    def lose(self) -> None:
        """`kill -9` of what the pool had started."""
        if self.pool is not None:
            self.lost = self.pool.workers()
            for worker in self.lost:
                os.kill(worker, signal.SIGKILL)


def test_a_worker_is_killed(tmp_path: Path, flink_cluster: FlinkCluster, pool: Pool) -> None:
    live, text, listed = tmp_path / "live", in_order(73), messy.directory()
    live.mkdir()
    words = [w for w in flink_cluster.pipeline_options() if not w.startswith("--environment_type")]
    words += ["--environment_type=EXTERNAL", f"--environment_config=localhost:{pool.port}"]
    rules = ["--rules", write_rules(tmp_path / "rules.json", RULES)]
    directory = ["--directory", str(write_directory(live, listed))]
    feed = SlowFeed(text, chunk=12, split_count=2, pause=0.35)
    window = ["--window", "sliding:1d/2h"]
    ready = prepared_with_rules(live, feed, *FLAGS, *rules, *directory, *window, *words)
    with KillWorker(flink_cluster, ready.store, kill_after=RECORDS // 8, pool=pool) as watch:
        assert run_live(ready) == 0
    assert watch.killed and watch.lost and os.getpid() not in watch.lost
    assert watch.came, "the pool starts another worker when the engine goes on"
    assert watch.seen["completed"] > 0 and watch.seen["restored"] > 0
    check(ready.config.output, expect(text, listed, (86_400, 7_200)))
    assert promotions(ready.config.output) == promotions(run(tmp_path, text, *FLAGS, *rules, listed=listed))
