"""A running stream is told through its store to drain, or to go on with other templates or another window."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_pipelines_stop import PER_FILE, Folder

from callbeam_io import orders
from callbeam_io.orders import Order
from callbeam_io.store import open_store
from pipelines.orders import check
from transforms.errors import OptionError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_run_that_is_told_to_drain_ends_done(folder: Folder) -> None:
    folder.land("0.csv")
    process = folder.start()
    process.wait_for(lambda run: run["records_read"] == PER_FILE)
    store = open_store(folder.url)
    run_id = store.newest_run(mode="streaming")
    orders.give(store, run_id, Order(by="admin"))
    assert process.process.wait(60) == 0, folder.log()
    assert store.run(run_id)["state"] == "done"
    assert orders.given(store, run_id) is None
    folder.check()
    with pytest.raises(OptionError, match="a streaming run that is running"):
        orders.give(store, run_id, Order())
    store.close()


def test_a_run_goes_on_with_other_templates_and_windows(folder: Folder) -> None:
    folder.land("0.csv")
    process = folder.start("--templates", "duration_by_hour")
    process.wait_for(lambda run: run["records_read"] == PER_FILE)
    store = open_store(folder.url)
    run_id = store.newest_run(mode="streaming")
    orders.give(
        store, run_id, Order({"templates": "duration_by_hour,regions", "window": "fixed:2h"}, "admin")
    )
    wanted = {"templates": ["duration_by_hour", "regions"], "window": "fixed:7200s"}
    process.wait_for(lambda run: run["options"]["plan"] == wanted and run["state"] == "running")
    folder.land("1.csv")
    process.wait_for(lambda run: run["records_read"] == 2 * PER_FILE)
    assert process.drain() == 0, folder.log()
    assert (
        "going on with --templates=duration_by_hour,regions --window=fixed:2h, as admin ordered"
        in folder.log()
    )
    assert store.newest_run(mode="streaming") == run_id
    assert store.count("regions", run_id) > 0
    starts = {r["window_start"] for r in store.rows("duration_by_hour", run_id)}
    ends = {r["window_end"] for r in store.rows("duration_by_hour", run_id)}
    assert len(starts) == len(ends) > 0
    assert all(int(s[11:13]) % 2 == 0 for s in starts)
    store.close()


def test_what_cannot_be_ordered() -> None:
    assert check({"window": "sliding:1d/2h", "templates": "all"})
    for changes in ({"pane": "5s"}, {"window": "an hour"}, {"templates": "hours"}):
        with pytest.raises(OptionError):
            check(changes)
