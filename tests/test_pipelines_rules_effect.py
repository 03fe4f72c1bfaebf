"""``rules effect`` from a batch run's promotions and records, and what the rules command leaves in the audit log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import messy
import pytest
from test_pipelines_run import run, write_directory

from callbeam_io.store import open_store
from callbeam_io.store.web_accounts import logged
from pipelines.rules import main

BANK, SHOP = "+12025550999", "+12025550888"
EARLY, LATE = "+12025550777", "+12025550778"
RULE: dict[str, Any] = {
    "name": "Shoppers",
    "when": {"combinator": "and", "rules": [{"field": "calls", "operator": ">=", "value": 1, "window": "1d"}]},
    "offer": {"code": "BANK", "goal": {"business_type": ["Banking"]}},
    "control_share": 0.5,
}  # fmt: skip
PEOPLE = [f"+1202555{k:04d}" for k in range(200)]


def is_control(subscriber: str) -> bool:
    digest = hashlib.sha256(f"shoppers|{subscriber}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < 0.5


def call(who: str, whom: str, day: int) -> str:
    stamp = f"2026-01-{day:02d}T10:30:00Z" if day <= 31 else f"2026-02-{day - 31:02d}T10:30:00Z"
    return f"{who}-{day},{who},{whom},{stamp},60,VOICE,0,ANSWERED"


def story() -> str:
    """On day 15 everybody calls a shop and makes a promotion; then every third of the offered and every tenth of
    the control group call a bank, and so do some long afterwards."""
    lines = [call(EARLY, SHOP, 1)]
    groups: dict[bool, list[str]] = {True: [], False: []}
    for who in PEOPLE:
        groups[is_control(who)].append(who)
        lines.append(call(who, SHOP, 15))
    lines += [call(who, BANK, 20) for who in groups[False][::3] + groups[True][::10]]
    lines += [call(who, BANK, 31) for who in PEOPLE]
    lines.append(call(LATE, SHOP, 32))
    return "\n".join([messy.HEADER, *lines, ""])


@pytest.fixture(name="made")
def made_fixture(tmp_path: Path) -> tuple[str, list[str]]:
    """A store with the promotions, and the flags that name the records."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([RULE]), encoding="utf-8")
    listed = {BANK: "Banking"}
    flags = ["--rules", str(rules), "--consent_default", "in", "--keep_records", "9999d"]
    url = run(tmp_path, story(), *flags, listed=listed)
    return url, ["--input", f"{tmp_path}/cdrs.csv", "--directory", str(write_directory(tmp_path, listed))]


def test_the_effect_of_a_rule(
    tmp_path: Path, made: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, files = made
    rule = str(tmp_path / "rules.json")
    capsys.readouterr()
    assert main(["effect", rule, "--store", url, "--json", *files]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    control, early = sum(map(is_control, PEOPLE)), is_control(EARLY)
    offered = len(PEOPLE) - control
    reached = {"offered": len(range(0, offered, 3)), "control": len(range(0, control, 10))}
    assert found["offered"]["people"] == offered + (not early)
    assert found["control"]["people"] == control + early
    assert (found["offered"]["people_before"], found["control"]["people_before"]) == (offered, control)
    assert {name: found[name]["reached_after"] for name in reached} == reached
    assert found["low"] < found["difference"] < found["high"] and found["more"] is None
    assert found["sentence"].startswith("offered 3") and found["waiting"] == 1
    assert main(["effect", rule, "--store", url, *files]) == 0
    said = capsys.readouterr().out
    assert found["sentence"] in said and "left out: 1 people whose 14 days after are not over" in said
    assert not any(who in said for who in PEOPLE)


def test_the_effect_from_what_the_run_kept(
    tmp_path: Path, made: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, files = made
    rule = str(tmp_path / "rules.json")
    told = []
    for more in (files, [], ["--run", open_store(url).runs()[0]["run_id"]]):
        capsys.readouterr()
        assert main(["effect", rule, "--store", url, "--json", *more]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        told.append({k: v for k, v in found.items() if k != "source"})
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    ("change", "words", "says"),
    [
        ({"offer": {"code": "X"}}, [], "no goal"),
        ({}, ["--run", "nobody"], "no such run"),
        ({"name": "Other"}, [], "has promotions of other"),
        ({}, ["--input", "missing.csv"], "missing.csv"),
    ],
)
def test_what_has_no_effect_is_refused(
    tmp_path: Path,
    made: tuple[str, list[str]],
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    words: list[str],
    says: str,
) -> None:
    rule = tmp_path / "other.json"
    rule.write_text(json.dumps([{**RULE, **change}]), encoding="utf-8")
    assert main(["effect", str(rule), "--store", made[0], *words]) == 2
    assert says in capsys.readouterr().err


def test_changes_by_command_are_in_the_audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "mary")
    url, path = f"sqlite:///{tmp_path}/results.db", tmp_path / "rules.json"

    def add(rule: dict[str, Any]) -> None:
        path.write_text(json.dumps([rule]), encoding="utf-8")
        assert main(["add", str(path), "--store", url]) == 0

    add(RULE)
    add(RULE)  # nothing new: no row
    add({**RULE, "priority": 3})
    add({**RULE, "priority": 3, "enabled": False})
    for word in ("enable", "enable", "disable", "list"):
        assert main([word, *(["shoppers"] if word != "list" else []), "--store", url]) == 0
    rows = logged(open_store(url), 100)[::-1]
    assert {(r["username"], r["target"]) for r in rows} == {("command:mary", "shoppers")}
    assert [r["action"] for r in rows] == [
        "rule added", "rule changed", "rule disabled", "rule enabled", "rule disabled",
    ]  # fmt: skip
    assert [r["detail"] for r in rows[:2]] == [
        {"version": 1, "enabled": True},
        {"version": 2, "enabled": True},
    ]
