"""Reading: filters, order, pages, whole tables."""

import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import ENGINES, fresh_url, hours, new_run, store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import TABLES, Store, json_text, open_store

ROWS = [
    {"subscriber": name, "calls": n, "tag": tag, "charge": charge}
    for name, n, tag, charge in [
        ("+1202", 5, "AD", 1.5),
        ("+1203", 5, None, None),
        ("+13", None, "AD", 0.0),
        ("+2", 7, "Private", -1.0),
        ("B", 1, "", 2.0),
        ("a", 7, "AD", None),
        ("é%_", 0, "Agency", 1.5),
    ]
]


@pytest.fixture(scope="module", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, str]]:
    opened = open_store(fresh_url(request.param, tmp_path_factory.mktemp("reads")))
    run_id, other = new_run(opened), new_run(opened)
    shuffled = ROWS[:]
    random.Random(1).shuffle(shuffled)
    opened.writer().write(run_id, {"subscribers": pa.Table.from_pylist(shuffled)})
    opened.writer().write(other, {"subscribers": pa.Table.from_pylist([{"subscriber": "other"}])})
    yield opened, run_id
    opened.close()


def names(filled: tuple[Store, str], **asked: Any) -> list[str]:
    store, run_id = filled
    return [row["subscriber"] for row in store.rows("subscribers", run_id, **asked)]


def test_rows_come_in_the_order_of_the_key_by_code_point(filled: tuple[Store, str]) -> None:
    assert names(filled) == sorted(row["subscriber"] for row in ROWS) == [row["subscriber"] for row in ROWS]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"calls": 5}, ["+1202", "+1203"]),
        ({"calls": None}, ["+13"]),
        ({"calls": ("=", None)}, ["+13"]),
        ({"calls": ("!=", 7)}, ["+1202", "+1203", "+13", "B", "é%_"]),
        ({"calls": ("!=", None)}, ["+1202", "+1203", "+2", "B", "a", "é%_"]),
        ({"calls": (">", 5)}, ["+2", "a"]),
        ({"calls": (">=", 5), "tag": "AD"}, ["+1202", "a"]),
        ({"calls": ("<", 1)}, ["é%_"]),
        ({"calls": ("<=", 1)}, ["B", "é%_"]),
        ({"calls": ("between", (1, 5))}, ["+1202", "+1203", "B"]),
        ({"tag": ("in", ["Private", ""])}, ["+2", "B"]),
        ({"tag": ("in", [])}, []),
        ({"subscriber": ("prefix", "+1")}, ["+1202", "+1203", "+13"]),
        ({"subscriber": ("prefix", "é%")}, ["é%_"]),
        ({"charge": 1.5}, ["+1202", "é%_"]),
    ],
)
def test_filters(filled: tuple[Store, str], where: dict[str, Any], expected: list[str]) -> None:
    store, run_id = filled
    assert names(filled, where=where) == expected
    assert store.count("subscribers", run_id, where=where) == len(expected)
    assert store.table("subscribers", run_id, where=where)["subscriber"].to_pylist() == expected


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("calls", ["é%_", "B", "+1202", "+1203", "+2", "a", "+13"]),
        ("-calls", ["+2", "a", "+1202", "+1203", "B", "é%_", "+13"]),
        (["tag", "-subscriber"], ["B", "a", "+13", "+1202", "é%_", "+2", "+1203"]),
        ("-subscriber", ["é%_", "a", "B", "+2", "+13", "+1203", "+1202"]),
    ],
)
def test_order_and_pages(filled: tuple[Store, str], order_by: str | list[str], expected: list[str]) -> None:
    store, run_id = filled
    assert names(filled, order_by=order_by) == expected
    for size in (1, 2, 3, 7):
        seen: list[str] = []
        after: dict[str, Any] | None = None
        while page := store.rows("subscribers", run_id, order_by=order_by, limit=size, after=after):
            seen += [row["subscriber"] for row in page]
            after = page[-1]
        assert seen == expected


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_pages_are_the_whole_in_any_order(filled: tuple[Store, str], data: st.DataObject) -> None:
    store, run_id = filled
    columns = data.draw(st.lists(st.sampled_from(["calls", "tag", "charge", "subscriber"]), unique=True))
    order_by = [data.draw(st.sampled_from(["", "-"])) + column for column in columns]
    whole = names(filled, order_by=order_by)
    by_hand = sorted(ROWS, key=lambda row: str(row["subscriber"]))
    for column in reversed(order_by):
        name, down = column.removeprefix("-"), column.startswith("-")
        known = sorted((r for r in by_hand if r[name] is not None), key=lambda r: r[name], reverse=down)
        if down:  # a stable sort that descends
            known = sorted((r for r in reversed(by_hand) if r[name] is not None), key=lambda r: r[name])[::-1]
        by_hand = known + [r for r in by_hand if r[name] is None]
    assert whole == [row["subscriber"] for row in by_hand]
    cut = data.draw(st.integers(0, len(ROWS) - 1))
    last = store.rows("subscribers", run_id, order_by=order_by)[cut]
    assert names(filled, order_by=order_by, after=last) == whole[cut + 1 :]


def test_wrong_names_are_refused(filled: tuple[Store, str]) -> None:
    store, run_id = filled
    for table, asked in (
        ("nope", {}),
        ("subscribers", {"where": {"colour": 1}}),
        ("subscribers", {"where": {"calls": ("~", 1)}}),
        ("subscribers", {"order_by": "-colour"}),
    ):
        with pytest.raises(ValueError, match=r"nope|colour|~"):
            store.rows(table, run_id, **asked)


def test_without_a_run_id_the_newest_run_is_read(store: Store) -> None:
    run_id = new_run(store)
    store.writer().write(run_id, {"subscribers": pa.Table.from_pylist(ROWS)})
    assert store.rows("subscribers") == []
    assert store.table("subscribers").num_rows == 0
    store.finish_run(run_id, "done")
    assert store.count("subscribers") == len(ROWS)
    stream = new_run(store, "streaming")
    store.writer().write(stream, {"duration_by_hour": hours(1)})
    assert store.count("duration_by_hour") == 1
    assert store.count("subscribers") == 0


def test_tables_without_runs_need_no_run(store: Store) -> None:
    run_id = new_run(store)
    rows = {"subscriber": ["+1"], "at": ["2026-01-01 00:00:00"], "opted_in": [True]}
    store.writer().write("", {"consent": pa.table(rows)})
    assert store.rows("consent")[0]["opted_in"] is True
    assert [row["run_id"] for row in store.rows("runs")] == [run_id]
    assert store.rows("runs", run_id) == [store.run(run_id)]


def test_a_whole_table_has_the_types_of_its_columns(filled: tuple[Store, str]) -> None:
    store, run_id = filled
    table = store.table("subscribers", run_id)
    assert table.column_names == TABLES["subscribers"].c.keys()
    assert table.schema.field("calls").type == pa.int64()
    assert table.schema.field("charge").type == pa.float64()
    assert table.schema.field("cluster").type == pa.int64()
    assert table.to_pylist() == store.rows("subscribers", run_id)


def test_settings_between_processes(store: Store) -> None:
    assert store.control("generator", {"rate": 1}) == {"rate": 1}
    store.set_control("generator", {"rate": 5, "paused": False})
    store.set_control("generator", {"rate": 6.5, "paused": True, "name": "é"})
    assert store.control("generator") == {"rate": 6.5, "paused": True, "name": "é"}
    assert store.rows("control")[0]["updated_at"] > "2026"


def test_json_text_is_one_text() -> None:
    assert json_text({"b": [1, None], "a": "é"}) == '{"b":[1,null],"a":"é"}'
