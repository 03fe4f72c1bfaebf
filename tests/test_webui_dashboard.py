"""The dashboard's numbers: of the last hour, or from one decision to the next where that takes longer."""

from __future__ import annotations

import html
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from webui_world import World, add_sample, promotion

from callbeam_io.store import utc_text
from webui import snapshot

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_stream(world: World, pane: int, until: datetime) -> str:
    """A live run that decides every ``pane`` seconds, with three promotions at each of the last decisions."""
    options = {"rule_settings": {"pane": pane}, "max_ahead": None}
    run_id = world.store.start_run(mode="streaming", runner="DirectRunner", options=options)
    decided = [utc_text(NOON - k * timedelta(seconds=pane)) for k in range(26)]
    rows = [
        {**promotion(3 * k + i, "control" if i == 2 else "offered"), "decided_at": at}
        for k, at in enumerate(decided)
        for i in range(3)
    ]
    world.store.writer().write(run_id, {"promotions": pl.DataFrame(rows)}, counts={"read": 50, "good": 50})
    world.store.update_run(run_id, watermark=utc_text(until))
    return run_id


@pytest.mark.parametrize(
    ("pane", "minutes", "said", "offered", "step"),
    [
        (300, 0, "hour", 24, "5 minutes"),
        (300, 4, "hour", 24, "5 minutes"),
        (3600, 0, "hour", 2, "an hour"),
        (3600, 59, "hour", 2, "an hour"),
        (7200, 0, "2 hours", 2, "2 hours"),
        (7200, 119, "2 hours", 2, "2 hours"),
    ],
)
def test_the_numbers_do_not_depend_on_when_one_looks(
    tmp_path: Path, pane: int, minutes: int, said: str, offered: int, step: str
) -> None:
    world = World(tmp_path)
    run_id = a_stream(world, pane, NOON + timedelta(minutes=minutes))
    with world.app.test_request_context():
        hour = snapshot.last_hour(world.store.run(run_id))
    assert hour.of("offered") == offered == hour.before["offered"] and hour.held() == offered // 2
    assert sum(hour.spark) == 24 and set(hour.spark) == {2}
    page = world.get("/dashboard").text
    assert f"+0% on the {said} before" in page  # of the control group too
    assert f"Offered, last {said}" in page and f"Rules, last {said}" in page and f"steps of {step}" in page
    link = re.search(r'href="([^"]*)" data-href="offered"', page)
    assert link is not None and f"<h2>{offered} promotions," in world.get(html.unescape(link[1])).text
    world.close()


def test_the_rate_is_the_end_of_its_chart(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = a_stream(world, 300, NOON)
    world.store.update_run(run_id, live={"rate": 777.0})
    assert 'data-text="rate">777<' in world.get("/dashboard").text
    for ago, read in ((20, 500), (10, 300)):
        add_sample(world.store, run_id, time.time() - ago, read=read)
    time.sleep(2.1)  # samples are looked at every two seconds
    assert 'data-text="rate">30<' in world.get("/dashboard").text
    world.close()


def test_a_run_over_files_without_promotions_has_no_last_hour(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = world.store.start_run(mode="batch", runner="DirectRunner", options={})
    world.store.finish_run(run_id, "done")
    assert "Nothing is decided yet" in world.get("/dashboard").text
    world.close()
