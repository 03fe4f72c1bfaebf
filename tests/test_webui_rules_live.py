"""A rule from the page into a stream that runs: whom it takes is what the page asked about."""

from __future__ import annotations

import time
from pathlib import Path

import messy
from html_forms import fields_of
from live_process import LiveProcess
from test_pipelines_rules_cli import wait_for
from webui_world import World

from callbeam_io.store import rules as saved
from callbeam_io.store import web_accounts

RULE = {
    "name": "Callers",
    "op": "json",
    "json": """{"name": "%s", "control_share": 0, "offer": {"code": "X"}, "when": {"combinator": "and", "rules": [
        {"field": "calls", "operator": ">=", "value": 1, "window": "7d"}]}}""",
}
DAY = 24


def number(person: int) -> str:
    return f"+1202555{person:04d}"


def calls(day: int, people: range) -> str:
    """A file of a day: each of these people calls once by 22:00, and the first one once more at 23:30."""
    minute = 22 * 60 // len(people)
    times = [(p, k * minute) for k, p in enumerate(people)] + [(people[0], 23 * 60 + 30)]
    lines = [
        f"{day}-{at},{number(p)},+12025551999,2026-01-{day:02d}T{at // 60:02d}:{at % 60:02d}:00Z,60,VOICE,0,ANSWERED"
        for p, at in times
    ]
    return "\n".join([messy.HEADER, *lines, ""])


def land(folder: Path, name: str, text: str) -> None:
    """A file appears whole in the landing folder."""
    part = folder / f".{name}"
    part.write_text(text, encoding="utf-8")
    part.rename(folder / name)


def switched_on(world: World, name: str, start: str | None) -> None:
    """Makes a rule in the builder and switches it on; ``start``: what is chosen, None: what stands there."""
    rule = RULE["json"] % name
    page = world.post("/rules/new", {"op": "json", "json": rule}, "analyst").text
    answer = world.post(
        "/rules/new", {**fields_of(page, "rule").to_dict(flat=False), "op": "save_on"}, "analyst"
    )
    path = answer.headers["Location"]
    form = fields_of(world.get(path, "analyst").text, "rule").to_dict(flat=False)
    form["op"] = ["on"]
    if start is not None:
        form["start"] = [start]
    assert world.post(path, form, "analyst").status_code == 302


def test_the_preselected_way_offers_nothing_to_those_who_qualify_already(tmp_path: Path) -> None:
    folder, log, url = tmp_path / "in", tmp_path / "log.txt", f"sqlite:///{tmp_path}/web.db"
    folder.mkdir()
    world = World(tmp_path, url)
    land(folder, "1.csv", calls(1, range(DAY)))
    flags = ["--input", f"dir://{folder}", "--pane", "1h", "--consent_default", "in", "--early_every", "1s"]
    process = LiveProcess(url, *flags, "--contact_cap", "none", log=log)
    try:
        process.wait_for(lambda row: row["records_read"] == DAY + 1)
        switched_on(world, "Everyone", "now")
        switched_on(world, "From now on", None)
        for rule_id in ("everyone", "from-now-on"):
            assert wait_for(lambda rule=rule_id: saved.rule_activations(world.store, rule), 15, log)
        # those of yesterday call again, others for the first time
        land(folder, "2.csv", calls(2, range(2 * DAY)))
        process.wait_for(lambda row: row["records_read"] == 3 * DAY + 2)
        assert process.drain() == 0
    finally:
        process.kill()
    asked_to_keep(world)
    offered: dict[str, set[str]] = {}
    for row in world.store.rows("promotions"):
        assert row["outcome"] == "offered"
        offered.setdefault(row["rule_id"], set()).add(row["subscriber"])
    already, later = {number(p) for p in range(DAY)}, {number(p) for p in range(DAY, 2 * DAY)}
    assert offered["everyone"] == already | later
    assert offered["from-now-on"] == later
    explained(world, min(later))
    world.close()


def asked_to_keep(world: World) -> None:
    """The rule says which way it was switched on."""
    row = saved.rule_row(world.store, "from-now-on")
    assert row["enabled"] and row["definition"]["start"] == "entering" and "comes to have" in row["sentence"]
    assert [e["detail"] for e in web_accounts.logged(world.store, 9, action="rule switched on")] == [
        {"start": "entering"},
        {"start": "now"},
    ]


def explained(world: World, person: str) -> None:
    """From the promotion to its reason in under a second, and out."""
    page = f"/subscribers/{person}/why"
    world.get(page, "analyst")
    begun = time.perf_counter()
    text = world.get(page, "analyst").text
    assert time.perf_counter() - begun < 1
    assert "At least 1 call in the last 7 days to any type" in text and "Opt out" in text
    world.post(page, {"do": "opt_out"}, "analyst")
    assert "Opted out" in world.get(page, "analyst").text
