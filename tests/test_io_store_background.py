"""The background writer and the registry of writers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError
from stores import calls, hours, new_run, store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import TABLES, BackgroundWriter, Store, close_writers, open_store, writer_for
from callbeam_io.store import background as module
from callbeam_io.store.migrations import SCHEMA_VERSION
from transforms.errors import StoreError


@pytest.fixture
def writer(store: Store, store_url: str) -> Iterator[BackgroundWriter]:
    yield writer_for(store_url)
    close_writers()


def transactions(writer: BackgroundWriter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the number of rows of each transaction."""
    seen: list[int] = []
    write = writer.writer.write

    def counting(*args: object, **kwargs: object) -> int:
        rows = write(*args, **kwargs)  # type: ignore[arg-type]
        seen.append(rows)
        return rows

    monkeypatch.setattr(writer.writer, "write", counting)
    return seen


def test_what_was_put_is_there_after_flush(store: Store, writer: BackgroundWriter) -> None:
    run_id = new_run(store)
    for n in range(20):
        writer.put(run_id, {"duration_by_hour": hours(n, first=n % 5)}, counts={"read": n})
    writer.flush()
    assert calls(store, run_id) == [15, 16, 17, 18, 19]
    assert store.run(run_id)["records_read"] == 19


def test_flush_of_nothing(writer: BackgroundWriter) -> None:
    writer.flush()
    writer.flush()


def test_rows_of_a_fresh_run_share_a_transaction(
    store: Store,
    writer: BackgroundWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GATHER_ROWS", 6)
    seen, run_id = transactions(writer, monkeypatch), new_run(store)
    for n in range(5):
        writer.put(run_id, {"duration_by_hour": hours(n, n, first=2 * n)}, append=True, counts={"read": n})
    writer.flush()
    assert sum(seen) == 10
    assert len(seen) < 5
    assert calls(store, run_id) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert store.run(run_id)["records_read"] == 4


def test_fresh_rows_join_a_transaction_that_is_open(
    store: Store, writer: BackgroundWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_ROWS", 1)
    monkeypatch.setattr(module, "COMPANY", 30.0)
    seen, run_id = transactions(writer, monkeypatch), new_run(store)
    for n in range(3):
        writer.put(run_id, {"duration_by_hour": hours(n, first=n)}, append=True, counts={"read": n})
    assert calls(store, run_id) == []
    writer.flush()  # does not wait for company
    assert seen == [3]
    assert calls(store, run_id) == [0, 1, 2]
    assert store.run(run_id)["records_read"] == 2


def test_fresh_rows_wait_for_company_others_do_not(store: Store, writer: BackgroundWriter) -> None:
    run_id = new_run(store)
    written = threading.Event()

    def also(_: Connection) -> None:
        written.set()

    writer.put(run_id, {"duration_by_hour": hours(1)}, append=True)
    assert calls(store, run_id) == []
    writer.put(run_id, {"duration_by_hour": hours(2, first=1)}, also=also)
    assert written.wait(10)
    writer.flush()
    assert calls(store, run_id) == [1, 2]


def test_order_is_kept_where_tables_or_runs_differ(store: Store, writer: BackgroundWriter) -> None:
    first, second = new_run(store), new_run(store)
    seen: list[tuple[list[int], list[int]]] = []

    def also(_: Connection) -> None:
        seen.append((calls(store, first), calls(store, second)))  # what the transactions before this one left

    writer.put(first, {"duration_by_hour": hours(1)}, append=True)
    writer.put(second, {"duration_by_hour": hours(2)}, append=True)
    writer.put(
        first,
        {"duration_by_hour": hours(3).select(["window_start", "hour", "calls"])},
        append=True,
        also=also,
    )
    writer.put(first, {"duration_by_hour": hours(4)}, append=True, also=also)
    writer.flush()
    assert seen == [([1], [2]), ([3], [2])]
    assert calls(store, first) == [4]


def test_many_threads(store: Store, writer: BackgroundWriter) -> None:
    run_id = new_run(store)

    def work(number: int) -> None:
        for n in range(10):
            writer.put(run_id, {"duration_by_hour": hours(n, first=number * 10 + n)}, append=n % 2 == 0)
        writer.flush()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        store.update_run(run_id, read=1)  # the heartbeat of the main thread meanwhile
    for thread in threads:
        thread.join()
    assert calls(store, run_id) == list(range(10)) * 4


def test_put_waits_while_too_much_is_waiting(store: Store, store_url: str) -> None:
    run_id = new_run(store)
    go = threading.Event()
    small = BackgroundWriter(open_store(store_url).writer(), max_bytes=hours(1).nbytes)
    small.put(run_id, {}, also=lambda _: go.wait(10))
    small.put(run_id, {"duration_by_hour": hours(1)})
    late = threading.Thread(target=small.put, args=(run_id, {"duration_by_hour": hours(2)}))
    late.start()
    late.join(0.1)
    assert late.is_alive()
    go.set()
    late.join(10)
    assert not late.is_alive()
    small.close()
    assert calls(store, run_id) == [2]


def test_a_failure_is_raised_by_everything_after_it(
    store: Store, writer: BackgroundWriter, store_url: str
) -> None:
    run_id = new_run(store)

    def fail(connection: Connection) -> None:
        connection.execute(insert(TABLES["schema_version"]).values(version=SCHEMA_VERSION))

    writer.put(run_id, {"duration_by_hour": hours(1)}, also=fail)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"writing to the result store .*(UNIQUE|unique)"):
            writer.flush()
    with pytest.raises(StoreError):
        writer.put(run_id, {"duration_by_hour": hours(1)})
    assert calls(store, run_id) == []
    assert writer_for(store_url) is writer  # whoever else lost rows has to hear of it
    close_writers()
    fresh = writer_for(store_url)
    fresh.put(run_id, {"duration_by_hour": hours(5)})
    fresh.flush()
    assert calls(store, run_id) == [5]


def test_a_mistake_is_raised_where_it_is_made(store: Store, writer: BackgroundWriter) -> None:
    with pytest.raises(ValueError, match="no table"):
        writer.put("r", {"nope": hours(1)})
    writer.flush()


def test_one_writer_per_store(writer: BackgroundWriter, store_url: str, tmp_path: Path) -> None:
    assert writer_for(store_url) is writer
    assert writer_for(f"sqlite:///{tmp_path}/other.db") is not writer


def test_closing_writes_what_waits(store: Store, store_url: str) -> None:
    run_id = new_run(store)
    writer = writer_for(store_url)
    writer.put(run_id, {"duration_by_hour": hours(1)}, append=True)
    close_writers()
    assert calls(store, run_id) == [1]
    with pytest.raises(StoreError, match="closed"):
        writer.put(run_id, {"duration_by_hour": hours(2)})
    writer.close()


def test_patience_is_for_what_mends(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch, writer: BackgroundWriter
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    run_id, attempts, troubles = new_run(store), [0], []
    full = type("OperationalError", (Exception,), {})("database or disk is full")

    def full_at_first(_: Connection) -> None:
        attempts[0] += 1
        troubles.append(writer.trouble)
        if attempts[0] < 3:
            raise DBAPIError("", None, full)

    def never_right(connection: Connection) -> None:
        connection.execute(insert(TABLES["schema_version"]).values(version=SCHEMA_VERSION))

    assert writer_for(store_url, patient=True) is writer
    writer.put(run_id, {"duration_by_hour": hours(1)}, also=full_at_first)
    writer.flush()
    assert calls(store, run_id) == [1]
    assert troubles[0] is None
    assert "disk is full" in troubles[2]
    assert writer.trouble is None
    writer.put(run_id, {}, also=never_right)
    with pytest.raises(StoreError, match=r"UNIQUE|unique"):
        writer.flush()
