from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest
from webui_world import World, seed_promotions, seed_stream, tables, window

from callbeam_io.workload.control import StoreSettings
from callbeam_io.workload.live import live_settings
from callbeam_io.workload.settings import WorkloadSettings
from webui.figures.lines import lines
from webui.figures.style import LIGHT
from webui.knobs import PLAIN, PRESETS, knobs, problem
from webui.traffic import Look, Traffic, growth, overlap


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
        ({"people": "many"}, "people", "expected"),
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


def test_the_charts_show_what_comes_in_and_what_was_changed(world: World) -> None:
    run_id = seed_stream(world.store)
    seed_promotions(world.store, run_id)
    traffic: Traffic = world.app.extensions["callbeam"].traffic
    now = [1000.0]
    traffic._clock = lambda: now[0]
    world.get("/generator/live")
    more = tables([window()])["business_types"].with_columns(calls=pl.col("calls") + 40)
    world.store.writer().write(run_id, {"business_types": more})
    now[0] += 4
    world.post("/generator", {"do": "banking"})
    answer = world.get("/generator/live").json
    figure = answer["figures"]["types"]
    go.Figure(data=figure["data"], layout=figure["layout"])
    assert len(figure["data"]) == 7 and figure["data"][0]["y"][-1] > 10
    assert figure["layout"]["annotations"][0]["text"] == "type weights Banking=3"
    assert "Banking=3" in answer["parts"]["changes"]
    assert answer["figures"]["rules"]["data"][0]["name"] == "Bank shopper"


def test_growth_of_sums_with_holes_and_windows_that_were_dropped() -> None:
    looks = [Look(t, "r", {"a": v}, {}) for t, v in ((0, 0), (2, 10), (4, 5), (30, 50), (32, 60))]
    assert growth(looks, lambda k: k.types) == {"a": [(2, 5.0), (4, None), (30, None), (32, 5.0)]}
    assert growth([], lambda k: k.types) == {}


@pytest.mark.parametrize(
    ("text", "times"),
    [("sliding:86400s/7200s", 12), ("fixed:60s", 1), ("all", 1), ("", 1), ("sliding:60s/60s", 1)],
)
def test_a_record_counts_once_in_rates_whatever_the_windows(text: str, times: int) -> None:
    assert overlap({"options": {"plan": {"window": text}}}) == times
    assert overlap({"options": None}) == 1


def test_the_greatest_lines_are_shown() -> None:
    series = {f"type {i}": [(1.0, float(i)), (2.0, None)] for i in range(12)}
    figure = lines(series, [(1.5, "rate 200")], "records a second", "Nothing yet", LIGHT)
    go.Figure(data=figure["data"], layout=figure["layout"])
    assert [d["name"] for d in figure["data"]] == [f"type {i}" for i in range(11, 4, -1)]
    assert figure["title"] == "type 11 leads: 11.0 records a second"
    assert lines({}, [], "x", "Nothing yet", LIGHT)["title"] == "Nothing yet"
