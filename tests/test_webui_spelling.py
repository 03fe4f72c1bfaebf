"""A number in any spelling means the subscriber of the store, also where no region of numbers was set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from webui_world import World, counts, number, subscriber, token_of, window

from webui import spelling, view

EXTENSION = "5550123"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run that was not told a region, most of whose calls go to the US."""
    made = World(tmp_path_factory.mktemp("spelling"))
    run_id = made.store.start_run(mode="batch", runner="DirectRunner", options={})
    regions = [{**window(), "region": r, **counts(i)} for r, i in (("US", 80), ("DE", 20), ("ZZ", 10))]
    people = [subscriber(i) for i in range(5)]
    people += [{**people[0], "subscriber": n} for n in ("3125550100", EXTENSION)]
    made.store.writer().write(run_id, {"regions": pl.DataFrame(regions), "subscribers": pl.DataFrame(people)})
    made.store.finish_run(run_id, "done")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("+1 202 555-0003", number(3)),
        ("001 202 555 0003", number(3)),
        ("(202) 555-0003", number(3)),
        ("202.555.0003", number(3)),
        ("1 202 555 0003", number(3)),
        ("(312) 555-0101", "+13125550101"),
        ("3125550100", "3125550100"),  # somebody is spelled so
        (EXTENSION, EXTENSION),
        ("4711", "4711"),
        ("reception", "reception"),
    ],
)
def test_what_is_typed_and_who_is_meant(world: World, typed: str, meant: str) -> None:
    with world.app.test_request_context():
        assert spelling.subscriber_of(typed, view.chosen_run()) == meant
        assert spelling.subscribers_of([typed, "x"], view.chosen_run()) == {typed: meant, "x": "x"}


def test_a_region_that_is_set_is_no_guess_and_a_mixed_world_has_none(world: World) -> None:
    with world.app.test_request_context():
        run: dict[str, Any] = {**(view.chosen_run() or {}), "options": {"default_region": "DE"}}
        assert spelling.subscriber_of("030 12345678", run) == "+493012345678"
        assert spelling.home_region(None) is None
        store = world.store
        mixed = store.start_run(mode="batch", runner="DirectRunner", options={})
        rows = [{**window(), "region": r, **counts(9)} for r in ("US", "DE", "FR")]
        store.writer().write(mixed, {"regions": pl.DataFrame(rows)})
        assert spelling.home_region(store.run(mixed)) is None


def test_every_page_that_takes_a_number_takes_it_as_people_write_it(world: World) -> None:
    typed = "(202) 555-0003"
    assert world.get("/find", query_string={"q": typed}).location.endswith(f"/subscribers/{number(3)}")
    assert world.get(f"/subscribers/{typed}").location.endswith(f"/subscribers/{number(3)}")
    assert "1 subscriber<" in world.get("/subscribers", query_string={"q": typed}).text
    assert "1 person<" in world.get("/audience", query_string={"id": typed}).text
    said = world.post("/consent", {"do": "opt_out", "number": typed}, follow_redirects=True).text
    assert "+1 202 555 0003 is opted out now" in said
    assert "opted out" in world.get("/consent", query_string={"number": "1-202-555-0003"}).text


@pytest.mark.parametrize("do", ["opt_out", "opt_in", "suppress"])
def test_nothing_is_recorded_for_a_number_that_nobody_has(world: World, do: str) -> None:
    page = world.post("/consent", {"do": do, "number": "0171 2345678"})
    assert page.status_code == 400 and "Write it with +" in page.text
    body, token = {"subscriber": "0171 2345678", "reason": "asked"}, token_of(world.client("admin"))
    headers = {"X-CSRFToken": token}
    answer = world.client("admin").post("/api/v1/suppressed", json=body, headers=headers)
    assert answer.status_code == 422 and "subscriber" in answer.text
    assert not [r for r in world.store.rows("suppressed") if "2345678" in r["subscriber"]]


def test_extensions_and_names_can_be_recorded(world: World) -> None:
    for who in (EXTENSION, "reception"):
        assert world.post("/consent", {"do": "opt_in", "number": who}).status_code == 302
