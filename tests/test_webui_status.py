from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from webui_world import World, add_sample, seed_batch, seed_promotions, seed_stream

from callbeam_io.store import open_store, utc_text
from callbeam_io.store.runs import change
from callbeam_io.store.web_queries import StoreError
from webui.pulse import Pulse, judge
from webui.services import ShortCache

NOW = datetime(2026, 3, 2, 14, 0, 0, tzinfo=UTC).timestamp()


def text(seconds_ago: float) -> str:
    return utc_text(datetime.fromtimestamp(NOW - seconds_ago, UTC))


def run(**more: Any) -> dict[str, Any]:
    """A row of a stream that does well."""
    row = {"mode": "streaming", "state": "running", "heartbeat": text(1), "finished_at": None, "error": None}
    return {**row, "options": {"max_ahead": 86400}, "watermark": text(2), "records_read": 5, **more}


@pytest.mark.parametrize(
    ("row", "alive", "grown", "kind", "said"),
    [
        (run(), True, 1, "live", "Live · 2 s behind"),
        (run(watermark=text(245)), True, 1, "catching_up", "Catching up · 4 min behind"),
        (run(watermark=text(7200)), True, 600, "quiet", "No records since 2 Mar 12:00"),
        (run(heartbeat=text(7200)), False, 7200, "stopped", "Pipeline stopped 2 Mar 12:00"),
        (
            run(state="failed", finished_at=text(60), error="disk"),
            False,
            60,
            "stopped",
            "Pipeline stopped 2 Mar 13:59",
        ),
        (run(state="done", finished_at=text(60)), False, 60, "stopped", "Pipeline stopped 2 Mar 13:59"),
        (run(options={"max_ahead": None}, watermark=text(-9e6)), True, 3, "live", "Live · 3 s behind"),
        (run(options={"max_ahead": None}, watermark=text(9e6)), True, 3, "live", "Live · 3 s behind"),
        (run(watermark=None), True, 4, "live", "Live · 4 s behind"),
        (run(mode="batch"), True, 1, "working", "Reading · 5 records so far"),
        (
            run(mode="batch", state="done", finished_at=text(60)),
            False,
            1,
            "batch",
            "Run finished 2 Mar 13:59",
        ),
        (
            run(mode="batch", state="failed", finished_at=text(60)),
            False,
            1,
            "stopped",
            "Run failed 2 Mar 13:59",
        ),
        (
            run(mode="batch", state="cancelled", finished_at=text(60)),
            False,
            1,
            "stopped",
            "Run cancelled 2 Mar 13:59",
        ),
        (run(mode="batch", heartbeat=text(60)), False, 60, "stopped", "Run stopped 2 Mar 13:59"),
    ],
)
def test_the_status_in_words(row: dict[str, Any], alive: bool, grown: float, kind: str, said: str) -> None:
    status = judge(row, NOW, alive, NOW - grown)
    assert (status.kind, status.text) == (kind, said)
    assert status.icon and status.tone


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_pipeline_that_was_killed_is_seen_as_stopped(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = seed_stream(world.store)
    clock = Clock()
    pulse = Pulse(world.store, clock)
    assert pulse.status().kind == "live"
    clock.now += 5  # no heartbeat for so long, but its process holds the lock
    assert pulse.status().kind == "live"
    world.store._release(run_id)  # what the death of a process does
    clock.now += 1.1
    assert pulse.status().kind == "stopped"
    with world.store.writing() as connection:
        connection.execute(change(run_id).values(heartbeat=text(60)))
    for page in ("/runs", f"/runs/{run_id}"):
        shown = world.get(page).text
        assert "</span>stopped</span>" in shown and "</span>running</span>" not in shown
    world.close()


def test_no_records_are_told_from_the_samples_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = seed_stream(world.store)
    add_sample(world.store, run_id, NOW - 300, read=50)
    add_sample(world.store, run_id, NOW - 200, read=0)
    clock = Clock()
    clock.now = NOW
    world.store.update_run(run_id, watermark=text(250))
    assert Pulse(world.store, clock).status().kind in ("quiet", "stopped")
    pulse = Pulse(world.store, clock)
    assert pulse._grown(pulse.run() or {}, NOW) == NOW - 300
    world.store.update_run(run_id, read=951)
    clock.now += 2
    assert pulse._grown(world.store.run(run_id), clock.now) == clock.now
    world.close()


def test_the_old_numbers_stay_when_the_store_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    seed_batch(world.store)
    clock = Clock()
    pulse = Pulse(world.store, clock)
    before = pulse.run()

    def refuse(_: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr("webui.pulse.shown_run", refuse)
    clock.now += 2
    status = pulse.status()
    assert (status.kind, status.text) == ("unreachable", "Store unreachable") and status.as_of
    clock.now += 60
    assert pulse.status().as_of == status.as_of and pulse.run() == before
    world.close()


def test_the_status_line_stands_on_every_page(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert "No run yet" in world.get("/").text
    seed_batch(world.store)
    world.app.extensions["callbeam"].pulse._looked = float("-inf")
    assert "Run finished" in world.get("/account").text
    assert world.get("/status").json["status"]["kind"] == "batch"
    assert world.stranger().get("/status").status_code == 401
    health = world.stranger().get("/healthz")
    assert (health.status_code, health.json) == (200, {"status": "ok", "pipeline": "batch"})
    world.close()


def test_metrics_from_here_or_with_a_token(tmp_path: Path) -> None:
    world = World(tmp_path)
    seed_promotions(world.store, seed_batch(world.store))
    found = world.stranger().get("/metrics")
    assert found.status_code == 200 and found.content_type.startswith("text/plain")
    for line in (
        'callbeam_records_total{fate="read"} 5000.0',
        'callbeam_records_total{fate="rejected"} 140.0',
        'callbeam_promotions_total{outcome="offered"} 6.0',
        "callbeam_store_up 1.0",
        "callbeam_pipeline_up 0.0",
        "callbeam_lag_seconds",
        "callbeam_freshness_seconds",
    ):
        assert line in found.text
    away = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert world.stranger().get("/metrics", **away).status_code == 401
    assert world.stranger().get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 401
    page = world.post("/users", {"do": "token", "name": "prometheus", "token_role": "viewer"}).text
    secret = page.split('<code id="secret">')[1].split("<")[0]
    sent = {"Authorization": f"Bearer {secret}"}
    assert world.stranger().get("/metrics", headers=sent, **away).status_code == 200
    assert 'callbeam_request_seconds_count{page="users.users"} 1.0' in world.stranger().get("/metrics").text
    world.close()


def test_answers_are_shared_for_a_moment() -> None:
    clock, made = Clock(), []
    cache = ShortCache(clock)

    def make() -> int:
        made.append(1)
        return len(made)

    assert cache.get("a", 2, make) == cache.get("a", 2, make) == 1
    clock.now += 3
    assert cache.get("a", 2, make) == 2
    for i in range(600):
        cache.get(i, 2, make)
    assert len(cache._kept) <= 256


def test_an_opened_store_outlives_a_reader(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = open_store(world.url)
    seed_batch(other)
    other.close()
    assert world.get("/runs").status_code == 200
    world.close()
