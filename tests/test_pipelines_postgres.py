"""A run whose PostgreSQL server is restarted: it goes on under its lock, unless another process has it by then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from servers.postgres import HINT, postgres_bin, postgres_process
from servers.processes import ServerProcess
from slow_feed import SlowFeed
from stores import new_run
from test_pipelines_live import prepared
from test_pipelines_run import check, write_directory

from callbeam_io.store import Store, locks, mends, open_store
from pipelines.live import run_live
from transforms.errors import CallbeamError, StoreError

pytestmark = pytest.mark.postgres
Server = tuple[str, ServerProcess]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of its own: others work on the one of the session."""
    if postgres_bin() is None:
        pytest.skip(HINT)
    with postgres_process(tmp_path / "postgres") as found:
        yield found
        found[1].kill()  # a polite end waits for the connections


def opened(url: str) -> Store:
    """The store, once its server answers."""
    end = time.monotonic() + 30
    while True:
        try:
            return open_store(url)
        except CallbeamError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def is_locked(store: Store, run_id: str, seconds: float = 20) -> bool:
    """Whether somebody takes the run's lock within the time."""
    end = time.monotonic() + seconds
    while locks.is_free(store.engine, run_id) and time.monotonic() < end:
        time.sleep(0.1)
    return not locks.is_free(store.engine, run_id)


def test_a_run_goes_on_after_a_restart(tmp_path: Path, server: Server) -> None:
    text, listed = messy.csv_text(900, seed=95).replace("BUSY", "ANSWERED"), messy.directory()
    feed = SlowFeed(text, chunk=60, pause=0.4, lateness=86_400 * 365)
    flags = ["--directory", str(write_directory(tmp_path, listed)), "--window", "sliding:1d/2h"]
    ready = prepared(tmp_path, [feed], *flags)
    url, process = server
    store = open_store(url)
    ready = replace(ready, config=replace(ready.config, output=url), store=store)
    seen: list[bool] = []

    def restart() -> None:
        while not (store.runs() and store.runs()[0]["records_read"]):
            time.sleep(0.1)
        run_id = store.runs()[0]["run_id"]
        process.kill()
        time.sleep(1)
        process.start()
        seen.append(is_locked(opened(url), run_id))

    thread = threading.Thread(target=restart)
    thread.start()
    assert run_live(ready) == 0
    thread.join()
    assert seen == [True]
    check(url, expect(text, listed, (86_400, 7_200)))


def test_who_is_away_who_is_dead_and_who_is_replaced(server: Server) -> None:
    url, process = server
    store, other = open_store(url), open_store(url)
    run_id = new_run(store, "streaming")
    process.kill()
    with pytest.raises(StoreError) as away:
        store.update_run(run_id, read=1)
    assert mends(away.value)
    process.start()
    assert opened(url).mark_dead_runs() == [run_id]  # nobody holds its lock yet
    store.update_run(run_id, read=1)
    assert (store.run(run_id)["state"], store.run(run_id)["error"]) == ("running", None)
    assert other.mark_dead_runs() == []
    process.kill()
    process.start()
    opened(url).close()
    other.resume_run(run_id)
    with pytest.raises(StoreError, match="taken over by another process") as lost:
        store.update_run(run_id, read=2)
    assert not mends(lost.value)
