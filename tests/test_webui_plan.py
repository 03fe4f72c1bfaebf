"""``/plan``: what the live run keeps, and the order that changes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from webui_world import World, seed_batch

from callbeam_io import orders
from webui import desk


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    desk.close(made.app)
    made.close()


def live(world: World) -> str:
    plan = {"templates": ["duration_by_hour", "subscribers"], "window": "all"}
    return world.store.start_run(mode="streaming", runner="BundleBasedDirectRunner", options={"plan": plan})


def test_without_a_live_run_the_page_says_why(world: World) -> None:
    assert "No live run" in world.get("/plan").text
    seed_batch(world.store)
    assert "No live run" in world.get("/plan").text
    assert world.get("/plan", "analyst").status_code == 403


def test_a_change_is_ordered_once(world: World) -> None:
    run_id = live(world)
    page = world.get("/plan").text
    assert page.count(" checked") == 2
    same = {"templates": ["duration_by_hour", "subscribers"], "window": "all"}
    assert world.post("/plan", same).status_code == 302
    assert orders.given(world.store, run_id) is None
    world.post("/plan", {"templates": ["regions", "subscribers"], "window": "all", "other": "fixed:15m"})
    order = orders.given(world.store, run_id)
    assert order is not None
    assert (order.changes, order.by) == ({"templates": "regions,subscribers", "window": "fixed:15m"}, "admin")
    assert "Ordered by admin" in world.get("/plan").text
    assert world.store.rows("audit_log", where={"action": "run ordered"})


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"templates": ["regions"], "other": "an hour"}, "all, fixed:LENGTH"),
        ({"templates": ["clusters"]}, "subscribers with clusters"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(world: World, form: dict[str, object], said: str) -> None:
    run_id = live(world)
    answer = world.post("/plan", form)
    assert answer.status_code == 400
    assert said in answer.text
    assert orders.given(world.store, run_id) is None
