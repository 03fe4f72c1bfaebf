from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from webui_world import PEOPLE, World, seed_batch, seed_promotions, seed_stream

from webui.analysis_kinds import ANALYSES
from webui.figures import bars, graphs, maps
from webui.figures.style import DARK, LIGHT
from webui.geo import simplify
from webui.geo import world as outlines
from webui.geo.countries import name_of
from webui.measures import MEASURES
from webui.traffic import Sample, reads

CALLS = MEASURES["calls"]
TALK = MEASURES["duration_s"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("figures"))
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("live"))
    seed_stream(made.store)
    yield made
    made.close()


def check(figure: dict[str, Any]) -> None:
    """Plotly takes it, and it says what it shows."""
    go.Figure(data=figure["data"], layout=figure["layout"])
    assert figure["title"] and figure["rev"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("table", [*ANALYSES, "subscribers"])
def test_every_chart_is_one_that_plotly_takes(world: World, table: str, theme: str) -> None:
    for query in ("", "&measure=duration_s", "&measure=messages", "&by=tag&tag=Health"):
        answer = world.get(f"/figures/{table}?theme={theme}{query}", "viewer").json
        assert answer["status"]["text"]
        for figure in answer["figures"].values():
            check(figure)


def test_charts_of_the_dashboard(world: World, live: World) -> None:
    answer = world.get("/dashboard/live", "viewer").json
    assert set(answer["figures"]) == {"hours", "types", "world"}
    answer = live.get("/dashboard/live", "viewer").json
    assert set(answer["figures"]) == {"trend", "hours", "types", "world"}
    for figure in answer["figures"].values():
        check(figure)
    assert {"status", "texts", "parts", "figures", "links"} == set(answer)


def test_what_the_browser_has_is_not_sent_again(world: World) -> None:
    first = world.get("/dashboard/live").json["figures"]
    have = ",".join(f["rev"] for f in first.values())
    assert world.get(f"/dashboard/live?have={have}").json["figures"] == {}
    assert set(world.get(f"/dashboard/live?theme=dark&have={have}").json["figures"]) == set(first)
    again = world.get(f"/dashboard/live?have={have}", headers={"Accept-Encoding": "gzip"})
    assert len(again.data) < 15_000


def test_empty_figures_say_so() -> None:
    for figure in (
        bars.hours([], CALLS, LIGHT),
        bars.ranked([], CALLS, LIGHT, bars.top_of([], CALLS)),
        bars.trend([], DARK),
        graphs.heat([], [], CALLS, LIGHT),
        graphs.sankey([], [], CALLS, LIGHT),
        graphs.week({}, "subscribers", "Most", DARK),
        maps.world({}, CALLS, LIGHT, "/x.json", frozenset(), {}),
    ):
        check(figure)


def test_titles_are_findings() -> None:
    rows = [{"hour": 17, "calls": 3}, {"hour": 9, "calls": 1}]
    assert bars.hours(rows, CALLS, LIGHT)["title"] == "Busiest hour: 17–18, 75% of the calls"
    assert bars.top_of([("Banking", 1), ("Job", 3)], CALLS) == "Job leads with 75% of the calls"
    assert graphs.strongest([("A", "B", 1)], CALLS) == "Most calls go from A to B: 100%"
    assert maps.furthest({"DE": 3, "ZZ": 1}, CALLS) == "1 countries; Germany has 75% of the calls"
    assert graphs.busiest_time({(2, 23): 4}, "people", "Most") == "Most on Wednesday 23–00 h"


def test_hours_without_records_are_zero_and_talk_is_in_hours() -> None:
    bar = bars.hours([{"hour": 3, "duration_s": 7200}], TALK, LIGHT)["data"][0]
    assert len(bar["y"]) == 24 and bar["y"][3] == 2 and sum(bar["y"]) == 2
    assert bar["customdata"][3] == ["03–04", "2 h 0 min"]


def test_gaps_are_gaps_and_lines_are_straight() -> None:
    samples = [Sample(at, 10, {"read": n}) for at, n in ((10, 500), (20, 100), (80, 0))]
    assert reads(samples) == [(10, 50.0), (20, 10.0), (69.0, None), (80, 0.0)]
    line = bars.trend(reads(samples)[1:], LIGHT)["data"][0]
    assert line["y"][1] is None and not line["connectgaps"] and line["line"]["shape"] == "linear"


@given(st.lists(st.integers(0, 10**12), max_size=40), st.integers(0, 10**12))
def test_steps_of_size_rise_with_the_value(values: list[int], value: int) -> None:
    step = graphs.step_of(value, [v for v in values if v])
    assert (step == 0) == (value == 0) and 0 <= step <= 5
    assert graphs.step_of(value + 1, [v for v in values if v]) >= step


@given(st.integers(0, 10**9))
def test_edges_of_the_map_rise(most: int) -> None:
    edges = maps.steps(most)
    assert len(edges) == 4 and edges == sorted(edges) and all(edge >= 1 for edge in edges)
    assert maps.step(most, edges) == 4 or most < 8


def test_outlines_cover_the_countries() -> None:
    shapes = json.loads(gzip.decompress(outlines.packed()))
    codes = {f["id"] for f in shapes["features"]}
    assert {"FR", "NO", "XK", "TW", "GF", "HK", "SG", "MT", "LS", "ZA"} <= codes and "AQ" not in codes
    assert len(outlines.packed()) < 120_000
    order = [f["id"] for f in shapes["features"]]
    assert order.index("ZA") < order.index("LS")  # inside it, so drawn after it
    assert {"HK", "SG", "MT"} <= outlines.dots().keys() and "FR" not in outlines.dots()
    guiana = next(f for f in shapes["features"] if f["id"] == "GF")
    assert name_of("GF") == guiana["properties"]["name"] == "French Guiana"
    france = next(f for f in shapes["features"] if f["id"] == "FR")
    assert all(-6 < x < 10 and 41 < y < 52 for ring in france["geometry"]["coordinates"] for x, y in ring[0])


def test_neighbours_keep_a_common_border() -> None:
    """Two squares with a jagged border between them: both get the same border, simplified once."""
    jagged = [(1.0, y / 10 + 0.0) for y in range(11)]
    jagged = [(x + (0.02 if i % 2 else 0), y) for i, (x, y) in enumerate(jagged)]
    left = [(0.0, 0.0), *jagged, (0.0, 1.0)]
    right = [(2.0, 0.0), (2.0, 1.0), *reversed(jagged)]
    found = dict(simplify.simplified([("L", left), ("R", right)]))
    border = [p for p in found["L"] if p in set(jagged)]
    assert border == [p for p in reversed(found["R"]) if p in set(jagged)]
    assert len(border) < len(jagged)


def test_the_map_is_fetched_once_and_kept(world: World) -> None:
    address = f"/outlines/{outlines.edition()}.json"
    answer = world.get(address, "viewer", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and "immutable" in answer.headers["Cache-Control"]
    assert world.get(address, "viewer").json["type"] == "FeatureCollection"
    assert world.get("/outlines/other.json").status_code == 404


def test_without_outlines_there_are_bars_and_no_map(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "edition", lambda: None)
    assert set(world.get("/figures/regions").json["figures"]) == {"top"}


def test_habits(world: World) -> None:
    figures = world.get("/figures/subscribers").json["figures"]
    assert sum(v for v in figures["groups"]["data"][0]["x"]) == PEOPLE
    assert figures["groups"]["title"].startswith("AD leads") or figures["groups"]["title"].startswith(
        "Business leads"
    )
