"""A clicked number opens the records that it counts, or the page says why it cannot."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from webui_world import World, at, promotion, seed_batch, seed_promotions

from pipelines import generate, run
from webui import desk

LINK = re.compile(r'<a class="drill" href="([^"]+)">([^<]+)</a>')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("records")
    people = ["--people", "60", "--days", "2", "--seed", "3", "--business_caller_rate", "0.3"]
    assert generate.main([*people, "--output", str(made / "calls.csv")]) == 0
    return made


def a_run(folder: Path, name: str, *words: str) -> str:
    url = f"sqlite:///{folder / name}"
    given = ["--input", str(folder / "calls.csv"), "--directory", str(folder / "calls.directory.csv")]
    assert run.main([*given, "--output", url, *words]) == 0
    return url


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[World]:
    made = World(folder, a_run(folder, "kept.db", "--keep_records", "9000d", "--window", "fixed:1d"))
    yield made
    desk.close(made.app)
    made.close()


@pytest.mark.parametrize(
    "page",
    [
        "duration_by_hour?window=all",
        "business_types?window=all",
        "regions?window=all",
        "type_graph?window=all&by=tag",
        "regions",
    ],
)
def test_every_number_is_the_list_behind_it(world: World, page: str) -> None:
    links = LINK.findall(world.get(f"/templates/{page}").text)
    assert len(links) > 20
    for address, shown in links:
        behind = world.get(html.unescape(address)).text
        assert f"<h2>{shown} " in behind, address
        assert "So there is no list here" not in behind, address
        assert "<tbody>" in behind


def test_the_list_holds_as_many_lines_as_the_number_says(world: World) -> None:
    links = LINK.findall(world.get("/templates/type_graph?window=all&all=1").text)
    few = [(a, int(n)) for a, n in links if n.isdigit() and int(n) < 100][:40]
    assert few
    for address, number in few:
        behind = world.get(html.unescape(address)).text
        assert behind.split("<tbody>")[1].count("<tr>") == number


def test_a_viewer_sees_numbers_only(world: World) -> None:
    assert not LINK.findall(world.get("/templates/regions", "viewer").text)
    assert world.get("/records/regions?region=US", "viewer").status_code == 403


def test_an_address_without_a_number_is_nowhere(world: World) -> None:
    assert world.get("/records/regions").status_code == 404
    assert world.get("/records/nothing?hour=1").status_code == 404


def test_a_person_has_a_week_and_the_newest_records(world: World) -> None:
    run_id = world.store.newest_run()
    number = world.store.rows("subscribers", run_id, order_by="-calls", limit=1)[0]["subscriber"]
    assert f'data-figures="/figures/person/{number}"' in world.get(f"/subscribers/{number}").text
    answer = world.get(f"/figures/person/{number}").json
    assert answer["figures"]["week"]["title"].startswith("Most active")
    assert "records are kept" in answer["parts"]["newest"]


def test_without_kept_records_the_page_says_so(folder: Path, tmp_path: Path) -> None:
    world = World(tmp_path, a_run(folder, "plain.db"))
    address = html.unescape(LINK.findall(world.get("/templates/regions").text)[0][0])
    assert "--keep_records" in world.get(address).text
    assert "--keep_records" in world.get("/figures/person/x").json["parts"]["newest"]
    desk.close(world.app)
    world.close()


def test_numbers_of_the_dashboard_open_lists_of_as_many_promotions(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = seed_batch(world.store)
    seed_promotions(world.store, run_id)
    outcomes = ["offered"] * 5 + ["capped", "control", "control"]
    late = [{**promotion(i, o), "decided_at": at(13.1 + i / 60)} for i, o in enumerate(outcomes)]
    world.store.writer().write(run_id, {"promotions": pl.DataFrame(late)})
    page = world.get("/dashboard").text
    tiles = re.findall(
        r'<a class="panel tile" href="([^"]+)" data-href="(offered|held)">.*?>([\d,]+)</div>', page
    )
    links = [(a, n) for a, _, n in tiles] + [(a, n) for a, n in LINK.findall(page) if "promotions" in a]
    assert len(links) >= 6
    for address, shown in links:
        behind = world.get(html.unescape(address)).text
        assert re.search(rf"<h2>{shown} promotions?, decided from", behind), (address, shown)
    live = world.get("/dashboard/live").json["links"]
    assert live["offered"] == html.unescape(tiles[0][0])
    world.close()


def test_records_that_are_gone_from_the_disk_are_told_of_without_their_place(folder: Path) -> None:
    made = World(folder, a_run(folder, "gone.db", "--keep_records", "9000d"))
    shutil.rmtree(folder / "gone.db.records")
    address = html.unescape(LINK.findall(made.get("/templates/regions").text)[0][0])
    page = made.get(address).text
    assert "are gone from the disk" in page and str(folder) not in page
    desk.close(made.app)
    made.close()
