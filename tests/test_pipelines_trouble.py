"""A result store in trouble: a clear word, then the run goes on, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from live_process import LiveProcess
from test_pipelines_kill import land
from test_pipelines_run import check, write_directory

from callbeam_io.store import open_store

HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


class Run:
    """A live run over a folder, in two halves: the second lands in the middle of the trouble."""

    def __init__(self, folder: Path, store_folder: Path) -> None:
        self.text = messy.csv_text(3000, seed=71).replace("BUSY", "ANSWERED")
        self.header, *self.lines = self.text.splitlines()
        self.listed, self.folder = messy.directory(), folder / "in"
        self.url = f"sqlite:///{store_folder}/results.db"
        self.folder.mkdir()
        self.flags = [
            "--input", f"dir://{self.folder}", "--directory", str(write_directory(folder, self.listed)),
            "--window", "sliding:1d/2h", "--allowed_lateness", "400d", "--early_every", "1s",
            "--snapshot_every", "2s",
        ]  # fmt: skip
        self.land("0.csv", self.lines[:1000])
        self.start()
        self.process.wait_for(lambda run: run["records_read"] == 1000)

    def start(self) -> None:
        self.process = LiveProcess(self.url, *self.flags, log=self.folder.parent / "log.txt")

    def land(self, name: str, lines: list[str]) -> None:
        land(self.folder, name, "\n".join([self.header, *lines, ""]))

    def wait_for_words(self, words: str, timeout: float = 40) -> None:
        end = time.monotonic() + timeout
        while words not in self.process.log.read_text():
            assert time.monotonic() < end, self.process.log.read_text()[-2000:]
            assert self.process.process.poll() is None, self.process.log.read_text()[-2000:]
            time.sleep(0.1)

    def ends_well(self, trouble: str) -> None:
        self.process.wait_for(lambda run: run["records_read"] == len(self.lines))
        assert self.process.drain() == 0, self.process.log.read_text()[-2000:]
        (run,) = open_store(self.url).runs()
        assert run["state"] == "done"
        assert trouble in run["live"]["last_trouble"]
        assert run["live"]["trouble"] is None
        assert "stored again" in self.process.log.read_text()
        check(self.url, expect(self.text, self.listed, (86400, 7200)))


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process holds the write lock: this one must not open a store with another library."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(database)], stdin=pipe, stdout=pipe, text=True
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            yield
        finally:
            other.communicate("go\n")


def test_a_store_locked_for_longer_than_a_writer_waits(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path)
    with locked(tmp_path / "results.db"):
        run.land("1.csv", run.lines[1000:])
        run.wait_for_words("Another process has been writing for too long")
    run.ends_well("locked")


def test_two_signals_end_a_run_that_waits(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path)
    with locked(tmp_path / "results.db"):
        run.land("1.csv", run.lines[1000:])
        run.process.process.terminate()
        run.wait_for_words("once more to cancel")
        run.process.process.terminate()
        assert run.process.process.wait(20) == 130
    run.start()
    run.process.wait_for(lambda row: row["records_read"] == len(run.lines))
    assert run.process.drain() == 0
    assert [r["state"] for r in open_store(run.url).runs()] == ["done"]
    check(run.url, expect(run.text, run.listed, (86400, 7200)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no small file system can be made: {error}")
    if done.returncode:
        pytest.skip(f"no small file system can be made: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    run = Run(tmp_path, small_disk)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    run.land("1.csv", run.lines[1000:])
    run.wait_for_words("full")
    ballast.unlink()
    run.ends_well("")


DROP_TABLE = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None).execute("DROP TABLE regions")
"""


def test_a_store_that_does_not_mend_ends_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path)
    subprocess.run([sys.executable, "-c", DROP_TABLE, str(tmp_path / "results.db")], check=True)
    run.land("1.csv", run.lines[1000:])
    assert run.process.process.wait(30) == 1
    assert "no such table" in run.process.log.read_text()
    assert [r["state"] for r in open_store(run.url).runs()] == ["failed"]
