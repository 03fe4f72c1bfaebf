from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from webui_world import PEOPLE, World, number, seed_batch, seed_promotions, seed_stream

from callbeam_io.store import TABLES, open_store
from webui.data import AGGREGATES, READERS
from webui.exports import safe_cell


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("data"))
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


@pytest.mark.parametrize("table", READERS)
def test_rows_are_those_of_the_store(world: World, table: str) -> None:
    answer = world.get(f"/data/{table}?limit=10000").json
    assert list(answer) == ["run_id", "rows", "next"]
    asked = [row.pop("may_contact") for row in answer["rows"] if "may_contact" in row]
    assert len(asked) == (len(answer["rows"]) if table == "promotions" else 0)
    assert answer["rows"] == world.store.rows(table)
    assert answer["next"] is None
    assert all(list(row) == TABLES[table].c.keys() for row in answer["rows"])
    if "run_id" in TABLES[table].c and table != "runs":
        assert answer["run_id"] == world.store.newest_run()


def test_tables_with_secrets_are_not_among_them() -> None:
    assert not {"users", "api_tokens", "control", "audit_log", "shard_state"} & set(READERS)


@pytest.mark.parametrize(
    ("table", "order_by"),
    [("subscribers", ""), ("subscribers", "-calls"), ("rejects", ""), ("rejects", "reason")],
)
def test_pages_hold_every_row_once(world: World, table: str, order_by: str) -> None:
    rows, address = (
        [],
        f"/data/{table}?limit=17&order_by={order_by}" if order_by else f"/data/{table}?limit=17",
    )
    while address:
        answer = world.get(address).json
        rows += answer["rows"]
        address = answer["next"]
    assert rows == world.store.rows(table, order_by=order_by or None)


def test_columns_narrow_the_rows(world: World) -> None:
    assert len(world.get("/data/subscribers?tag=Health").json["rows"]) == len(
        world.store.rows("subscribers", where={"tag": "Health"})
    )
    assert [r["hour"] for r in world.get("/data/duration_by_hour?hour=7").json["rows"]] == [7]
    assert len(world.get("/data/consent?opted_in=false").json["rows"]) == 15


@pytest.mark.parametrize(
    "query", ["hour=seven", "nothing=1", "order_by=nothing", "after=x", "after=e30=", "after=bm90IGpzb24="]
)
def test_wrong_parameters_are_named(world: World, query: str) -> None:
    answer = world.get(f"/data/duration_by_hour?{query}")
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad_request" and answer.json["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "-1", "1000000", "many"])
def test_limits_of_pages(world: World, limit: str) -> None:
    assert world.get(f"/data/subscribers?limit={limit}").status_code in (200, 400)
    assert len(world.get(f"/data/subscribers?limit={limit}").json.get("rows", [])) <= 1000


def test_an_empty_store_has_no_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = World(tmp_path_factory.mktemp("none"))
    for table in AGGREGATES:
        assert empty.get(f"/data/{table}").json == {"run_id": None, "rows": [], "next": None}
    empty.close()


def test_a_running_stream_is_the_newest_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("stream"))
    done = seed_batch(world.store)
    live = seed_stream(world.store)
    assert world.get("/data/regions").json["run_id"] == live
    assert world.get(f"/data/regions?run={done}").json["run_id"] == done
    assert world.get("/data/regions?run=nothing").status_code == 404
    world.store.finish_run(live, "failed", "broken")
    other = open_store(world.url)
    assert other.newest_run() == done
    other.close()
    world.close()


def test_json_is_packed_where_that_is_wanted(world: World) -> None:
    answer = world.get("/data/type_graph", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in answer.headers["Vary"]
    assert "Content-Encoding" not in world.get("/data/type_graph").headers


def test_a_token_reads_as_its_role(world: World) -> None:
    page = world.post("/users", {"do": "token", "name": "reports", "token_role": "viewer"}).text
    secret = page.split('<code id="secret">')[1].split("<")[0]
    sent = {"Authorization": f"Bearer {secret}"}
    program = world.stranger()
    assert program.get("/data/regions", headers=sent).status_code == 200
    assert program.get("/data/subscribers", headers=sent).status_code == 403
    assert program.get("/data/regions", headers={"Authorization": "Bearer guessed"}).status_code == 401
    assert secret not in world.get("/users").text
    assert secret not in str(world.store.rows("api_tokens"))


def test_subscribers_as_csv(world: World) -> None:
    answer = world.get("/subscribers.csv?min_calls=100", "analyst")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="subscribers.csv"'
    assert [r["subscriber"] for r in rows] == [number(i) for i in range(98, PEOPLE)]
    assert world.get("/subscribers.csv", "viewer").status_code == 403
    assert "subscribers exported" in world.get("/audit").text


def test_promotions_as_csv_ask_for_consent_again(world: World) -> None:
    rows = list(csv.DictReader(io.StringIO(world.get("/promotions.csv", "analyst").text)))
    offered = {r["subscriber"] for r in rows if r["outcome"] == "offered"}
    assert offered == {number(i) for i in (0, 2, 4, 5)}  # 1 is suppressed, 3 opted out
    assert {r["outcome"] for r in rows} == {"offered", "no_consent", "capped", "control", "sold_out"}
    assert {r["delivery"] for r in rows} == {"", "sent"}


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("+1202", "+1202"), ("-x", "'-x"), (-5, -5), ("", "")],
)
def test_no_cell_is_a_formula(cell: object, safe: object) -> None:
    assert safe_cell(cell) == safe


def test_csv_of_very_many_rows_comes_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = world.get("/subscribers.csv", "analyst").text
    monkeypatch.setattr("callbeam_io.store.web_exports.PAGE", 7)
    assert world.get("/subscribers.csv", "analyst").text == whole
    assert [r["subscriber"] for r in csv.DictReader(io.StringIO(whole))] == [number(i) for i in range(PEOPLE)]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("+12 cmd", "'+12 cmd"), ("+1202", "+1202"), ("-x", "'-x"), ("", "")],
)
def test_no_cell_of_many_is_a_formula(cell: str, safe: str) -> None:
    import polars as pl

    from callbeam_io.store.web_exports import _safe

    assert pl.DataFrame({"a": [cell]}).with_columns(_safe(pl.col(pl.String)))["a"].to_list() == [safe]
