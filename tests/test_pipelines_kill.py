"""Nothing is lost and nothing doubled when the pipeline dies: kill -9 at any moment, then go on."""

from __future__ import annotations

import random
import time
from pathlib import Path

import messy
from cdr_oracle import expect
from live_process import LiveProcess
from test_pipelines_run import check, write_directory

from callbeam_io.store import open_store

KILLS = 5


def land(folder: Path, name: str, text: str) -> None:
    part = folder / f".{name}"
    part.write_text(text, encoding="utf-8")
    part.rename(folder / name)


def test_five_kills_leave_the_rows_of_batch(tmp_path: Path) -> None:
    rng = random.Random(5)
    text, listed = messy.csv_text(6000, seed=31, accounts=True).replace("BUSY", "ANSWERED"), messy.directory()
    header, *lines = text.splitlines()
    folder, url = tmp_path / "in", f"sqlite:///{tmp_path}/results.db"
    folder.mkdir()
    flags = [
        "--input", f"dir://{folder}", "--directory", str(write_directory(tmp_path, listed)),
        "--window", "sliding:1d/2h",
        "--snapshot_every", "1s", "--early_every", "1s", "--allowed_lateness", "400d",
    ]  # fmt: skip
    parts = [lines[i : i + 1000] for i in range(0, len(lines), 1000)]
    for number, part in enumerate(parts):
        land(folder, f"{number}.csv", "\n".join([header, *part, ""]))
        process = LiveProcess(url, *flags, log=tmp_path / "log.txt")
        if number < KILLS:
            process.wait_for(lambda run: run["state"] == "running")
            time.sleep(rng.uniform(0.5, 4))
            process.kill()
    process.wait_for(lambda run: run["records_read"] == len(lines))
    assert process.drain() == 0
    runs = open_store(url).runs()
    assert [r["state"] for r in runs] == ["done"]
    check(url, expect(text, listed, (86400, 7200)))
