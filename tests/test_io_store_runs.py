"""The life of runs: states, locks, the newest one, deleting old ones."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from stores import calls, hours, new_run, postgres_url, start_child, store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import Store, locks, open_store, set_run_values
from callbeam_io.store.runs import DIED, next_id
from transforms.errors import OptionError, StoreError


def test_a_run_from_start_to_end(store: Store) -> None:
    run_id = store.start_run(mode="batch", runner="DirectRunner", options={"input": ["a", "é"], "n": None})
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{4}", run_id)
    row = store.run(run_id)
    assert (row["state"], row["mode"], row["runner"]) == ("running", "batch", "DirectRunner")
    assert row["options"] == {"input": ["a", "é"], "n": None}
    assert row["records_read"] == row["records_late"] == 0
    assert row["finished_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["started_at"])
    store.update_run(run_id, records_read=7, good=5, watermark=datetime(2026, 11, 24, 12, tzinfo=UTC))
    store.finish_run(run_id, "done", rejected=2)
    row = store.run(run_id)
    assert (row["state"], row["records_read"], row["records_good"], row["records_rejected"]) == (
        "done",
        7,
        5,
        2,
    )
    assert row["watermark"] == "2026-11-24 12:00:00"
    assert row["finished_at"] >= row["started_at"]


def test_values_that_a_run_does_not_have(store: Store) -> None:
    run_id = new_run(store)
    with pytest.raises(ValueError, match="records_wrong"):
        store.update_run(run_id, wrong=1)
    with pytest.raises(ValueError, match="done, failed, cancelled"):
        store.finish_run(run_id, "finished")
    with pytest.raises(OptionError, match="no run 'x'"):
        store.run("x")


def test_counts_in_the_callers_transaction(store: Store) -> None:
    run_id = new_run(store)
    with pytest.raises(RuntimeError), store.writing() as connection:
        set_run_values(connection, run_id, read=9)
        raise RuntimeError
    assert store.run(run_id)["records_read"] == 0


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (None, "done", None),
        (KeyboardInterrupt(), "cancelled", None),
        (ValueError("no disk"), "failed", "no disk"),
    ],
)
def test_a_run_ends_as_its_block_ends(
    store: Store,
    error: BaseException | None,
    state: str,
    text: str | None,
) -> None:
    run_id = new_run(store)
    try:
        with store.running(run_id):
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError) as raised:
        assert raised is error
    row = store.run(run_id)
    assert (row["state"], row["error"]) == (state, text)


def test_run_ids_grow_within_a_second_and_when_the_clock_is_set_back() -> None:
    now = datetime(2026, 11, 24, 20, 17, 33, tzinfo=UTC)
    found = [next_id(None, now)]
    for _ in range(2000):
        found.append(next_id(found[-1], now))
    assert found[0].startswith("20261124T201733-00")
    assert found == sorted(set(found))
    assert {len(run_id) for run_id in found} == {20}
    assert next_id("20991231T235959-ff01", now).startswith("21000101T000000-")
    assert next_id("an older form", now).startswith("20261124T201733-")


def test_the_newest_run(store: Store) -> None:
    assert store.newest_run() is None
    assert store.rows("regions") == []
    first = new_run(store)
    assert store.newest_run() is None
    store.finish_run(first, "done")
    stream, failed, batch = new_run(store, "streaming"), new_run(store), new_run(store)
    store.finish_run(failed, "failed", error="x")
    assert store.newest_run() == stream
    assert store.newest_run(finished=True) == first
    store.finish_run(batch, "done")
    assert store.newest_run() == batch
    assert store.newest_run(mode="streaming") == stream
    assert [row["run_id"] for row in store.runs()] == [batch, failed, stream, first]
    assert [row["run_id"] for row in store.runs(limit=1)] == [batch]


def test_one_pipeline_per_run(store: Store, store_url: str) -> None:
    run_id = new_run(store, "streaming")
    other = open_store(store_url)
    with pytest.raises(OptionError, match=rf"{run_id}.*another process.*--fresh"):
        other.resume_run(run_id)
    assert other.mark_dead_runs() == store.mark_dead_runs() == []
    store.finish_run(run_id, "failed", error="broker gone")
    row = other.resume_run(run_id)
    assert (row["state"], row["error"]) == ("running", None)
    assert other.run(run_id)["state"] == "running"
    assert other.run(run_id)["started_at"] == row["started_at"]
    other.close()
    assert store.mark_dead_runs() == [run_id]
    assert store.resume_run(run_id)["run_id"] == run_id


def test_the_lock_dies_with_its_process(store: Store, store_url: str) -> None:
    code = f"""
import sys, time
from callbeam_io.store import open_store
print(open_store({store_url!r}).start_run(mode="batch", runner="r", options={{}}), flush=True)
time.sleep(60)
"""
    child = start_child(code)
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    assert store.mark_dead_runs() == []
    child.kill()
    child.communicate()
    while not store.mark_dead_runs():  # the server takes a moment to see it
        pass
    row = store.run(run_id)
    assert (row["state"], row["error"]) == ("failed", DIED)
    assert row["finished_at"] is not None


def test_a_run_that_cannot_be_entered_is_not_locked(store: Store) -> None:
    broken = {"input": object()}
    with pytest.raises(StoreError):
        store.start_run(mode="batch", runner="r", options=broken)
    assert store.runs() == []
    assert store.mark_dead_runs() == []
    store.finish_run(new_run(store), "done")


def test_whether_somebody_works_on_a_run(store: Store) -> None:
    run_id = new_run(store)
    assert not locks.is_free(store.engine, run_id)
    store.finish_run(run_id, "done")
    assert locks.is_free(store.engine, run_id)
    assert locks.is_free(store.engine, "no such run")


def test_lock_files_are_removed(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/r.db")
    run_id = new_run(store)
    assert [p.name for p in tmp_path.glob("*lock*")] == [f"r.db-lock-{run_id}"]
    store.finish_run(run_id, "done")
    assert list(tmp_path.glob("*lock*")) == []


@pytest.mark.postgres
def test_a_lost_connection_takes_the_lock_again_or_gives_the_run_up() -> None:
    url = postgres_url()
    store, other = open_store(url), open_store(url)
    run_id = new_run(store, "streaming")
    kill_others = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    with other.writing() as connection:
        connection.exec_driver_sql(kill_others)
    store.update_run(run_id, read=1)
    assert other.mark_dead_runs() == []
    with other.writing() as connection:
        connection.exec_driver_sql(kill_others)
    other.resume_run(run_id)
    with pytest.raises(StoreError, match="taken over"):
        store.update_run(run_id, read=2)
    store.close()
    other.close()


def test_old_runs_are_deleted_with_their_rows(store: Store) -> None:
    ids = []
    for n in range(4):
        ids.append(new_run(store))
        store.writer().write(ids[-1], {"duration_by_hour": hours(n)})
        store.finish_run(ids[-1], "done")
    live = new_run(store)
    store.writer().write(live, {"duration_by_hour": hours(9)})
    assert store.prune_runs(2) == ids[:2]
    assert store.prune_runs(2) == []
    assert [row["run_id"] for row in store.runs()] == [live, ids[3], ids[2]]
    assert [calls(store, run_id) for run_id in (*ids, live)] == [[], [], [2], [3], [9]]


def test_the_last_good_run_and_the_last_stream_are_kept(store: Store) -> None:
    stream, good, bad = new_run(store, "streaming"), new_run(store), [new_run(store) for _ in range(3)]
    store.finish_run(stream, "cancelled")
    store.finish_run(good, "done")
    for run_id in bad:
        store.finish_run(run_id, "failed")
    store.prune_runs(3)
    assert [row["run_id"] for row in store.runs()] == [bad[2], good, stream]
    store.prune_runs(0)
    assert [row["run_id"] for row in store.runs()] == [good, stream]


def test_a_deletion_that_was_cut_short_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.store.pruning._CHUNK", 2)
    old = new_run(store)
    store.writer().write(old, {"duration_by_hour": hours(1, 2, 3, 4, 5)})
    store.finish_run(old, "failed")
    store.finish_run(new_run(store), "done")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "_delete_rows", stop)
        store.prune_runs(1)
    with pytest.raises(OptionError):
        store.run(old)
    assert store.prune_runs(1) == [old]
    assert calls(store, old) == []


def test_old_windows_are_deleted_table_by_table(store: Store) -> None:
    run_id, other = new_run(store, "streaming"), new_run(store, "streaming")
    starts = [f"2026-11-24 12:0{n}:00" for n in range(5)]
    regions = pa.table({"window_start": starts * 2, "region": ["US"] * 5 + ["CA"] * 5})
    few = pa.table({"window_start": starts[:2], "business_type": ["Private"] * 2})
    for each in (run_id, other):
        store.writer().write(each, {"regions": regions, "business_types": few})
    store.prune_windows(run_id, 3)
    store.prune_windows(run_id, 3)
    assert {row["window_start"] for row in store.rows("regions", run_id)} == set(starts[2:])
    assert [store.count(name, run_id) for name in ("regions", "business_types")] == [6, 2]
    assert store.count("regions", other) == 10
