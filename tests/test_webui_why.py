"""Why a promotion was made, and what counts say: on records that a run has kept."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import messy
import pytest
from html_forms import fields_of
from sqlalchemy import delete
from test_pipelines_rules import RULES
from test_pipelines_run import run
from test_webui_pages import UNSPOKEN
from test_webui_rules import labelled
from webui_world import World

from callbeam_io.rule_desk import DeskError
from callbeam_io.store import rules as saved
from callbeam_io.store import web_accounts
from callbeam_io.store.tables import TABLES
from webui import desk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A batch run with promotions whose records were kept; its rules are in the store."""
    folder = tmp_path_factory.mktemp("why")
    text = messy.csv_text(1500, seed=61, bad=0, repeats=0.05).replace("BUSY", "ANSWERED")
    rules = folder / "rules.json"
    rules.write_text(json.dumps(RULES), encoding="utf-8")
    flags = ["--pane", "2h", "--consent_default", "in", "--contact_cap", "2/3d", "--keep_records", "3650d"]
    url = run(folder, text, *flags, "--rules", str(rules), listed=messy.directory())
    made = World(folder, url)
    with made.app.test_request_context():
        checked = [desk.desk().check(rule) for rule in RULES]
    drafts = [
        saved.RuleDraft(
            c["rule_id"], c["definition"]["name"], 5, True, c["definition"], sentence=c["sentence"]
        )
        for c in checked
    ]
    saved.save_rules(made.store, drafts, "ann")
    yield made
    made.close()


def promotion(world: World, outcome: str = "offered", rule_id: str = "abroad") -> dict[str, Any]:
    where = {"outcome": outcome, "rule_id": rule_id}
    rows = world.store.rows("promotions", where=where, limit=1)
    assert rows
    return rows[0]


def why(world: World, row: dict[str, Any], role: str = "analyst") -> str:
    query = {"rule_id": row["rule_id"], "decided_at": row["decided_at"]}
    answer = world.get(f"/subscribers/{row['subscriber']}/why", role, query_string=query)
    assert answer.status_code == 200
    return html.unescape(answer.text)


def test_each_condition_and_each_step(world: World) -> None:
    row = promotion(world)
    page = why(world, row)
    value = row["features"]["when.rules[0]"]
    assert f"it was <b>{value}</b>, has to be at least 3, over 2 days" in page
    assert "Abroad" in page and "Version 1" in page
    for step in ("Consent", "Suppression list", "Contact limit", "Control group", "Limit in all", "When"):
        assert f"<div>{step}</div>" in page
    assert "uiet hours 21:00–9:00" in page and page.count('aria-label="passed"') >= 6
    answer = re.search(r'<p id="answer-1">(.*?)</p>', page)
    assert (
        answer is not None
        and answer[1].startswith("The rule Abroad held on")
        and 'data-copy="answer-1"' in page
    )
    entry = web_accounts.logged(world.store, 1)[0]
    assert (entry["action"], entry["target"], entry["username"]) == (
        "person viewed",
        row["subscriber"],
        "analyst",
    )
    labelled(page)
    said = re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not UNSPOKEN.findall(said)


@pytest.mark.parametrize("outcome", ["capped", "control"])
def test_where_it_stopped(world: World, outcome: str) -> None:
    page = why(world, promotion(world, outcome))
    assert page.count('aria-label="stopped here"') == 1 and "Nothing was sent" in page


def test_without_a_promotion_the_newest_are_explained(world: World) -> None:
    row = promotion(world)
    page = world.get(f"/subscribers/{row['subscriber']}/why", "analyst").text
    assert 1 <= page.count("What happened then") <= 3
    assert f"/subscribers/{row['subscriber']}/why" in world.get(f"/subscribers/{row['subscriber']}").text
    assert "/why?rule_id=abroad" in world.get("/promotions?rule_id=abroad").text
    assert "/why?rule_id=" in world.get("/dashboard").text


def test_why_not(world: World) -> None:
    row = promotion(world)
    page = world.get(f"/subscribers/{row['subscriber']}/why?not=fans-of-banks", "analyst").text
    assert "Why no promotion of Fans of banks" in page and 'id="answer-not"' in page
    assert "It cannot be said now" in world.get(f"/subscribers/{row['subscriber']}/why?not=nothing").text


def test_who_may_ask_and_of_whom(world: World) -> None:
    row = promotion(world)
    assert world.get(f"/subscribers/{row['subscriber']}/why", "viewer").status_code == 403
    assert world.get("/subscribers/+4930123/why", "analyst").status_code == 404
    assert world.post(f"/subscribers/{row['subscriber']}/why", {"do": "x"}, "analyst").status_code == 400


def test_it_is_quick_and_outlives_the_rule(world: World) -> None:
    row = promotion(world, rule_id="fans-of-banks")
    before = saved.rule_row(world.store, "fans-of-banks"), saved.rule_versions(world.store, "fans-of-banks")
    with world.store.writing() as connection:
        for name in ("rules", "rule_versions"):
            connection.execute(delete(TABLES[name]).where(TABLES[name].c.rule_id == "fans-of-banks"))
    begun = time.perf_counter()
    page = why(world, row)
    assert time.perf_counter() - begun < 1
    assert (
        "The rule fans-of-banks held on" in page and "no longer known" in page and "The rule is gone." in page
    )
    assert "/rules/fans-of-banks" not in page
    drafts = [saved.RuleDraft("fans-of-banks", before[0]["name"], 5, True, before[0]["definition"])]
    saved.save_rules(world.store, drafts, "ann")


def test_without_the_desk_the_store_says_what_it_knows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DeskError("no answer")

    row = promotion(world)
    monkeypatch.setattr("callbeam_io.rule_desk.RuleDesk._ask", fail)
    page = why(world, row)
    assert "The rule Abroad held for" in page and "international calls and messages" in page
    assert world.get("/rules", "analyst").status_code == 200
    assert "cannot be worked out now" in world.get("/rules/abroad", "analyst").text


def test_opting_out_in_one_click(world: World) -> None:
    row = promotion(world)
    path = f"/subscribers/{row['subscriber']}/why"
    assert world.post(path, {"do": "opt_out"}, "analyst").headers["Location"] == path
    page = world.get(path, "analyst").text
    assert "Opted out" in page and 'value="opt_out"' not in page
    assert web_accounts.logged(world.store, 2)[1]["action"] == "opted out"


def counted(world: World, text: str) -> str:
    """What the page shows once it has polled to the end."""
    for _ in range(100):
        address = re.search(r'hx-get="([^"]+)"', text)
        if address is None:
            return html.unescape(text)
        time.sleep(0.05)
        text = world.get(html.unescape(address[1]), "analyst").text
    raise AssertionError("the count does not end")


def test_a_count_on_the_way_and_by_its_button_say_the_same(world: World) -> None:
    path = "/rules/abroad/edit"
    form = fields_of(world.get(path, "analyst").text, "rule").to_dict(flat=False)
    news = world.post(
        path, {**form, "op": "preview"}, "analyst", headers={"HX-Request": "true", "HX-Target": "preview"}
    )
    found = counted(world, news.text)
    button = html.unescape(world.post(path, {**form, "op": "count"}, "analyst").text)
    people = len({r["subscriber"] for r in world.store.rows("promotions", where={"rule_id": "abroad"})})
    sentence = re.search(r"Would have reached [\d,]+ people in .*? right now\.", found)
    assert sentence is not None and sentence[0] in button, found
    assert f"reached {people} people" in sentence[0]
    firings = world.store.count("promotions", where={"rule_id": "abroad"})
    assert re.search(rf'Match<span.*?</td><td class="num">{firings:,}</td>|{firings:,}</td>', found)
    assert "<svg" in found and "The days as a table" in found and "Also reached by other rules" in found
    assert found.count("/subscribers/") >= 5 and "international calls and messages" in found


def test_switching_on_says_what_to_expect(world: World) -> None:
    world.post("/rules/abroad", {"do": "off"}, "analyst")
    page = world.post("/rules/abroad/on", {"op": "count"}, "analyst").text
    assert "expected to offer" in page and "at once if it takes everyone" in page
    part = world.post("/rules/abroad/on", {"op": "preview", "token": "on-abroad"}, "analyst").text
    assert "<html" not in part and "Would have reached" in counted(world, part)


def test_a_rule_is_tried_on_a_person(world: World, tmp_path: Path) -> None:
    row = promotion(world)
    form = fields_of(world.get("/rules/abroad/edit", "analyst").text, "rule").to_dict(flat=False)
    form |= {"try": [row["subscriber"]], "op": ["try"]}
    part = world.post("/rules/abroad/edit", form, "analyst", headers={"HX-Target": "tried"}).text
    assert "<html" not in part and re.search(r"qualifies now|does not qualify now", part)
    assert "has to be at least 3" in part


def test_the_page_of_a_rule_has_its_history(world: World) -> None:
    page = world.get("/rules/abroad", "analyst").text
    total = world.store.count("promotions", where={"rule_id": "abroad", "outcome": "offered"})
    assert f">{total:,}</a>" in page and "The days as a table" in page and "1 version" in page
    days = re.findall(r'<tr><th scope="row">[^<]*</th><td class="num">(\d+)</td>', page)
    assert sum(map(int, days)) == total
