"""Writing tables: absolute upserts by key, all or nothing."""

import threading
import traceback
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.processes import wait_until
from sqlalchemy import Connection, insert
from stores import calls, hours, new_run, postgres_url, start_child, store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import TABLES, Store, open_store
from callbeam_io.store.arrow import for_store
from transforms.errors import StoreError

REJECT = {"source": ["a.csv"], "line": ["7"], "field": ["charge"], "reason": ["no number"], "raw": ["x"]}
RULE = {"rule_id": ["r"], "name": ["first"], "version": [2]}


def rejects(store: Store, run_id: str) -> list[tuple[str, str]]:
    return [(row["line"], row["raw"]) for row in store.rows("rejects", run_id)]


def test_what_is_written_is_what_is_read(store: Store) -> None:
    run_id = new_run(store)
    rows = {
        "subscriber": ["+12025550123", "sip:é"],
        "calls": [2**62, None],
        "charge": [0.1, 1e300],
        "first_seen": ["2026-11-24 12:00:00", None],
        "tag": ["", None],
    }
    assert store.writer().write(run_id, {"subscribers": pa.table(rows)}) == 2
    found = store.rows("subscribers", run_id)
    assert [{name: row[name] for name in rows} for row in found] == pa.table(rows).to_pylist()
    assert list(found[0]) == TABLES["subscribers"].c.keys()
    assert found[0]["run_id"] == run_id
    assert found[0]["best_hour"] is None


@pytest.mark.parametrize("append", [False, True])
def test_a_batch_written_again_changes_nothing(store: Store, append: bool) -> None:
    run_id = new_run(store)
    for _ in range(3):
        store.writer().write(run_id, {"duration_by_hour": hours(1, 2, 3)}, append=append)
    assert calls(store, run_id) == [1, 2, 3]
    store.writer().write(run_id, {"duration_by_hour": hours(7, 8, first=2)}, append=append)
    assert calls(store, run_id) == [1, 2, 7, 8]


def test_runs_do_not_touch_each_other(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    store.writer().write(first, {"duration_by_hour": hours(1)})
    store.writer().write(second, {"duration_by_hour": hours(2)})
    assert (calls(store, first), calls(store, second)) == ([1], [2])


def test_columns_that_are_left_out_keep_their_values(store: Store) -> None:
    run_id = new_run(store)
    store.writer().write(run_id, {"subscribers": pa.table({"subscriber": ["+1", "+2"], "calls": [5, 6]})})
    store.writer().write(run_id, {"subscribers": pa.table({"subscriber": ["+2"], "contact_from": [9]})})
    store.writer().write(run_id, {"subscribers": pa.table({"subscriber": ["+3", "+2"]})})
    found = [(r["subscriber"], r["calls"], r["contact_from"]) for r in store.rows("subscribers", run_id)]
    assert found == [("+1", 5, None), ("+2", 6, 9), ("+3", None, None)]


@pytest.mark.parametrize("append", [False, True])
def test_of_rows_with_one_key_the_last_counts(store: Store, append: bool) -> None:
    run_id = new_run(store)
    twice = pa.concat_tables([hours(1, 2), hours(8, 9)])
    store.writer().write(run_id, {"duration_by_hour": twice}, append=append)
    assert calls(store, run_id) == [8, 9]


def test_promotions_are_never_revised(store: Store) -> None:
    run_id = new_run(store)

    def promotion(*outcomes: str) -> pa.Table:
        n = len(outcomes)
        key = {"rule_id": ["r"] * n, "subscriber": ["+1"] * n, "decided_at": ["2026-11-24 12:00:00"] * n}
        return pa.table({**key, "outcome": list(outcomes), "features": ['{"a":[1,null]}'] * n})

    store.writer().write(run_id, {"promotions": promotion("offered", "control")})
    store.writer().write(run_id, {"promotions": promotion("capped")})
    assert [(r["outcome"], r["features"]) for r in store.rows("promotions", run_id)] == [
        ("offered", {"a": [1, None]})
    ]


def test_a_lower_version_never_takes_the_place_of_a_higher_one(store: Store) -> None:
    def rules(*rows: tuple[str, int | None]) -> pa.Table:
        named, versions = zip(*rows, strict=True)
        return pa.table(
            {"rule_id": ["r"] * len(rows), "name": named, "version": pa.array(versions, pa.int64())}
        )

    seen = []
    for rows in ([("a", 3), ("b", 2)], [("c", 2)], [("d", None)], [("e", 3)], [("f", 5), ("g", 5), ("h", 4)]):
        store.writer().write("", {"rules": rules(*rows)})
        seen.append([(row["name"], row["version"]) for row in store.rows("rules")])
    assert seen == [[("a", 3)], [("a", 3)], [("a", 3)], [("e", 3)], [("g", 5)]]


def test_one_text_per_time(store: Store) -> None:
    run_id = new_run(store)
    moment = datetime(2026, 11, 24, 12, 0, 1, 999_999)
    zone = timezone(timedelta(hours=2))
    for column in (
        pa.array([moment], pa.timestamp("us")),
        pa.array([moment.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([moment.replace(tzinfo=UTC).astimezone(zone)], pa.timestamp("ms", "Europe/Athens")),
        pa.array([moment], pa.timestamp("ns")),
        pa.array(["2026-11-24 12:00:01"]),
    ):
        rows = pa.table({"window_start": column, "region": ["US"], "calls": [1]})
        store.writer().write(run_id, {"regions": rows})
    assert [row["window_start"] for row in store.rows("regions", run_id)] == ["2026-11-24 12:00:01"]
    assert (
        store.count("regions", run_id, where={"window_start": datetime(2026, 11, 24, 14, 0, 1, tzinfo=zone)})
        == 1
    )
    early = pa.array([-1, None, 253_402_214_400_000_000], pa.timestamp("us"))
    rows = pa.table({"subscriber": ["a", "b", "c"], "first_seen": early})
    store.writer().write(run_id, {"subscribers": rows})
    assert [r["first_seen"] for r in store.rows("subscribers", run_id)] == [
        "1969-12-31 23:59:59",
        None,
        "9999-12-31 00:00:00",
    ]


def test_arrow_in_any_form(store: Store) -> None:
    run_id = new_run(store)
    frame = pl.DataFrame({"subscriber": ["+1", "+2"], "tag": pl.Series(["A", "B"], dtype=pl.Categorical)})
    frame = frame.with_columns(
        calls=pl.Series([1, 2], dtype=pl.UInt8), charge=pl.Series([1, 2], dtype=pl.Float32)
    )
    batch = pa.record_batch({"subscriber": pa.array(["+3"], pa.string_view()), "tag": ["C"], "calls": [3]})
    writer = store.writer()
    writer.write(run_id, {"subscribers": frame})
    writer.write(run_id, {"subscribers": batch})
    writer.write(
        run_id, {"subscribers": pa.table({"subscriber": ["+4"], "run_id": ["ignored"], "calls": [None]})}
    )
    writer.write(run_id, {"subscribers": frame.to_arrow().slice(2)})
    found = [(r["subscriber"], r["tag"], r["calls"]) for r in store.rows("subscribers", run_id)]
    assert found == [("+1", "A", 1), ("+2", "B", 2), ("+3", "C", 3), ("+4", None, None)]


def test_text_that_databases_find_hard(store: Store) -> None:
    run_id = new_run(store)
    raw = [
        "",
        '"',
        "a\n\\.\nb",
        "\\.",
        "\\N",
        "NULL",
        "a,b",
        "\r\n",
        "nul\0in",
        "\t",
        "'; DROP",
        "%s",
        "𝄞",
        "é ",
    ]
    n = len(raw)
    rows = pa.table({"source": ["s"] * n, "line": [f"{i:02}" for i in range(n)], "raw": raw})
    store.writer().write(run_id, {"rejects": rows})
    expected = [text.replace("\0", "\u2400") for text in raw]
    assert [text for _, text in rejects(store, run_id)] == expected
    assert store.table("rejects", run_id)["raw"].to_pylist() == expected
    for text in expected:
        assert store.count("rejects", run_id, where={"raw": text}) == 1
        assert store.table("rejects", run_id, where={"raw": text}).num_rows == 1


def test_bytes_and_switches(store: Store) -> None:
    run_id = new_run(store)
    state = {"shard": [1, 2], "kind": ["panes"] * 2, "seq": [0, 0], "payload": [bytes(range(256)), None]}
    offset = {"source": ["t"], "split": ["0"], "offset": ["17"], "watermark": [None]}
    consent = {
        "subscriber": ["+1", "+2", "+3"],
        "at": ["2026-01-01 00:00:00"] * 3,
        "opted_in": [True, False, None],
    }
    store.writer().write(
        run_id,
        {"shard_state": pa.table(state), "source_offsets": pa.table(offset), "consent": pa.table(consent)},
    )
    assert [r["payload"] for r in store.rows("shard_state", run_id)] == state["payload"]
    assert store.table("shard_state", run_id)["payload"].to_pylist() == state["payload"]
    assert [r["opted_in"] for r in store.rows("consent")] == [True, False, None]
    assert store.table("consent")["opted_in"].to_pylist() == [True, False, None]
    assert store.rows("source_offsets", run_id)[0]["offset"] == "17"


def test_columns_that_the_table_does_not_have(store: Store) -> None:
    for rows in ({"hour": [1]}, {"window_start": ["x"], "hour": [1], "colour": [1]}):
        with pytest.raises(ValueError, match="duration_by_hour"):
            store.writer().write("r", {"duration_by_hour": pa.table(rows)})
    with pytest.raises(ValueError, match="no table 'nope'"):
        store.writer().write("r", {"nope": hours(1)})


def test_everything_in_one_transaction(store: Store) -> None:
    run_id = new_run(store)

    def fail(connection: Connection) -> None:
        connection.execute(insert(TABLES["suppressed"]).values(subscriber="+1", at="2026-01-01 00:00:00"))
        raise StoreError("the offsets could not be kept")

    tables = {"duration_by_hour": hours(1), "rejects": pa.table(REJECT)}
    with pytest.raises(StoreError, match="the offsets"):
        store.writer().write(run_id, tables, append=True, counts={"read": 5}, also=fail)
    assert (calls(store, run_id), rejects(store, run_id), store.count("suppressed")) == ([], [], 0)
    assert store.run(run_id)["records_read"] == 0
    store.writer().write(run_id, tables, append=True, counts={"read": 5})
    assert (calls(store, run_id), store.run(run_id)["records_read"]) == ([1], 5)


def test_what_the_database_refuses_is_a_store_error(store: Store) -> None:
    run_id = new_run(store)
    nameless = pa.table({"subscriber": pa.array([None], pa.string())})
    with pytest.raises(StoreError, match=r"writing to the result store .*subscriber") as caught:
        store.writer().write(run_id, {"subscribers": nameless})
    assert "INSERT" not in str(caught.value)
    store.writer().write(run_id, {"duration_by_hour": hours(4)})
    assert calls(store, run_id) == [4]


KEYS = st.tuples(st.sampled_from(["", "a", "B", "b", "é", '"', "\\."]), st.sampled_from(["1", "10", "9"]))
VALUES = st.tuples(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5) | st.none(),
    st.none() | st.text("ab\n", max_size=2),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_upserts_in_any_order_and_number_give_the_same_table(store: Store, data: st.DataObject) -> None:
    """Equal values for equal keys, whatever the batches: the table is the set of rows."""
    run_id = new_run(store)
    rows = data.draw(st.dictionaries(KEYS, VALUES, min_size=1))
    sent = data.draw(st.lists(st.lists(st.sampled_from(sorted(rows)), max_size=6), max_size=5))
    for keys in (*sent, sorted(rows)):
        columns = {"source": [k[0] for k in keys], "line": [k[1] for k in keys]}
        columns["raw"], columns["field"] = [rows[k][0] for k in keys], [rows[k][1] for k in keys]
        table = for_store(
            TABLES["rejects"], pa.table({n: pa.array(c, pa.string()) for n, c in columns.items()})
        )
        store.writer().write(run_id, {"rejects": table}, append=data.draw(st.booleans()))
    found = {(r["source"], r["line"]): (r["raw"], r["field"]) for r in store.rows("rejects", run_id)}
    assert found == rows
    assert store.table("rejects", run_id).select(["source", "line"]).to_pylist() == [
        {"source": source, "line": line} for source, line in sorted(rows)
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=5), max_size=4), st.booleans())
def test_the_last_value_of_a_key_counts(
    store: Store,
    batches: list[list[tuple[int, int]]],
    append: bool,
) -> None:
    run_id = new_run(store)
    expected: dict[int, int] = {}
    for batch in batches:
        batch = [(hour, value % 2**63) for hour, value in batch]
        expected.update(batch)
        ints = pa.table(
            {
                "hour": pa.array([h for h, _ in batch], pa.int64()),
                "calls": pa.array([v for _, v in batch], pa.int64()),
            }
        )
        start = pa.array(["1970-01-01 00:00:00"] * len(batch), pa.string())
        store.writer().write(
            run_id, {"duration_by_hour": ints.append_column("window_start", start)}, append=append
        )
    assert {row["hour"]: row["calls"] for row in store.rows("duration_by_hour", run_id)} == expected


WRITE_AND_WAIT = """
import sys
from callbeam_io.store import open_store
from stores import hours
store = open_store({url!r})
run_id = store.start_run(mode="batch", runner="r", options={{}})
store.writer().write(run_id, {{"duration_by_hour": hours(1, 2)}}, counts={{"read": 1}})
def wait(connection):
    print(run_id, flush=True)
    sys.stdin.readline()
more = {{"duration_by_hour": hours(*range(3, 9), first=1)}}
store.writer().write(run_id, more, counts={{"read": 2}}, also=wait)
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("committed", [False, True])
def test_kill_9_leaves_all_of_a_write_or_nothing(store: Store, store_url: str, committed: bool) -> None:
    child = start_child(WRITE_AND_WAIT.format(url=store_url))
    assert child.stdout is not None and child.stdin is not None
    run_id = child.stdout.readline().strip()
    if committed:
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "written\n"
    child.kill()
    child.communicate()
    assert calls(store, run_id) == ([1, 3, 4, 5, 6, 7, 8] if committed else [1, 2])
    assert store.run(run_id)["records_read"] == 1 + committed
    store.writer().write(run_id, {"duration_by_hour": hours(*range(3, 9), first=1)})
    assert calls(store, run_id) == [1, 3, 4, 5, 6, 7, 8]
    while not store.mark_dead_runs():
        pass
    assert store.newest_run() is None


WRITE_AND_INTERRUPT = """
import os, signal, threading
from callbeam_io.store import open_store
from stores import calls, hours
store = open_store({url!r})
run_id = store.start_run(mode="batch", runner="r", options={{}})
rows = hours(*range(300_000))
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    with store.running(run_id):
        store.writer().write(run_id, {{"duration_by_hour": rows}})
except KeyboardInterrupt:
    print(store.run(run_id)["state"], calls(store, run_id))
"""


def test_ctrl_c_in_the_middle_of_a_write_cancels_the_run(store_url: str) -> None:
    child = start_child(WRITE_AND_INTERRUPT.format(url=store_url))
    assert child.communicate()[0] == "cancelled []\n"


def test_a_store_that_another_process_keeps_locked(store: Store, store_url: str) -> None:
    run_id = new_run(store)
    store.writer().write(run_id, {"duration_by_hour": hours(1)})
    hasty = open_store(store_url, lock_wait=0.2)
    with (
        store.writing() as connection,
        pytest.raises(StoreError, match=r"lock.*Another process has been writing"),
    ):
        connection.exec_driver_sql("UPDATE duration_by_hour SET calls = 2")
        hasty.writer().write(run_id, {"duration_by_hour": hours(3)})
    hasty.writer().write(run_id, {"duration_by_hour": hours(4)})
    assert calls(store, run_id) == [4]
    hasty.close()


def test_a_full_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/r.db")
    run_id, writer = new_run(store), store.writer()
    writer.write(run_id, {"duration_by_hour": hours(1)})
    with writer.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    raw = pa.table({**REJECT, "raw": ["x" * 100_000]})
    with pytest.raises(StoreError, match="disk is full: make room"):
        writer.write(run_id, {"duration_by_hour": hours(2), "rejects": raw})
    assert calls(store, run_id) == [1]
    writer.write(run_id, {"duration_by_hour": hours(3)})
    assert calls(store, run_id) == [3]
    store.close()


def somebody_waits(store: Store) -> bool:
    waiting = "wait_event_type = 'Lock' AND starts_with(query, 'INSERT')"
    with store.reading() as connection:
        return bool(connection.exec_driver_sql(f"SELECT 1 FROM pg_stat_activity WHERE {waiting}").scalar())


@pytest.mark.postgres
def test_a_deadlock_is_resolved_by_another_try() -> None:
    store = open_store(postgres_url())
    run_id, writer = new_run(store), store.writer()
    writer.write(run_id, {"duration_by_hour": hours(0, 0)})
    tries = []
    rows = pa.concat_tables([hours(2, first=1), hours(1, first=0)])

    def write() -> None:
        writer.write(run_id, {"duration_by_hour": rows}, also=lambda _: tries.append("done"))

    change = "UPDATE duration_by_hour SET calls = 9 WHERE hour = {}"
    thread = threading.Thread(target=write)
    with store.writing() as connection:
        connection.exec_driver_sql(change.format(0))
        thread.start()
        wait_until(lambda: somebody_waits(store), "the writer waits", 10)
        connection.exec_driver_sql(change.format(1))
    thread.join()
    assert tries == ["done"]
    assert calls(store, run_id) == [1, 2]
    store.close()


def test_errors_show_no_numbers_of_people(store: Store) -> None:
    rows = insert(TABLES["suppressed"]).values(subscriber="+12025550123", at="2026-01-01 00:00:00")
    with pytest.raises(StoreError) as caught, store.writing() as connection:
        connection.execute(rows)
        connection.execute(rows)
    shown = "".join(traceback.format_exception(caught.value))
    assert "suppressed" in shown
    assert "2025550123" not in shown
