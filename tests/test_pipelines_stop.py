"""Stopping and going on: drain, cancel, --stop_after, --resume, one pipeline per run."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from live_process import LiveProcess
from test_pipelines_kill import land
from test_pipelines_run import check, write_directory

from callbeam_io.store import open_store

PER_FILE = 600


class Folder:
    """A landing folder that is filled file by file, and the flags to read it."""

    def __init__(self, tmp_path: Path, files: int = 2) -> None:
        self.tmp, self.folder = tmp_path, tmp_path / "in"
        self.folder.mkdir()
        self.text = messy.csv_text(PER_FILE * files, seed=81).replace("BUSY", "ANSWERED")
        self.header, *self.lines = self.text.splitlines()
        self.listed, self.landed = messy.directory(), 0
        self.url = f"sqlite:///{tmp_path}/results.db"
        self.flags = [
            "--directory", str(write_directory(tmp_path, self.listed)), "--window", "sliding:1d/2h",
            "--allowed_lateness", "400d", "--early_every", "1s", "--snapshot_every", "1s",
        ]  # fmt: skip

    def land(self, name: str) -> None:
        lines = self.lines[self.landed : self.landed + PER_FILE]
        self.landed += len(lines)
        land(self.folder, name, "\n".join([self.header, *lines, ""]))

    def start(self, *flags: str, folder: Path | None = None) -> LiveProcess:
        source = ["--input", f"dir://{folder or self.folder}"]
        return LiveProcess(self.url, *source, *self.flags, *flags, log=self.tmp / "log.txt")

    def log(self) -> str:
        return (self.tmp / "log.txt").read_text()

    def check(self) -> None:
        check(
            self.url,
            expect("\n".join([self.header, *self.lines[: self.landed], ""]), self.listed, (86400, 7200)),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_drained_run_goes_on_with_what_is_new(folder: Folder, tmp_path: Path) -> None:
    folder.land("0.csv")
    first = folder.start()
    first.wait_for(lambda run: run["records_read"] == PER_FILE)
    assert first.drain() == 0, folder.log()
    (run,) = open_store(folder.url).runs()
    assert run["state"] == "done"
    folder.check()

    other = tmp_path / "other"
    other.mkdir()
    wrong = folder.start(folder=other)
    assert wrong.process.wait(60) == 2
    assert f"has --input dir://{folder.folder}, not dir://{other}" in folder.log()

    folder.land("1.csv")
    second = folder.start()
    second.wait_for(lambda run: run["records_read"] == 2 * PER_FILE)
    busy = folder.start()
    assert busy.process.wait(60) == 2, folder.log()
    assert "is being worked on by another process" in folder.log()
    assert second.drain() == 0, folder.log()
    (again,) = open_store(folder.url).runs()
    assert (again["run_id"], again["started_at"]) == (run["run_id"], run["started_at"])
    assert again["state"] == "done"
    folder.check()


def children_of(process: int) -> list[int]:
    out = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in out.stdout.split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_gone(processes: list[int]) -> None:
    end = time.monotonic() + 10
    while any(map(alive, processes)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, processes))


def cancel(process: LiveProcess) -> int:
    """SIGTERM twice."""
    process.process.terminate()
    end = time.monotonic() + 20
    while "once more to cancel" not in process.log.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    process.process.terminate()
    return process.process.wait(30)


@pytest.mark.prism
def test_no_process_outlives_the_second_signal(folder: Folder, prism_binary: Path) -> None:
    folder.land("0.csv")
    process = folder.start("--runner=PrismRunner", f"--prism_location={prism_binary}")
    process.wait_for(lambda run: run["records_read"] == PER_FILE)
    children = children_of(process.process.pid)
    assert children
    assert cancel(process) in (130, 0)  # so small a run may have been drained before the second one
    assert_gone(children)
    (run,) = open_store(folder.url).runs()
    assert run["state"] in ("cancelled", "done")


@pytest.mark.prism
def test_no_process_outlives_a_kill(folder: Folder, prism_binary: Path) -> None:
    process = folder.start("--runner=PrismRunner", f"--prism_location={prism_binary}")
    process.wait_for(lambda run: bool(run["live"]))  # its first beat, so the engine runs
    children = children_of(process.process.pid)
    assert children
    process.kill()
    assert_gone(children)


@pytest.mark.parametrize("after", ["4s", "500"])
def test_stop_after(folder: Folder, after: str) -> None:
    folder.land("0.csv")
    process = folder.start("--stop_after", after)
    assert process.process.wait(60) == 0, folder.log()
    (run,) = open_store(folder.url).runs()
    assert run["state"] == "done"
    assert run["records_read"] in ((0, PER_FILE) if after == "4s" else (PER_FILE,))


def test_old_windows_go(folder: Folder) -> None:
    folder.land("0.csv")
    process = folder.start("--keep_windows", "5")
    process.wait_for(lambda run: run["records_read"] == PER_FILE)
    assert process.drain() == 0, folder.log()
    store = open_store(folder.url)
    (run,) = store.runs()
    expected = expect("\n".join([folder.header, *folder.lines[:PER_FILE], ""]), folder.listed, (86400, 7200))
    starts = {row["window_start"] for row in store.rows("duration_by_hour", run["run_id"])}
    assert len(starts) == 5
    assert starts == set(sorted({key[0] for key in expected.tables["duration_by_hour"]})[-5:])
