"""After a drain a run goes on with other templates or windows: what that changes begins anew, all else goes on."""

from __future__ import annotations

from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from list_feed import ListFeed
from live_process import LiveProcess
from test_pipelines_kill import land
from test_pipelines_live import prepared
from test_pipelines_run import table_of, write_directory

from callbeam_io.store import open_store
from pipelines.live import run_live
from transforms.schema import TEMPLATES

PART = 400
DAYS = (86_400, 7_200)
SOME, OTHERS = "duration_by_hour,regions,subscribers", "duration_by_hour,business_types,subscribers"
CHANGED = {
    "templates of windows": (
        ["--window", "sliding:1d/2h", "--templates", SOME],
        ["--window", "sliding:1d/2h", "--templates", OTHERS],
        {"duration_by_hour": (0, DAYS), "business_types": (1, DAYS), "subscribers": (0, DAYS)},
    ),
    "templates of the whole": (
        ["--window", "all", "--templates", SOME],
        ["--window", "all", "--templates", OTHERS],
        {"duration_by_hour": (0, (0, 0)), "business_types": (1, (0, 0)), "subscribers": (0, (0, 0))},
    ),
    "another window": (
        ["--window", "all"],
        ["--window", "sliding:1d/2h"],
        dict.fromkeys(TEMPLATES, (1, DAYS)),
    ),
    "the whole": (["--window", "sliding:1d/2h"], ["--window", "all"], dict.fromkeys(TEMPLATES, (1, (0, 0)))),
    "subscribers": (
        ["--templates", "regions,subscribers"],
        ["--templates", "regions,subscribers", "--window", "all"],
        {"regions": (0, (0, 0)), "subscribers": (1, (0, 0))},
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGED)
def test_what_changed_begins_anew(tmp_path: Path, change: str) -> None:
    """Three runs of a third of the records each: with the old flags, and twice with the new ones."""
    listed, text = messy.directory(), messy.csv_text(3 * PART, seed=91, bad=0, repeats=0)
    header, *lines = text.splitlines()
    before, after, wanted = CHANGED[change]
    for number, flags in enumerate((before, after, after)):
        feed = ListFeed("\n".join([header, *lines[: (number + 1) * PART], ""]), chunk=90)
        ready = prepared(tmp_path, [feed], *flags, "--directory", str(write_directory(tmp_path, listed)))
        assert run_live(ready) == 0
    (run,) = open_store(ready.config.output).runs()
    assert run["records_good"] == 3 * PART
    assert run["options"]["plan"]["window"] == str(ready.config.plan.window)
    for table in TEMPLATES:
        first, window = wanted.get(table, (3, (0, 0)))
        expected = expect("\n".join([header, *lines[first * PART :], ""]), listed, window).tables[table]
        assert table_of(ready.config.output, table) == expected, table


def test_after_a_kill_it_is_refused(tmp_path: Path) -> None:
    folder, url, log = tmp_path / "in", f"sqlite:///{tmp_path}/results.db", tmp_path / "log.txt"
    folder.mkdir()
    land(folder, "0.csv", messy.csv_text(PART, seed=92))
    flags = ["--input", f"dir://{folder}", "--snapshot_every", "1s", "--early_every", "1s"]
    process = LiveProcess(url, *flags, log=log)
    process.wait_for(lambda run: open_store(url).count("shard_state", run["run_id"]) > 0)
    process.kill()
    for flag, shown in (("--window=fixed:1d", "not given, not fixed:86400s"), ("--templates=regions", "")):
        assert LiveProcess(url, *flags, flag, log=log).process.wait(60) == 2
        assert f"has {flag.partition('=')[0]} {shown}" in log.read_text()
