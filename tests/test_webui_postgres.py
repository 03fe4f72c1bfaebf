"""The pages on PostgreSQL: the same as on SQLite."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from stores import postgres_url
from webui_world import World, number, seed_batch, seed_promotions, seed_stream
from werkzeug.datastructures import FileStorage

from callbeam_io.store import jobs, web_people
from callbeam_io.store.states import Change, note_state, state_changes
from webui.moments import record_time

pytestmark = pytest.mark.postgres
PAGES = (
    "/",
    "/dashboard",
    "/dashboard/live",
    "/templates/duration_by_hour?window=all",
    "/templates/type_graph?window=all&by=tag",
    "/figures/regions",
    "/templates/subscribers",
    "/figures/subscribers?tag=Health",
    "/subscribers?tag=Health&min_calls=3&sort=-last_seen",
    "/subscribers.csv?q=%2B1202555000",
    f"/subscribers/{number(0)}",
    "/promotions?outcome=offered",
    "/promotions.csv",
    "/consent",
    "/runs",
    "/runs/new",
    "/alerts",
    "/rejects?reason=negative+duration",
    "/rejects.csv",
    "/generator",
    "/generator/live",
    "/users",
    "/audit",
    "/status",
    "/healthz",
    "/metrics",
    "/data/subscribers?limit=7&order_by=-calls",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("postgres"), postgres_url())
    seed_batch(made.store)
    seed_promotions(made.store, seed_stream(made.store))
    yield made
    made.close()


@pytest.mark.parametrize("path", PAGES)
def test_pages(world: World, path: str) -> None:
    answer = world.get(path)
    assert answer.status_code == 200 and answer.text


def test_numbers(world: World) -> None:
    assert "14 subscribers<" in world.get("/subscribers?tag=Health").text
    assert "44 of 120" in world.get("/consent").text
    lines = world.get("/templates/regions.csv?window=all").text.splitlines()
    one = world.get("/templates/regions.csv").text.splitlines()
    assert int(lines[1].split(",")[-1]) == 3 * int(one[1].split(",")[-1])


def test_a_list_that_replaces(world: World) -> None:
    file = FileStorage(io.BytesIO(f"subscriber,opted_in\n{number(0)},yes\n".encode()), "list.csv")
    form = {"do": "preview", "list": file}
    page = world.post("/consent", form, content_type="multipart/form-data").text
    token = re.search(r'name="token" value="(\w+)"', page)
    assert token is not None
    form = {"do": "load", "token": token[1], "how": "replaces"}
    loaded = world.post("/consent", form, follow_redirects=True).text
    assert "44 others opted out" in loaded, re.findall(r"consents loaded[^<]*", loaded)
    at = record_time(world.store.runs()[0])
    assert web_people.count_contactable(world.store, at) == 1
    world.post("/consent", {"do": "opt_out", "number": number(0)})
    world.post("/consent", {"do": "suppress", "number": number(0)})
    assert "suppressed" in world.get(f"/subscribers/{number(0)}").text


def test_states_and_jobs(world: World) -> None:
    first = Change("2026-03-02 12:00:00", "live", "", "r")
    assert note_state(world.store, first) == first and note_state(world.store, first) is None
    told = note_state(world.store, first._replace(state="stopped"))
    assert told is not None and told.at == "2026-03-02 12:00:01"
    assert [c.state for c in state_changes(world.store, "2026-03-02 12:00:00")] == ["live", "stopped"]
    row = {"job_id": "20260302T120000-000000", "kind": "run", "command": {}, "created_by": "admin"}
    assert jobs.add_job(world.store, row, 1) == "" and "1 jobs" in jobs.add_job(world.store, row, 1)
    jobs.change_job(world.store, row["job_id"], state="done", run_id="r")
    jobs.change_job(world.store, row["job_id"], state="failed")
    assert jobs.job_row(world.store, str(row["job_id"]))["state"] == "done"  # type: ignore[index]
    assert jobs.job_of_run(world.store, "r") == row["job_id"]
    assert jobs.forget_jobs(world.store, 0) == [row["job_id"]]
