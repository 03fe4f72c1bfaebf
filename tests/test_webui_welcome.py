"""The checklist: ticked from the store, each step with its next button; empty pages say what to do."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from webui_world import World, jobs_of, number, seed_batch, seed_promotions, seed_stream

from callbeam_io.store.rules import list_rules
from pipelines import sample


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()
    shutil.rmtree(jobs_of(made).folder, ignore_errors=True)


def buttons(page: str) -> list[str]:
    """What can be pressed in the page's own part."""
    main = page.split('id="content"')[1].split("</main>")[0]
    return [
        re.sub("<[^>]+>", "", b).strip() for b in re.findall(r'class="btn[^>]*>(.*?)</(?:a|button)>', main)
    ]


def test_the_checklist_of_an_empty_store(world: World) -> None:
    page = world.get("/").text
    assert "0 of 4 done" in page
    assert buttons(page) == ["Load sample data", "Read a file", "Load a list", "Choose a rule"]
    assert buttons(world.get("/", "analyst").text) == ["Choose a rule"]
    assert buttons(world.get("/", "viewer").text) == []


def test_the_checklist_is_ticked_from_the_store(world: World) -> None:
    run_id = seed_batch(world.store)
    seed_promotions(world.store, run_id)
    page = world.get("/").text
    assert "4 of 4 done" in page and "1 rule is on" in page
    assert f'href="/subscribers/{number(5).replace("+", "%2B")}/why"' in page.replace("/+", "/%2B")
    assert world.get(f"/subscribers/{number(5)}/why").status_code == 200


def test_empty_pages_say_what_to_do(world: World) -> None:
    for path in ("/dashboard", "/templates/regions", "/subscribers", "/promotions", "/rejects"):
        page = world.get(path).text
        assert "No results yet" in page and buttons(page) == ["Load sample data", "Read a file"], path
    assert buttons(world.get("/dashboard", "viewer").text) == ["What is missing"]
    assert "No run yet" in world.get("/runs").text and "What to do first" in buttons(world.get("/runs").text)


def test_only_administrators_start_something(world: World) -> None:
    assert world.post("/", {"do": "sample"}, "analyst").status_code == 403
    assert world.post("/", {"do": "explode"}).status_code == 400
    assert world.post("/", {"do": "again"}).status_code == 400
    assert jobs_of(world).newest() == []


def test_the_sample_is_loaded_by_its_button(world: World) -> None:
    begun = time.monotonic()
    answer = world.post("/", {"do": "sample"})
    job_id = answer.headers["Location"].rsplit("/", 1)[1]
    assert "is being worked on" in world.get("/").text
    again = world.post("/", {"do": "sample"}, follow_redirects=True).text
    assert "one like it is running" in again
    while (row := jobs_of(world).job(job_id)) is not None and row["state"] == "running":
        assert time.monotonic() - begun < 90, jobs_of(world).tail(job_id)
        time.sleep(0.1)
    assert row is not None and row["state"] == "done", jobs_of(world).tail(job_id)
    assert "Go on" in buttons(world.get(f"/runs/jobs/{job_id}").text)
    run = world.store.run(row["run_id"])
    assert run["records_good"] > 50_000 and run["records_rejected"] > 0
    rules = list_rules(world.store)
    assert len(rules) >= 5 and not any(rule["enabled"] for rule in rules)
    world.app.extensions["callbeam"].cache._kept.clear()
    page = world.get("/").text
    assert "2 of 4 done" in page and "Choose a rule" in buttons(page)


def test_no_sample_beside_a_live_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    seed_stream(world.store)
    assert sample.main(["--store", world.url]) == 2
    assert "a live run" in capsys.readouterr().err
    assert sample.main(["--store", world.url, "--days", "0"]) == 2
