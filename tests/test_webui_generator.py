from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest
from webui_world import World, add_sample, seed_promotions, seed_stream, tables, window

from callbeam_io.store import utc_text
from callbeam_io.workload.control import StoreSettings
from callbeam_io.workload.live import live_settings
from callbeam_io.workload.settings import WorkloadSettings
from webui.figures.lines import lines
from webui.figures.style import LIGHT
from webui.knobs import PLAIN, PRESETS, knobs, problem
from webui.traffic import Sample, promotions, types


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_the_page_is_for_administrators(world: World) -> None:
    page = world.get("/generator").text
    for name in PLAIN:
        assert f'name="{name}"' in page
    assert (
        world.get("/generator", "analyst").status_code
        == world.get("/generator/live", "viewer").status_code
        == 403
    )


def test_the_page_says_what_it_would_generate_for(world: World) -> None:
    assert "No live run takes records" in world.get("/generator").text
    seed_stream(world.store)
    time.sleep(1.1)  # the pulse looks once a second
    assert (
        "No live run takes records" in world.get("/generator").text
    )  # it reads nothing that can be written to
    options = {"max_ahead": 86400, "inputs": ["dir:///landing"]}
    run_id = world.store.start_run(mode="streaming", runner="DirectRunner", options=options)
    world.store.update_run(run_id, watermark=utc_text(datetime.now(UTC)))
    time.sleep(1.1)
    page = world.get("/generator").text
    assert "Start one from here" in page and "Records come in already" in page


def test_types_of_the_run_can_be_favoured(world: World) -> None:
    wanted = {"do": "update", "type_weights": "Insurance=3", "favoured_type": "Insurance"}
    assert world.post("/generator", wanted).status_code == 400
    run_id = seed_stream(world.store)
    row = {
        **tables([window()])["business_types"].to_dicts()[0],
        "business_type": "Insurance",
        "tag": "Business",
    }
    world.store.writer().write(run_id, {"business_types": pl.DataFrame([row])})
    time.sleep(1.1)  # the pulse looks once a second
    assert "<option>Insurance</option>" in world.get("/generator").text
    assert world.post("/generator", wanted).status_code == 302
    found = StoreSettings(world.url)() or {}
    assert live_settings(found, [("Insurance", "Business"), ("Private", "Private")]).workload.type_weights


def test_there_is_a_knob_for_every_setting_but_files() -> None:
    assert {f.name for f in dataclasses.fields(WorkloadSettings)} - {k.name for k in knobs()} == {
        "business_types"
    }


def test_what_the_page_sets_is_what_the_generator_reads(world: World) -> None:
    form = {"do": "update", "rate": "200", "type_weights": "Banking=3", "people": "", "seed": "7"}
    assert world.post("/generator", form).status_code == 302
    found = StoreSettings(world.url)()
    assert found == {"rate": "200", "type_weights": "Banking=3", "seed": "7"}
    assert live_settings(found).workload.seed == 7
    world.post("/generator", {"do": "pause"})
    assert live_settings(StoreSettings(world.url)() or {}).paused
    world.post("/generator", {"do": "go_on"})
    assert not live_settings(StoreSettings(world.url)() or {}).paused
    page = world.get("/generator").text
    assert 'value="Banking=3"' in page and "type weights Banking=3" in page and "goes on" in page


@pytest.mark.parametrize("name", PRESETS)
def test_presets_keep_what_was_not_theirs(world: World, name: str) -> None:
    world.post("/generator", {"do": "update", "rate": "50", "seed": "7"})
    world.post("/generator", {"do": name})
    assert StoreSettings(world.url)() == {"rate": "50", **PRESETS[name].values}
    assert problem(PRESETS[name].values) is None


@pytest.mark.parametrize(
    ("form", "name", "said"),
    [
        ({"people": "1"}, "people", "2 to 50,000,000"),
        ({"people": "many"}, "people", "Enter a whole number"),
        ({"rate": "-5"}, "rate", "more than 0"),
        ({"type_weights": "Banking"}, "type_weights", "Banking=3"),
        ({"home_region": "XX"}, "home_region", "US or DE"),
    ],
)
def test_what_cannot_be_is_said_beside_the_knob(
    world: World, form: dict[str, str], name: str, said: str
) -> None:
    answer = world.post("/generator", {"do": "update", **form})
    beside = answer.text.split(f'id="k-{name}-said">')[1].split("</div>")[0]
    assert answer.status_code == 400 and said in beside
    assert StoreSettings(world.url)() is None
    assert world.post("/generator", {"do": "explode"}).status_code == 400


def test_the_charts_show_what_came_in_and_what_was_changed(world: World) -> None:
    run_id = seed_stream(world.store)
    seed_promotions(world.store, run_id)
    now = time.time()
    for ago, banking in ((40, 10), (30, 12), (10, 36)):  # the sample of 20 s ago is missing
        add_sample(
            world.store,
            run_id,
            now - ago,
            by_type={"Banking": banking, "School": 5},
            promotions={"bank-shopper": {"offered": 3, "capped": 1}},
        )
    world.post("/generator", {"do": "banking"})
    answer = world.get("/generator/live").json
    figure = answer["figures"]["types"]
    go.Figure(data=figure["data"], layout=figure["layout"])
    assert [d["name"] for d in figure["data"]] == ["Banking", "School"]
    assert figure["data"][0]["y"] == [1.0, 1.2, 3.6]
    assert figure["layout"]["annotations"][0]["text"] == "type weights Banking=3"
    assert "Banking=3" in answer["parts"]["changes"]
    rules = answer["figures"]["rules"]["data"][0]
    assert (rules["name"], rules["y"][-1]) == ("Bank shopper", 0.4)


def test_a_sample_that_is_missing_is_a_hole_and_no_zero() -> None:
    found = [Sample(t, 10, {"by_type": {"a": n}}) for t, n in ((10, 10), (20, 5), (60, 10))]
    assert types(found) == {"a": [(10, 1.0), (20, 0.5), (49.0, None), (60, 1.0)]}
    assert types([]) == promotions([]) == {}


def test_the_greatest_lines_are_shown() -> None:
    series = {f"type {i}": [(1.0, float(i)), (2.0, None)] for i in range(12)}
    figure = lines(series, [(1.5, "rate 200")], "records a second", "Nothing yet", LIGHT)
    go.Figure(data=figure["data"], layout=figure["layout"])
    assert [d["name"] for d in figure["data"]] == [f"type {i}" for i in range(11, 4, -1)]
    assert figure["title"] == "type 11 leads: 11.0 records a second"
    assert lines({}, [], "x", "Nothing yet", LIGHT)["title"] == "Nothing yet"


def test_a_generator_is_started_where_the_live_run_reads_and_stopped(world: World, tmp_path: Path) -> None:
    assert "Start</button>" not in world.get("/generator").text
    world.post("/generator", {"do": "start"})
    jobs = world.app.extensions["callbeam"].jobs
    assert jobs.newest() == [] and "no live run" in world.get("/generator").text
    landing = tmp_path / "in"
    landing.mkdir()
    options = {"inputs": [f"dir://{landing}"], "max_ahead": 86400}
    world.store.start_run(mode="streaming", runner="DirectRunner", options=options)
    world.app.extensions["callbeam"].pulse._looked = float("-inf")
    assert f"dir://{landing}" in world.get("/generator").text
    assert world.post("/generator", {"do": "start"}).status_code == 302
    end = time.monotonic() + 30
    while not list(landing.glob("*")) and time.monotonic() < end:
        time.sleep(0.1)
    job = jobs.running()[0]
    assert list(landing.glob("*")), jobs.tail(job["job_id"])
    assert "A generator runs" in world.get("/generator").text
    world.post("/generator", {"do": "stop"})
    while jobs.running() and time.monotonic() < end:
        time.sleep(0.1)
    assert jobs.job(job["job_id"])["state"] == "cancelled"
