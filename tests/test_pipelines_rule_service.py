"""The rule desk's answers: equal to what the command says of the same history, and whole where something is gone."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import messy
import pytest
from list_feed import ListFeed
from test_pipelines_rules import prepared_with_rules
from test_pipelines_rules_cli import ABROAD, BANKS, simulated, write
from test_pipelines_run import run

from callbeam_io.store import open_store
from callbeam_io.store.web_consent import record_consent, suppress
from pipelines.live import run_live
from pipelines.recipes import RECIPES
from pipelines.rule_service import counting, firings, memory, past
from pipelines.rule_service.desk import Desk
from pipelines.rule_service.memory import KeptHistory
from pipelines.rule_service.reasons import seconds_of
from pipelines.rule_service.wire import Asked, Cancelled
from pipelines.rules import main
from transforms.errors import RequestError

SEVEN = {**ABROAD, "name": "Seven", "start": "entering", "limits": {"repeat": "never"}}
FLAGS = ["--pane", "2h", "--contact_cap", "2/3d", "--keep_records", "9999d"]


@pytest.fixture(name="url", scope="module")
def url_fixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that kept its records, with consents and one rule that is on."""
    folder = tmp_path_factory.mktemp("desk")
    consent = folder / "consent.csv"
    everybody = [f"{c},{k % 4 != 3},2026-01-0{1 + k % 4}T00:00:00Z" for k, c in enumerate(messy.CALLERS)]
    consent.write_text("\n".join(["subscriber,opted_in,at", *everybody, ""]), encoding="utf-8")
    text = messy.csv_text(1500, seed=61).replace("BUSY", "ANSWERED")
    url = f"sqlite:///{folder}/results.db"
    open_store(url).close()
    assert main(["add", write(folder, ABROAD), "--store", url, "--pane", "2h"]) == 0
    return run(folder, text, *FLAGS, "--consent", str(consent), listed=messy.directory())


@pytest.fixture(name="desk")
def desk_fixture(url: str) -> Iterator[Desk]:
    store = open_store(url)
    yield Desk(store, url)
    store.close()


def ask(desk: Desk, op: str, parts: list[Any] | None = None, **values: Any) -> dict[str, Any]:
    say = (lambda _: None) if parts is None else parts.append
    return desk.operations()[op](Asked(values, say))


@pytest.mark.parametrize("rule", [BANKS, SEVEN, {**ABROAD, "priority": 7}], ids=lambda r: r["name"])
def test_a_count_says_what_the_command_says(
    tmp_path: Path, url: str, desk: Desk, rule: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = simulated(capsys, write(tmp_path, rule), "--store", url, "--show_numbers")
    found = ask(desk, "count", definition=rule, days=30)
    assert (found["exact"], found["reached"]) == (True, expected["subscribers"])
    assert found["funnel"] == {"matched": expected["firings"], **expected["by_outcome"]}
    assert expected["firings"] > 5
    days = {day["day"]: day["firings"] for day in found["per_day"]}
    assert {day: count for day, count in days.items() if count} == expected["per_day"]
    assert sum(day["offered"] for day in found["per_day"]) == expected["by_outcome"]["offered"]
    shared = {other["rule_id"]: other["people"] for other in found["overlap"]}
    assert shared == expected["overlap"]
    assert found["history"]["records"] == expected["records"]
    assert found["history"]["first"].replace(" ", "T") + "Z" == expected["first"]
    examples = {(e["subscriber"], e["decided_at"].replace(" ", "T") + "Z"): e for e in found["examples"]}
    for example in expected["examples"]:
        mine = examples.get((example["subscriber"], example["decided_at"]))
        assert mine is None or (mine["values"], mine["outcome"]) == (example["features"], example["outcome"])


def test_firings_of_the_last_days_are_counted(url: str, desk: Desk) -> None:
    week, day = (ask(desk, "count", definition=BANKS, days=days) for days in (30, 1))
    assert 0 < day["funnel"]["matched"] < week["funnel"]["matched"]
    assert day["funnel"]["matched"] == sum(d["firings"] for d in day["per_day"])
    assert len(day["per_day"]) <= 2
    assert day["qualify_now"] == week["qualify_now"]


def test_who_qualifies_now_is_who_the_rule_holds_for(url: str, desk: Desk) -> None:
    found = ask(desk, "count", definition=BANKS, days=30)
    people = [row["subscriber"] for row in desk.store.rows("subscribers")]
    held = [p for p in people if ask(desk, "try_on", definition=BANKS, subscriber=p, at=None)["holds"]]
    assert found["qualify_now"] == len(held) > 0
    assert found["expected_now"] <= min(found["qualify_now"], BANKS["limits"]["max_total"])


def test_a_first_part_is_about_right(url: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_SAMPLE", 800)
    parts: list[dict[str, Any]] = []
    exact = ask(desk, "count", parts, definition=ABROAD, days=30)
    assert [part["exact"] for part in parts] == [False]
    assert parts[0].keys() == exact.keys()
    assert 0.3 < parts[0]["reached"] / exact["reached"] < 3


def test_a_count_is_given_up(url: str, desk: Desk) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(Cancelled):
        desk.operations()["count"](Asked({"definition": BANKS, "days": 30}, lambda _: None, given_up))


def test_a_rule_that_the_history_cannot_be_asked_is_refused(desk: Desk) -> None:
    short = json.loads(json.dumps(ABROAD).replace('"2d"', '"3h"'))
    with pytest.raises(RequestError, match="multiple of the pane"):
        ask(desk, "count", definition=short, days=30)
    with pytest.raises(RequestError, match="name"):
        ask(desk, "count", definition={}, days=30)
    long = json.loads(json.dumps(ABROAD).replace('"2d"', '"20d"'))
    assert ask(desk, "count", definition=long, days=30)["history"]["shorter_than_window"]


def test_without_records_there_is_nothing_to_count(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    desk = Desk(open_store(url), url)
    found = ask(desk, "count", definition=ABROAD, days=30)
    assert found["history"] is None and "--keep_records" in found["reason"]


def test_more_files_are_read_into_what_is_there(
    url: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = desk.history.now()
    assert whole is not None and len(whole.paths) > 4
    monkeypatch.setattr(memory, "_EVERY", -1.0)
    files = desk.store.rows("record_files", whole.run["run_id"])
    growing = KeptHistory(desk.store, url)
    for count in (3, 3, len(files)):
        monkeypatch.setattr(desk.store, "rows", lambda *_, some=files[:count]: some)
        grown = growing.now()
    assert grown is not None and grown.paths == whole.paths and grown.texts == whole.texts
    for mine, theirs in zip(grown.shards, whole.shards, strict=True):
        assert (mine.rows.caller == theirs.rows.caller).all() and (mine.rows.start == theirs.rows.start).all()
        assert sorted(mine.rows.called) == sorted(theirs.rows.called)


def test_who_is_at_work_does_not_wait_for_what_is_new(
    url: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_EVERY", -1.0)
    rows, run_id = desk.store.rows, desk.store.runs()[0]["run_id"]
    there = rows("record_files", run_id)[:3]

    def some(table: str, *args: Any, **words: Any) -> list[dict[str, Any]]:
        return there if table == "record_files" else rows(table, *args, **words)

    monkeypatch.setattr(desk.store, "rows", some)
    before = ask(desk, "count", definition=ABROAD, days=30)["history"]["records"]
    there = rows("record_files", run_id)
    assert ask(desk, "count", definition=ABROAD, days=30)["history"]["records"] == before
    end, whole = time.monotonic() + 20, sum(f["rows"] for f in there)
    while ask(desk, "count", definition=ABROAD, days=30)["history"]["records"] != whole:
        assert time.monotonic() < end
    monkeypatch.setattr(past, "_AT_WORK", -1.0)
    there = there[:3]
    assert (
        ask(desk, "count", definition=ABROAD, days=30)["history"]["records"] == whole
    )  # what is there stays


def test_only_the_rule_history_is_loaded(url: str, desk: Desk) -> None:
    run_row = {**desk.store.runs()[0]}
    files = desk.store.rows("record_files", run_row["run_id"])
    run_row["options"] = {**run_row["options"], "rule_history": 2 * 86_400}
    kept = KeptHistory(desk.store, url)._grown(run_row, files)
    last = max(f["last"] for f in files)
    assert kept.cut and kept.since == (last - 2 * 86_400) // 86_400 * 86_400
    assert kept.first >= kept.since and kept.last == last
    assert kept.records == sum(f["rows"] for f in files if f["last"] >= kept.since)


def test_the_shipped_rules_are_those_of_the_rules_file() -> None:
    file = Path(__file__).parents[1] / "docs" / "examples" / "rules.json"
    assert [r.definition for r in RECIPES if r.shipped] == json.loads(file.read_text(encoding="utf-8"))


def test_recipes_can_be_decided(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    desk = Desk(open_store(url), url)
    found = ask(desk, "recipes")["recipes"]
    assert len(found) == 14 and len({r["key"] for r in found}) == 14
    assert all(r["text"] and r["title"] for r in found)
    needy = [r["key"] for r in found if r["needs"]]
    assert needy == ["insurance-offer", "credit-card-offer"]
    assert all(ask(desk, "check", definition=r["definition"])["ok"] != bool(r["needs"]) for r in found)


def test_everything_that_is_wrong_is_told(desk: Desk) -> None:
    wrong = json.loads(json.dumps({**BANKS, "priority": "1", "offer": {}}))
    wrong["when"]["rules"][0]["window"] = "7s"
    wrong["when"]["rules"][1] |= {"operator": "<"}
    found = ask(desk, "check", definition=wrong)
    assert not found["ok"] and found["definition"] is None and found["rule_id"] == "fans-of-banks"
    assert {p["path"] for p in found["problems"]} == {
        "when.rules[0].window", "when.rules[1].operator", "priority", "offer.code",
    }  # fmt: skip
    assert all(not p["message"].startswith(p["path"]) for p in found["problems"])
    assert [c["path"] for c in found["conditions"]] == ["when.rules[0]"]
    for nonsense in (None, [], "x", {"when": 3}, {"when": {"rules": [None, {"rules": "x"}]}}):
        assert not ask(desk, "check", definition=nonsense)["ok"]


def test_a_right_rule_is_said_in_words(desk: Desk) -> None:
    found = ask(desk, "check", definition=BANKS)
    assert found["ok"] and found["problems"] == []
    assert found["sentence"].startswith("Offer BANK to whoever has")
    assert found["definition"]["limits"]["cooldown"] == "12h" and found["definition"]["priority"] == 1
    assert [c["path"] for c in found["conditions"]] == ["when.rules[0]", "when.rules[1]"]
    assert all(c["sentence"] in found["sentence"] for c in found["conditions"])


def test_the_language_offers_what_rules_take(desk: Desk) -> None:
    found = ask(desk, "language")
    assert {f["kind"] for f in found["fields"]} == {"windowed", "profile", "subscriber"}
    for field in found["fields"]:
        for operator in field["operators"]:
            assert operator in found["operators"]
            one = (field["choices"] or [1])[0]
            value = {"between": [one, one], "in": [one], "notIn": [one]}.get(operator, one)
            condition = {"field": field["name"], "operator": operator, "value": value}
            if field["kind"] != "subscriber":
                condition["window"] = found["windows"][-1]
            rule = {"name": "x", "offer": {"code": "x"}, "when": {"combinator": "and", "rules": [condition]}}
            assert ask(desk, "check", definition=rule)["ok"], condition


def steps(found: dict[str, Any]) -> dict[str, bool | None]:
    return {step["step"]: step["passed"] for step in found["gate"]}


def test_every_promotion_is_explained(url: str, desk: Desk) -> None:
    stops = {
        "no_consent": {"consent", "suppressed"},
        "capped": {"cap"},
        "control": {"control"},
        "offered": set(),
    }
    rows = desk.store.rows("promotions")
    assert {"no_consent", "control", "offered"} <= {row["outcome"] for row in rows}
    for row in rows:
        key = {name: row[name] for name in ("rule_id", "subscriber", "decided_at")}
        found = ask(desk, "why", **key)
        assert (found["outcome"], found["contact_at"]) == (row["outcome"], row["contact_at"])
        assert {s for s, passed in steps(found).items() if passed is False} & stops[row["outcome"]] or (
            row["outcome"] == "offered" and all(steps(found).values())
        )
        assert {c["path"]: c["value"] for c in found["conditions"]} == row["features"]
        assert all(c["holds"] and c["threshold"] == "at least 3" for c in found["conditions"])
        assert found["rule"]["name"] == "Abroad" and found["rule"]["sentence"]
        assert found["answer"].count(". ") == 1
        assert re.match(r"The rule Abroad held on \d+ \w+ \d{4} \d\d:\d\d(,.* time| UTC): ", found["answer"])
        tried = ask(desk, "try_on", definition=ABROAD, subscriber=row["subscriber"], at=row["decided_at"])
        assert tried["holds"] and [c["value"] for c in tried["conditions"]] == list(row["features"].values())


def test_a_promotion_is_explained_when_all_else_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ["--rules", write(tmp_path, ABROAD), "--pane", "2h", "--consent_default", "in"]
    url = run(tmp_path, messy.csv_text(600, seed=3), *rules)
    desk = Desk(open_store(url), url)
    row = next(r for r in desk.store.rows("promotions") if r["outcome"] == "offered")
    found = ask(desk, "why", **{name: row[name] for name in ("rule_id", "subscriber", "decided_at")})
    assert found["rule"] == {"rule_id": "abroad", "version": 1, "name": "abroad", "sentence": None}
    assert [(c["path"], c["value"]) for c in found["conditions"]] == [("when.rules[0]", 3)]
    assert all(steps(found).values()) and "no statement" in found["gate"][0]["text"]
    with pytest.raises(RequestError, match="no promotion"):
        ask(desk, "why", rule_id="abroad", subscriber=row["subscriber"], decided_at="2020-01-01 00:00:00")


def test_what_is_recorded_later_changes_nothing(tmp_path: Path) -> None:
    rules = ["--rules", write(tmp_path, ABROAD), "--pane", "2h"]
    url = run(tmp_path, messy.csv_text(600, seed=3), *rules)
    desk = Desk(open_store(url), url)
    rows = desk.store.rows("promotions")
    first, second = rows[0], next(r for r in rows if r["subscriber"] != rows[0]["subscriber"])
    record_consent(desk.store, first["subscriber"], "1970-01-01 00:00:00", True, "by hand")
    suppress(desk.store, second["subscriber"], "1970-01-01 00:00:00", "asked for it")
    of = [{name: row[name] for name in ("rule_id", "subscriber", "decided_at")} for row in (first, second)]
    consented, stopped = (ask(desk, "why", **key) for key in of)
    assert "recorded since: consent since always (by hand)" in consented["answer"]
    assert steps(stopped)["consent"] is False and steps(stopped)["cap"] is None


def test_why_there_is_no_promotion(url: str, desk: Desk) -> None:
    fired = {r["subscriber"] for r in desk.store.rows("promotions")}
    people = [r["subscriber"] for r in desk.store.rows("subscribers")]
    for person in people:
        found = ask(desk, "why_not", rule_id="abroad", subscriber=person)
        tried = ask(desk, "try_on", definition=ABROAD, subscriber=person, at=None)
        assert (found["holds"], found["conditions"]) == (tried["holds"], tried["conditions"])
        assert bool(found["earlier"]) == (person in fired)
        assert found["on"] and len(found["gate"]) == 6 and found["answer"].count(". ") == 1
    nobody = ask(desk, "why_not", rule_id="abroad", subscriber="+1 202 555 9999")
    assert (
        not nobody["known"]
        and "no record" in nobody["answer"]
        and "nothing would be sent" in nobody["answer"]
    )
    with pytest.raises(RequestError, match="no rule 'nobody'"):
        ask(desk, "why_not", rule_id="nobody", subscriber=people[0])


def test_the_effect_is_that_of_the_command(
    tmp_path: Path, url: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "success" in ask(desk, "effect", rule_id="abroad")["sentence"]
    goal = {**ABROAD, "name": "Goal", "offer": {"code": "G", "goal": {"business_type": ["Banking"]}}}
    flags = ["--rules", write(tmp_path, goal), "--pane", "2h", "--consent_default", "in"]
    kept = run(tmp_path, messy.csv_text(600, seed=3), *flags, "--keep_records", "9999d")
    other = Desk(open_store(kept), kept)
    assert main(["add", write(tmp_path, goal), "--store", kept, "--pane", "2h"]) == 0
    capsys.readouterr()
    assert main(["effect", "goal", "--store", kept, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)[0]
    found = ask(other, "effect", rule_id="goal")
    assert found["offered"] == expected["offered"] and found["sentence"] == expected["sentence"]
    assert found["run_id"] == expected["run_id"] and found["waiting"] == expected["waiting"] > 0


def test_a_rule_that_fires_without_end_is_told_of_about(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    often = {**BANKS, "name": "Often", "limits": {"repeat": "always", "cooldown": "2h"}}
    exact = ask(desk, "count", definition=often, days=30)
    desk._past._others = None
    monkeypatch.setattr(firings, "MOST", 5)
    monkeypatch.setattr(firings, "_FEW", 6)
    found = ask(desk, "count", definition=often, days=30)
    assert exact["funnel"]["matched"] > 100 and exact["left_out"] == []
    assert not found["exact"] and "too often" in found["reason"]
    assert 0.2 < found["funnel"]["matched"] / exact["funnel"]["matched"] < 5


@pytest.mark.parametrize("limits", [{}, {"repeat": "on_reentry"}, {"repeat": "always", "cooldown": "6h"}])
@pytest.mark.parametrize("start", ["now", "entering"])
def test_switched_on_it_takes_those_who_qualify_or_nobody(
    tmp_path: Path,
    url: str,
    desk: Desk,
    start: str,
    limits: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The two ways to switch a rule on, tried at the last pane end of the history."""
    calling = {"field": "calls", "operator": ">=", "value": 1, "window": "2d"}
    rule = {**ABROAD, "name": "New", "when": {"combinator": "and", "rules": [calling]}, "limits": limits}
    found = ask(desk, "count", definition=rule, days=30)
    assert found["qualify_now"] > found["expected_now"] > 0
    at = ask(desk, "try_on", definition=rule, subscriber="+12025550123", at=None)["at"]
    on = {**rule, "start": start, "valid_from": at.replace(" ", "T") + "Z"}
    tried = simulated(capsys, write(tmp_path, on), "--store", url)
    expected = (found["qualify_now"], found["expected_now"]) if start == "now" else (0, 0)
    assert (tried["firings"], tried["by_outcome"]["offered"]) == expected


@pytest.mark.parametrize(
    ("limits", "wait"),
    [
        ({"repeat": "never"}, 0),
        ({"repeat": "on_reentry", "cooldown": "2d", "max_per_subscriber": 1}, 2),
        ({"repeat": "always", "cooldown": "20d", "max_total": 200}, 20),
    ],
)
def test_whom_an_earlier_version_reached_is_not_expected_again(
    tmp_path: Path, limits: dict[str, Any], wait: int
) -> None:
    """A stream has fired for some: those of them that the rule may not fire for are left out, and the rest counted."""
    calling = {"field": "calls", "operator": ">=", "value": 14, "window": "2d"}
    rule = {
        "name": "Calls",
        "when": {"combinator": "and", "rules": [calling]},
        "offer": {"code": "C"},
        "limits": limits,
    }
    made = f"sqlite:///{tmp_path}/results.db"
    assert main(["add", write(tmp_path, {**rule, "enabled": True}), "--store", made, "--pane", "2h"]) == 0
    feed = ListFeed(messy.csv_text(600, seed=61, bad=0).replace("BUSY", "ANSWERED"), chunk=100, split_count=1)
    flags = ["--pane", "2h", "--contact_cap", "none", "--consent_default", "in", "--rule_delay", "20d"]
    ready = prepared_with_rules(tmp_path, feed, *flags, "--keep_records", "9999d")
    assert run_live(ready) == 0
    store = open_store(made)
    desk, fired = Desk(store, made), store.rows("promotions", where={"rule_id": "calls"})
    wider = {**rule, "when": {"combinator": "and", "rules": [{**calling, "value": 1}]}}
    found = ask(desk, "count", definition=wider, days=30)
    people = [row["subscriber"] for row in store.rows("subscribers")]
    asked = {p: ask(desk, "try_on", definition=wider, subscriber=p, at=None) for p in people}
    now = {person: seconds_of(a["at"]) for person, a in asked.items() if a["holds"]}
    assert len(now) == found["qualify_now"]

    def may(person: str) -> bool:
        times = [seconds_of(r["decided_at"]) for r in fired if r["subscriber"] == person]
        if limits["repeat"] == "never":
            return not times
        most, since = limits.get("max_per_subscriber", 99), now[person] - wait * 86400
        return len(times) < most and max(times, default=0) <= since

    expected = sum(may(person) for person in now)
    left = limits.get("max_total", 9999) - sum(r["outcome"] == "offered" for r in fired)
    assert 0 < found["expected_now"] == min(expected, left) < found["qualify_now"] and fired
    store.close()
