"""Policy & Plan: the list, the builder with and without scripts, versions, counts, switching on."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from html_forms import fields_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql
from test_webui_pages import UNSPOKEN
from webui_world import RULE, World, number, seed_batch, seed_promotions
from werkzeug.datastructures import MultiDict

from callbeam_io.rule_desk import DeskError
from callbeam_io.store import rules as saved
from callbeam_io.store import web_accounts
from callbeam_io.store.rules import RuleDraft, save_rules
from webui import desk, rule_form, rule_tree, rule_words
from webui.rule_language import Language

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "rules.json"
HTMX = {"HX-Request": "true"}
DEEP: dict[str, Any] = {
    "name": "Deep",
    "start": "entering",
    "when": {"combinator": "or", "not": True, "rules": [
        {"field": "calls", "operator": "between", "value": [1, 4.5], "window": "90m",
         "where": {"region": ["US", "ZZ"], "hour": [9, 17], "weekday": [0], "call_result": ["BUSY"]}},
        {"combinator": "and", "not": True, "rules": [
            {"field": "tag", "operator": "notIn", "value": ["Health", "AD"], "window": "all"},
            {"field": "best_hour", "operator": "in", "value": [8, 9], "window": "30d"},
            {"combinator": "or", "not": False, "rules": [
                {"field": "subscriber_region", "operator": "in", "value": ["US"]},
                {"combinator": "and", "not": False, "rules": [
                    {"field": "charge", "operator": "<", "value": 2.5, "window": "7d"},
                    {"combinator": "or", "not": False, "rules": [
                        {"field": "best_weekday", "operator": "=", "value": 6, "window": "14d"},
                        {"field": "calls", "operator": "in", "value": [1, 2], "window": "7d"}]}]}]}]}]},
    "offer": {"code": "D", "text": "x", "channel": "app", "expires_after": "36h",
              "goal": {"business_type": ["Banking"], "region": ["US"]}},
    "limits": {"repeat": "always", "cooldown": "90m", "max_per_subscriber": 2, "max_total": 9},
    "control_share": 0.07, "priority": -3,
    "valid_from": "2026-03-02T11:00:00Z", "valid_to": "2027-03-02T11:00:30Z",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("rules"))
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


@pytest.fixture(scope="module")
def told(world: World) -> Language:
    with world.app.app_context():
        return desk.language()


def sent(world: World, path: str, op: str, page: str = "", **changes: str) -> Any:
    """Presses a button of the builder on a page with some fields changed."""
    form = fields_of(page or world.get(path, "analyst").text, "rule")
    for name, value in changes.items():
        form[name.replace("__", ".")] = value
    form["op"] = op
    return world.post(path, form.to_dict(flat=False), "analyst")


def made_json(page: str) -> dict[str, Any]:
    """The rule as its JSON view says it."""
    found: dict[str, Any] = json.loads(fields_of(page, "rule")["json"])
    return found


def save(world: World, definition: dict[str, Any], **more: Any) -> None:
    with world.app.app_context():
        checked = desk.desk().check(definition)
    assert checked["ok"], checked["problems"]
    values = {"priority": 5, "enabled": False, "definition": checked["definition"], **more}
    save_rules(world.store, [RuleDraft(checked["rule_id"], definition["name"], **values)], "ann")


def test_pages_are_for_analysts_and_speak_plainly(world: World) -> None:
    for path in (
        "/rules",
        "/rules/new?recipe=long-distance-package",
        "/rules/bank-shopper",
        "/rules/bank-shopper/edit",
        "/rules/bank-shopper/on",
    ):
        assert world.get(path, "viewer").status_code == 403
        page = world.get(path, "analyst", follow_redirects=True)
        assert page.status_code == 200, path
        said = re.sub(r"<script.*?</script>|<[^>]*>", " ", page.text, flags=re.DOTALL)
        assert not UNSPOKEN.findall(said)
        assert not re.findall(r"\son\w+=|javascript:|\sstyle=", page.text)
        labelled(page.text)
    assert world.get("/rules/nothing").status_code == 404
    assert world.get("/rules/new?recipe=nothing").status_code == 404


def labelled(page: str) -> None:
    """Every field that can be seen has a label, and no id stands twice."""
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), {i for i in ids if ids.count(i) > 1}
    for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", page):
        if 'type="hidden"' in tag:
            continue
        found = re.search(r'\sid="([^"]+)"', tag)
        assert "aria-label=" in tag or (found and f'for="{found[1]}"' in page), tag


def test_the_list_says_what_rules_do(world: World) -> None:
    page = world.get("/rules", "analyst").text
    assert "Bank shopper" in page and "at least 3 calls in the last 6 hours to type Banking" in page
    assert "Offered 6" in page and "recipes to start from" in page and "/templates/subscribers" in page


def test_an_empty_store_offers_recipes(tmp_path: Path) -> None:
    empty = World(tmp_path)
    page = empty.get("/rules", "analyst").text
    assert "There is no rule yet" in page and page.count("Use this") == 14
    assert "No run of the store has kept records" in empty.post(
        "/rules/new?recipe=evening-food", {**fields(empty, "/rules/new?recipe=evening-food"), "op": "count"}
    ).text  # fmt: skip
    empty.close()


def fields(world: World, path: str) -> dict[str, list[str]]:
    return fields_of(world.get(path).text, "rule").to_dict(flat=False)


@pytest.mark.parametrize("place", range(8))
def test_every_example_survives_the_form(world: World, place: int) -> None:
    definition = json.loads(EXAMPLES.read_text(encoding="utf-8"))[place]
    survives(world, definition)


def test_a_deep_rule_survives_the_form(world: World) -> None:
    survives(world, DEEP)


def survives(world: World, definition: dict[str, Any]) -> None:
    """A rule that comes into the builder as JSON leaves the form as the same rule."""
    form = MultiDict([("json", json.dumps(definition)), ("op", "json")])
    page = world.post("/rules/new", form.to_dict(flat=False)).text
    assert 'id="e-json"></div>' in page
    again = world.post("/rules/new", {**fields_of(page, "rule").to_dict(flat=False), "op": "shape:0"}).text
    with world.app.app_context():
        check = desk.desk().check
        expected, found = check(definition), check(made_json(again))
    assert found["problems"] == expected["problems"]
    assert found["definition"] == expected["definition"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_form_gives_a_rule_that_can_be_shown(told: Language, data: st.DataObject) -> None:
    """Whatever a form says: the tree is one, and what is no value stays as it was typed."""
    names = st.sampled_from(
        ["node", "n.0.join", "n.0.0.field", "n.0.0.operator", "n.0.0.value", "n.0.0.value.list", "n.0.0.window",
         "n.0.0.unit", "n.0.0.with", "n.0.0.where.region.list", "n.0.1.json", "priority", "control_share",
         "valid_from", "goal.with"]
    )  # fmt: skip
    values = st.sampled_from(
        ["0", "0.0", "0.1", "0.0.0", "", "any", "none", "calls", "tag", "between", "in", ">=", "all", "d",
         "region", "x", "3", "-1e9", "[]", '{"rules": 1}', '{"field": "calls", "value": {}}', "nan", "inf"]
    )  # fmt: skip
    form = MultiDict(data.draw(st.lists(st.tuples(names, values), max_size=25)))
    definition = rule_form.definition_in(form, told)
    assert json.loads(json.dumps(definition, allow_nan=False)) == definition
    assert rule_tree.is_group(definition["when"])
    for place in ("0", "0.0", "0.0.0", "0.7", "x"):
        for what in ("add", "group", "remove"):
            rule_tree.edited(definition["when"], what, place, told)
    assert rule_tree.is_group(definition["when"])


def test_the_tree_is_built_without_scripts(world: World) -> None:
    path = "/rules/new"
    page = sent(world, path, "add:0", name="Three").text
    page = sent(world, path, "group:0", page).text
    tree = made_json(page)["when"]
    assert [sorted(n)[0] for n in tree["rules"]] == ["field", "field", "combinator"]
    page = sent(world, path, "shape:0.1", page, n__0__1__field="tag").text
    assert made_json(page)["when"]["rules"][1] == {
        "field": "tag", "operator": "=", "value": "Business", "window": "7d",
    }  # fmt: skip
    page = sent(world, path, "where:0.0", page, n__0__0__more="region").text
    assert 'aria-label="Remove filter: to the country"' in page
    page = sent(world, path, "shape:0", page, n__0__0__where__region__list="US, de", n__0__join="none").text
    found = made_json(page)
    assert found["name"] == "Three" and (found["when"]["combinator"], found["when"]["not"]) == ("or", True)
    assert found["when"]["rules"][0]["where"] == {"region": ["US", "de"]}
    assert "Filter: " in said_beside(page, "when.rules[0]")
    page = sent(world, path, "unwhere:0.0:region", page).text
    page = sent(world, path, "remove:0.1", page).text
    assert [len(n.get("rules", [])) for n in made_json(page)["when"]["rules"]] == [0, 1]
    page = sent(world, path, "where:goal", page, goal__more="tag").text
    assert made_json(page)["offer"]["goal"] == {"tag": []}
    page = sent(world, path, "unwhere:goal:tag", page).text
    assert "goal" not in made_json(page)["offer"]


def said_beside(page: str, path: str) -> str:
    found = re.search(rf'id="{rule_words.slot(path)}"[^>]*>(.*?)</div>', page)
    return html.unescape(found[1]) if found else ""


def test_every_field_that_is_wrong_has_its_error_at_once(world: World) -> None:
    wrong = {"code": "", "expires": "0", "max_total": "0", "cooldown": "-1"}
    page = sent(world, "/rules/new?recipe=long-distance-package", "save", **wrong)
    assert page.status_code == 422
    for path in ("offer.code", "offer.expires_after", "limits.cooldown", "limits.max_total"):
        assert said_beside(page.text, path), path


def test_errors_stand_beside_their_fields(world: World) -> None:
    page = sent(world, "/rules/new", "save", n__0__0__value="many", priority="x", control_share="200")
    assert page.status_code == 422
    assert said_beside(page.text, "name").startswith("Enter a text")
    assert said_beside(page.text, "offer.code").startswith("Enter a text")
    assert said_beside(page.text, "when.rules[0]") == 'Value: "many" will not do: enter a number.'
    assert "will not do" in said_beside(page.text, "priority") and "0 to 1" in said_beside(
        page.text, "control_share"
    )
    late = sent(world, "/rules/new", "save", name="Late", code="L", expires="0")
    assert "will not do" in said_beside(late.text, "offer.expires_after")
    assert 'value="many"' in page.text and saved.list_rules(world.store)[0]["rule_id"] == "bank-shopper"


def test_what_a_save_found_wrong_stays_beside_its_field_until_it_is_right(world: World) -> None:
    page = sent(world, "/rules/new", "save").text
    assert "Enter" in said_beside(page, "name")
    assert "Enter" in said_beside(sent(world, "/rules/new", "preview", page).text, "name")
    assert said_beside(sent(world, "/rules/new", "preview", page, name="A").text, "name") == ""
    assert said_beside(sent(world, "/rules/new", "preview").text, "name") == ""


def test_scripts_get_only_what_changes(world: World) -> None:
    form = fields(world, "/rules/new?recipe=long-distance-package")
    news = world.post("/rules/new", {**form, "op": "preview"}, headers={**HTMX, "HX-Target": "preview"}).text
    assert "<html" not in news and "Offer LD10 by SMS" in news and 'hx-swap-oob="true"' in news
    assert f'id="{rule_words.slot("when.rules[0]")}"' in news
    part = world.post("/rules/new", {**form, "op": "add:0"}, headers={**HTMX, "HX-Target": "fields"}).text
    assert "<html" not in part and part.count('name="node"') == 3 and part.count(" autofocus") == 1
    assert 'id="preview" hx-swap-oob="innerHTML"' in part
    gone = world.get("/rules/count/nothing?of=x").text
    assert "hx-get" not in gone


def test_each_save_is_a_version_with_its_sentence(world: World) -> None:
    answer = sent(world, "/rules/new?recipe=evening-food", "save_on")
    assert answer.status_code == 302 and answer.headers["Location"] == "/rules/evening-food/on"
    row = saved.rule_row(world.store, "evening-food")
    assert not row["enabled"] and row["sentence"].startswith("Offer DINNER in the app")
    page = world.get("/rules/evening-food/edit", "analyst").text
    assert sent(world, "/rules/evening-food/edit", "save", page, n__0__0__value="3").status_code == 302
    first, second = saved.rule_versions(world.store, "evening-food")
    assert second["created_by"] == "analyst" and "at least 3 calls or messages" in second["sentence"]
    assert "at least 2 calls or messages" in first["sentence"]
    shown = world.get("/rules/evening-food").text
    assert (
        "2 versions" in shown
        and "at least 2 calls or messages" in shown
        and "at least 3 calls or messages" in shown
    )
    late = sent(world, "/rules/evening-food/edit", "save", page, n__0__0__value="4")
    assert late.status_code == 409 and "analyst saved version 2" in late.text
    assert "at least 3 calls or messages" in late.text and 'value="4"' in late.text
    assert sent(world, "/rules/evening-food/edit", "over:2", late.text).status_code == 302
    assert "at least 4" in saved.rule_row(world.store, "evening-food")["sentence"]
    entry = next(e for e in web_accounts.logged(world.store, 5) if e["action"] == "rule saved")
    assert entry["target"] == "evening-food" and entry["detail"]["version"] == 3


def test_another_name_is_another_rule(world: World) -> None:
    path = "/rules/bank-shopper/edit"
    page = sent(world, path, "save", name="Bank friend")
    assert page.status_code == 422 and "another rule, bank-friend" in page.text
    assert sent(world, path, "save_new", page.text).headers["Location"] == "/rules/bank-friend"
    taken = sent(world, "/rules/new?recipe=long-distance-package", "save", name="bank FRIEND!")
    assert taken.status_code == 409 and "a rule of this name" in taken.text
    assert saved.rule_row(world.store, "bank-friend")["version"] == 1


def test_json_that_is_no_rule_is_kept_and_said(world: World) -> None:
    for text, says in (
        ("{", "This is no JSON"),
        ("[1]", "This is no rule"),
        ('{"when": {"rules": [{"field": 3}]}}', "This is no rule"),
        ('{"when": {"rules": []}, "offer": "x"}', "offer has to be an object"),
        ('{"when": {"rules": [{"field": "x", "value": "<b>"}], "combinator": "and"}}', ""),
    ):
        page = world.post("/rules/new", {"json": text, "op": "json"}).text
        assert said_beside(page, "json").startswith(says), text
        assert "<b>" not in re.sub(r"<b>call|call<b>|</?b>beam", "", page.partition('id="rule"')[2])


def test_priority_and_switches_in_the_list(world: World) -> None:
    save(world, {**RULE, "name": "Switched", "limits": {"repeat": "on_reentry"}}, enabled=True)
    form = {"rule_id": "switched", "do": "priority", "priority": "3"}
    assert world.post("/rules", form, "analyst").status_code == 302
    row = saved.rule_row(world.store, "switched")
    assert (row["priority"], row["version"], row["enabled"], row["definition"]["start"]) == (
        3,
        2,
        True,
        "entering",
    )
    world.post("/rules", {**form, "priority": "high"}, "analyst")
    world.post("/rules/switched", {"do": "off"}, "analyst")
    row = saved.rule_row(world.store, "switched")
    assert not row["enabled"] and row["version"] == 2
    assert world.post("/rules", {**form, "do": "nothing"}).status_code == 400
    assert world.post("/rules", form, "viewer").status_code == 403
    asked = world.get("/rules/switched/on", "analyst").text
    assert re.search(r'value="entering"[^>]* checked', asked) and not re.search(
        r'value="now"[^>]* checked', asked
    )
    world.post("/rules/switched/on", {"op": "on", "start": "now"}, "analyst")
    row = saved.rule_row(world.store, "switched")
    assert row["enabled"] and (row["version"], row["definition"]["start"]) == (3, "now")
    assert "everyone" not in row["sentence"] and "whoever has" in row["sentence"]
    assert world.get("/rules/switched/on", "analyst").status_code == 302
    world.post("/rules/switched", {"do": "off"}, "analyst")
    world.post("/rules/switched/on", {"op": "on", "start": "now"}, "analyst")
    assert saved.rule_row(world.store, "switched")["version"] == 3


UNREADABLE: dict[str, str | None] = {
    "no-json": '{"name": "No json", ',
    "null": None,
    "list": "[1, 2]",
    "empty": "{}",
    "limits": json.dumps({**RULE, "name": "Limits", "limits": 3, "offer": "x"}),
    "field": json.dumps(
        {**RULE, "name": "Field", "when": {"combinator": "and", "rules": [{"field": "x", "operator": "="}]}}
    ),
    "when": json.dumps({**RULE, "name": "When", "when": {"combinator": "and", "rules": 3}}),
    "other": json.dumps({**RULE, "name": "Something else"}),
}


def test_rules_that_somebody_broke_are_shown_and_can_be_made_right(tmp_path: Path) -> None:
    world = World(tmp_path)
    seed_batch(world.store)
    for rule_id, definition in UNREADABLE.items():
        values = {"rule_id": rule_id, "definition": definition}
        with world.store.writing() as connection:
            for table, more in (("rules", ", error"), ("rule_versions", "")):
                columns = f"rule_id, version, name, enabled, priority, definition, created_at{more}"
                row = (
                    f":rule_id, 1, :rule_id, 1, 5, :definition, '2026-01-01 00:00:00'{more and ', :rule_id'}"
                )
                connection.execute(sql(f"INSERT INTO {table} ({columns}) VALUES ({row})"), values)
    for path in ("/rules", "/rules.json", "/", "/promotions", "/data/rules", "/api/v1/rules"):
        assert world.get(path, "analyst").status_code == 200, path
    for rule_id in UNREADABLE:
        page = f"/rules/{rule_id}"
        for path in (page, f"{page}/edit", f"{page}.json", f"/api/v1{page}", f"/api/v1{page}/versions"):
            assert world.get(path, "analyst").status_code == 200, path
        assert world.post("/rules", {"rule_id": rule_id, "do": "priority", "priority": "3"}).status_code < 500
        assert world.post(page, {"do": "off"}, "analyst").status_code == 302
        assert world.post(f"{page}/on", {"op": "on", "start": "entering"}, "analyst").status_code == 302
        assert rule_id == "other" or not saved.rule_row(world.store, rule_id)["enabled"]
        right = world.get(f"{page}/edit", "analyst").text
        done = sent(world, f"{page}/edit", "save", right, name=rule_id, code="X")
        assert done.status_code == (422 if rule_id == "field" else 302)
        assert rule_id == "field" or saved.rule_row(world.store, rule_id)["version"] == 2
    world.close()


def test_switched_on_is_the_version_that_was_looked_at(world: World) -> None:
    save(world, {**RULE, "name": "Looked at"}, enabled=False)
    form = fields_of(world.get("/rules/looked-at/on", "analyst").text, "rule").to_dict() | {"op": "on"}
    world.post("/rules", {"rule_id": "looked-at", "do": "priority", "priority": "3"}, "analyst")
    for start in ("now", "entering"):
        world.post("/rules/looked-at/on", form | {"start": start}, "analyst")
        assert not saved.rule_row(world.store, "looked-at")["enabled"]
    assert "saved by somebody else in between" in world.get("/rules/looked-at/edit", "analyst").text
    form = fields_of(world.get("/rules/looked-at/on", "analyst").text, "rule").to_dict() | {"op": "on"}
    world.post("/rules/looked-at/on", form, "analyst")
    assert saved.rule_row(world.store, "looked-at")["enabled"]


def test_a_new_priority_bars_nobody_from_a_rule_that_fires_always(world: World) -> None:
    often = {"repeat": "always", "cooldown": "1d"}
    save(world, {**RULE, "name": "Often", "start": "now", "limits": often}, enabled=True)
    world.post("/rules", {"rule_id": "often", "do": "priority", "priority": "3"}, "analyst")
    row = saved.rule_row(world.store, "often")
    assert (row["priority"], row["definition"]["start"]) == (3, "now")


def test_rules_go_out_as_a_file_and_come_in_again(world: World) -> None:
    rules = world.get("/rules.json", "analyst").json
    assert {"bank-shopper"} <= {re.sub("[^a-z0-9]+", "-", r["name"].lower()).strip("-") for r in rules}
    one = world.get("/rules/bank-shopper.json", "analyst")
    assert "attachment" in one.headers["Content-Disposition"] and one.json[0]["name"] == "Bank shopper"

    def upload(content: str) -> Any:
        file = (io.BytesIO(content.encode()), "rules.json")
        return world.post("/rules", {"do": "import", "file": file}, "analyst")

    named = [{**RULE, "name": "From file"}, {**RULE, "name": "From file 2", "enabled": True}]
    assert upload(json.dumps(named)).status_code == 302
    assert not saved.rule_row(world.store, "from-file-2")["enabled"]
    for content, says in (
        ("{", "This is no JSON"),
        ("[3]", "This is no list of rules"),
        (json.dumps([RULE, RULE]), "Two rules of the file"),
        (
            json.dumps([{**RULE, "name": "Bad", "when": {"combinator": "and", "rules": []}}]),
            "Bad: when.rules",
        ),
    ):
        answer = upload(content)
        assert answer.status_code == 422 and says in html.unescape(answer.text), content


def test_words_of_counts() -> None:
    found = {
        "exact": False, "reached": 1, "qualify_now": 1,
        "history": {"first": "2026-03-01 00:00:00", "last": "2026-03-01 07:10:00", "shorter_than_window": True},
        "funnel": {"matched": 9, "no_consent": 4, "capped": 0, "control": 1, "sold_out": 0, "offered": 4},
    }  # fmt: skip
    assert rule_words.reach(found, 30) == (
        "Would have reached about 1 person in the 7 hours on record, about 1 qualifies right now."
    )
    steps = rule_words.funnel(found)
    assert [(s.label, s.taken, s.left) for s in steps] == [
        ("match", 0, 9), ("no consent", 4, 5), ("contact limit", 0, 5), ("control group", 1, 4), ("sold out", 0, 4),
        ("offered", 0, 4),
    ]  # fmt: skip
    assert rule_words.per_day(None) == "not known yet" and rule_words.per_day(0.4) == "fewer than one a day"
    assert rule_words.busiest([]).startswith("No day")
    for repeat in ("on_reentry", "always"):
        assert "come back" in rule_words.of_start("entering", {"limits": {"repeat": repeat}})


def test_the_chart_of_a_rule_is_one_that_plotly_takes(world: World) -> None:
    import plotly.graph_objects as go

    for theme in ("light", "dark"):
        figure = world.get(f"/figures/rules/bank-shopper?theme={theme}").json["figures"]["days"]
        go.Figure(data=figure["data"], layout=figure["layout"])
        assert figure["title"] == "Most were offered on 2 Mar: 6"
        assert [sum(t["y"]) for t in figure["data"]] == [6, 1, 1, 1, 1]


def test_trying_it_on_a_person_is_in_the_log(world: World) -> None:
    page = sent(world, "/rules/new?recipe=long-distance-package", "try", **{"try": "202 555 0003"})
    assert page.status_code == 200
    entry = web_accounts.logged(world.store, 1)[0]
    assert (entry["action"], entry["target"]) == ("person viewed", number(3))
    empty = sent(world, "/rules/new?recipe=long-distance-package", "try")
    assert "Enter a number" in empty.text


def test_people_are_found_by_tag_day_and_time(world: World) -> None:
    page = world.get("/audience?tag.Health=on&day=1&period=morning", "analyst").text
    rows = [r for r in world.store.rows("subscribers") if r["tag"] == "Health" and r["best_weekday"] == 1]
    wanted = [r for r in rows if 6 <= r["best_hour"] < 12]
    assert f"<h2>{len(wanted)} p" in page and wanted
    assert all(f"/subscribers/{r['subscriber']}" in page for r in wanted)
    link = re.search(r'href="(/rules/new\?[^"]+)"', page)
    assert link is not None
    tree = made_json(world.get(html.unescape(link[1]), "analyst").text)["when"]
    assert [(n["field"], n["operator"], n["value"]) for n in tree["rules"]] == [
        ("tag", "in", ["Health"]), ("best_weekday", "=", 1), ("best_hour", "between", [6, 11]),
    ]  # fmt: skip
    lines = world.get("/audience.csv?tag.Health=on&day=1&period=morning", "analyst").text.splitlines()
    assert len(lines) == len(wanted) + 1 and lines[0] == "subscriber,tag,business_type,best_hour,best_weekday"
    everybody = world.get("/audience?page=2&sort=-best_hour", "analyst").text
    assert "<h2>120 people" in everybody and "Page 2 of 3" in everybody
    assert "Nobody fits" in world.get("/audience?id=%2B999", "analyst").text
    assert world.get("/audience", "viewer").status_code == 403
    labelled(page)


def test_without_the_desk_pages_say_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DeskError("no answer")

    form = fields(world, "/rules/new?recipe=long-distance-package")
    monkeypatch.setattr("callbeam_io.rule_desk.RuleDesk._ask", fail)
    page = world.get("/rules/new?recipe=long-distance-package", "analyst")
    assert page.status_code == 503 and "cannot be checked" in page.text
    part = world.post("/rules/new", {**form, "op": "preview"}, headers=HTMX)
    assert part.status_code == 200 and part.headers["HX-Retarget"] == "#preview" and "<html" not in part.text
    assert world.get("/rules", "analyst").status_code == 200


@pytest.mark.parametrize("name", ["New!", "Count"])
def test_a_rule_with_the_name_of_a_page_has_one_too(world: World, name: str) -> None:
    answer = sent(world, "/rules/new?recipe=long-distance-package", "save", name=name)
    page = answer.headers["Location"]
    assert answer.status_code == 302 and page == f"/rules/~{name.lower().strip('!')}"
    assert f"<h1>{name}</h1>" in world.get(page, "analyst").text
    assert world.get(f"{page}.json", "analyst").json[0]["name"] == name
    assert (
        name in world.get(f"{page}/edit", "analyst").text and name in world.get(f"{page}/on", "analyst").text
    )
    assert f'href="{page}"' in world.get("/rules", "analyst").text
    assert "<h1>New rule</h1>" in world.get("/rules/new", "analyst").text
