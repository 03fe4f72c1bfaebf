"""``python -m pipelines.rules``: rules kept in a store, tried on history, and taken up by a running pipeline."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import messy
import pytest
from live_process import LiveProcess
from test_pipelines_kill import land
from test_pipelines_run import run, write_directory

from callbeam_io.store import open_store
from callbeam_io.store import rules as saved
from pipelines import cli
from pipelines.rules import main

BANKING = {"business_type": ["Banking"]}
ABROAD: dict[str, Any] = {
    "name": "Abroad",
    "when": {"combinator": "and", "rules": [{"field": "international", "operator": ">=", "value": 3, "window": "2d"}]},
    "offer": {"code": "LD"},
    "limits": {"repeat": "on_reentry", "cooldown": "1d"},
    "control_share": 0.2,
}  # fmt: skip
BANKS: dict[str, Any] = {
    "name": "Fans of banks",
    "priority": 1,
    "when": {
        "combinator": "or",
        "rules": [
            {"field": "interactions", "operator": ">=", "value": 2, "window": "2d", "where": BANKING},
            {"field": "tag", "operator": "=", "value": "Education", "window": "2d"},
        ],
    },
    "offer": {"code": "BANK"},
    "limits": {"repeat": "always", "cooldown": "12h", "max_total": 10},
}  # fmt: skip


@pytest.fixture(name="url")
def url_fixture(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/results.db"


def write(folder: Path, *rules: Any, name: str = "rules.json") -> str:
    path = folder / name
    path.write_text(json.dumps(list(rules)), encoding="utf-8")
    return str(path)


def test_rules_are_saved_listed_switched_and_exported(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def says(*words: str) -> str:
        assert cli.main(["rules", *words, "--store", url]) == 0
        return capsys.readouterr().out

    path = write(tmp_path, ABROAD, BANKS)
    assert says("add", path) == "abroad: saved as version 1, on\nfans-of-banks: saved as version 1, on\n"
    assert says("add", path) == "abroad: unchanged\nfans-of-banks: unchanged\n"
    one = tmp_path / "one.json"
    one.write_text(json.dumps({**ABROAD, "priority": 7}), encoding="utf-8")
    assert says("add", str(one)) == "abroad: saved as version 2, on\n"
    assert says("disable", "abroad") == "abroad: switched off\n"
    listed = says("list").splitlines()
    assert [line.split()[:2] for line in listed] == [["fans-of-banks", "on"], ["abroad", "off"]]
    assert [r["version"] for r in json.loads(says("list", "--json"))] == [1, 2]
    shown = says("show", "abroad")
    assert "version 2, off" in shown and "Offer LD to whoever has at least 3 international" in shown
    copy = tmp_path / "copy.json"
    says("export", "--output", str(copy))
    assert [(r["name"], r["enabled"]) for r in json.loads(copy.read_text())] == [
        ("Fans of banks", True),
        ("Abroad", False),
    ]
    assert json.loads(says("export")) == json.loads(copy.read_text())
    assert says("enable", "abroad") == "abroad: switched on\n"
    assert says("add", str(copy)) == "fans-of-banks: unchanged\nabroad: switched off\n"
    assert len(saved.rule_versions(open_store(url), "abroad")) == 2


def test_rules_are_tested_without_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["test", write(tmp_path, ABROAD, BANKS)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("abroad: Offer LD to whoever") and "\nfans-of-banks: Offer BANK" in out
    assert not list(tmp_path.glob("*.db*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ""),
        (["nonsense"], "invalid choice"),
        (["add"], "FILE"),
        (["add", "missing.json"], "no such file"),
        (["add", "{broken}"], "rule 2"),
        (["add", "{good}", "--pane", "7h"], "multiple of the pane"),
        (["add", "{good}", "--pane", "soon"], "--pane"),
        (["show", "nobody"], "no rule 'nobody'"),
        (["enable", "nobody"], "no rule 'nobody'"),
        (["simulate", "nobody", "--input", "x.csv"], "no rule 'nobody'"),
        (["simulate", "{good}"], "no --input"),
        (["simulate", "{good}", "--input", "missing.csv"], "missing.csv"),
        (["simulate", "{good}", "--input", "missing.csv", "--consent_default", "maybe"], "cannot be read"),
        (["simulate", "{good}", "--input", "missing.csv", "--contact_cap", "many"], "--contact_cap"),
    ],
)
def test_wrong_requests_change_nothing(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    open_store(url).close()
    good = write(tmp_path, ABROAD)
    broken = write(tmp_path, ABROAD, {**BANKS, "offer": {}}, name="broken.json")
    words = [w.replace("{good}", good).replace("{broken}", broken) for w in words]
    store = ["--store", url] if len(words) > 1 else []
    assert main([*words, *store]) == 2
    assert says in capsys.readouterr().err
    assert saved.list_rules(open_store(url)) == []


def test_a_store_that_is_not_there_is_no_store(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--store", url]) == 2
    assert "no result store" in capsys.readouterr().err


def simulated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["simulate", *words, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert len(found) == 1
    return found[0]


def test_the_count_before_saving_is_what_then_happens(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, listed = messy.csv_text(1500, seed=61).replace("BUSY", "ANSWERED"), messy.directory()
    (tmp_path / "cdrs.csv").write_text(text, encoding="utf-8")
    consent = tmp_path / "consent.csv"
    everybody = [f"{c},{k % 4 != 3},2026-01-0{1 + k % 4}T00:00:00Z" for k, c in enumerate(messy.CALLERS)]
    consent.write_text("\n".join(["subscriber,opted_in,at", *everybody, ""]), encoding="utf-8")
    gate = ["--pane", "2h", "--contact_cap", "2/3d", "--consent", str(consent)]
    assert main(["add", write(tmp_path, ABROAD, name="abroad.json"), "--store", url, "--pane", "2h"]) == 0
    banks, directory = write(tmp_path, BANKS, name="banks.json"), str(write_directory(tmp_path, listed))
    flags = ["--input", f"{tmp_path}/cdrs.csv", "--directory", directory, *gate, "--store", url]
    found = simulated(capsys, banks, *flags, "--show_numbers")
    assert open_store(url).count("consent") == 0  # nothing is saved

    assert main(["add", banks, "--store", url, "--pane", "2h"]) == 0
    run(tmp_path, text, *gate, listed=listed)
    rows = open_store(url).rows("promotions")
    mine = [r for r in rows if r["rule_id"] == "fans-of-banks"]
    assert found["firings"] == len(mine) > 20
    assert found["subscribers"] == len({r["subscriber"] for r in mine})
    for outcome, count in found["by_outcome"].items():
        assert count == sum(r["outcome"] == outcome for r in mine), outcome
    assert sum(1 for c in found["by_outcome"].values() if c) >= 3
    assert found["per_day"] == {
        d: sum(r["decided_at"][:10] == d for r in mine) for d in sorted({r["decided_at"][:10] for r in mine})
    }
    shared = {r["subscriber"] for r in mine} & {r["subscriber"] for r in rows if r["rule_id"] == "abroad"}
    assert found["overlap"] == {"abroad": len(shared)}
    assert len(found["examples"]) == 20
    stored = {(r["subscriber"], r["decided_at"].replace(" ", "T") + "Z"): r for r in mine}
    for example in found["examples"]:
        row = stored[example["subscriber"], example["decided_at"]]
        assert (example["outcome"], example["features"]) == (row["outcome"], row["features"])
    fates = open_store(url).runs()[0]
    assert (found["records"], found["rejected"], found["duplicates"]) == (
        fates["records_good"], fates["records_rejected"], fates["records_duplicate"],
    )  # fmt: skip


def test_all_rows_are_those_of_a_batch_run(tmp_path: Path, url: str) -> None:
    from callbeam_io.inputs import plan_inputs
    from pipelines.reference import ReferenceSpec
    from pipelines.simulate import promotions_of, read_inputs
    from transforms.columns.clean import CleanSettings
    from transforms.columns.decisions import RuleBook, RuleSettings
    from transforms.columns.rules.outcomes import Consent
    from transforms.rules.language import ActiveRule
    from transforms.rules.parse import parse_rules

    text, listed = messy.csv_text(1500, seed=7), messy.directory()
    flags = ["--pane", "2h", "--consent_default", "in", "--rules", write(tmp_path, ABROAD, BANKS)]
    run(tmp_path, text, *flags, listed=listed)
    reference = ReferenceSpec(directory=str(tmp_path / "directory.csv"))()
    plan = plan_inputs([str(tmp_path / "cdrs.csv")], block_bytes=20_000)
    latest = int((time.time() + 86400) * 1e6)
    history = read_inputs(plan, CleanSettings(latest=latest), reference.directory)
    book = RuleBook(tuple(ActiveRule(r) for r in parse_rules([ABROAD, BANKS])), Consent(default=True))
    rows = promotions_of(history, book, RuleSettings(7200), reference.types).to_pylist()
    stored = open_store(url).rows("promotions")
    assert len(stored) > 30

    def of(row: dict[str, Any]) -> tuple[Any, ...]:
        features = row["features"] if isinstance(row["features"], dict) else json.loads(row["features"])
        times = (str(row["decided_at"]), str(row["contact_at"]))
        return (
            row["rule_id"],
            row["subscriber"],
            *times,
            row["rule_version"],
            row["offer_code"],
            row["outcome"],
            str(features),
        )

    assert sorted(map(of, rows)) == sorted(map(of, stored))


def test_numbers_are_masked_and_why_is_told(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "cdrs.csv"
    data.write_text(messy.csv_text(600, seed=3), encoding="utf-8")
    flags = ["--input", str(data), "--pane", "2h", "--consent_default", "in"]
    assert main(["simulate", write(tmp_path, ABROAD), *flags, "--why", "+1 (202) 555-0124"]) == 0
    out = capsys.readouterr().out
    assert "12025550123" not in out and "+1202•••0123" in out
    assert " match, " in out and " offered" in out and "firings per day" in out
    assert "when.rules[0]" in out and "international calls or messages in the last 2 days" in out
    found = simulated(capsys, write(tmp_path, ABROAD), *flags, "--why", "+19995550000")
    assert found["why"]["known"] is False and found["why"]["holds"] is False
    assert [c["value"] for c in found["why"]["conditions"]] == [0]


def day(number: int) -> str:
    """A file of one call an hour, each by somebody else, on a day of January."""
    lines = [
        f"{number}-{h},+1202555{h:04d},+12025551000,2026-01-{number:02d}T{h:02d}:30:00Z,60,VOICE,0,ANSWERED"
        for h in range(24)
    ]
    return "\n".join([messy.HEADER, *lines, ""])


def wait_for(found: Callable[[], Any], seconds: float, log: Path) -> Any:
    """What is found within the time, which must not be nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {log.read_text()[-2000:]}")


def test_a_running_pipeline_takes_up_what_the_command_changes(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, log = tmp_path / "in", tmp_path / "log.txt"
    folder.mkdir()
    land(folder, "1.csv", day(1))
    rule = {**ABROAD, "name": "Callers", "control_share": 0}
    rule["when"] = {
        "combinator": "and",
        "rules": [{"field": "calls", "operator": ">=", "value": 1, "window": "1d"}],
    }
    rules = write(tmp_path, rule)
    flags = ["--input", f"dir://{folder}", "--pane", "1h", "--consent_default", "in", "--early_every", "1s"]
    process = LiveProcess(url, *flags, log=log)
    try:
        process.wait_for(lambda row: row["records_read"] == 24)
        store = open_store(url)
        run_id = store.newest_run(mode="streaming")
        assert main(["add", rules, "--store", url]) == 0
        added = time.monotonic()
        on = wait_for(lambda: saved.rule_activations(store, "callers"), 15, log)[0]
        assert (on["run_id"], on["version"], on["active_to"]) == (run_id, 1, None)
        land(folder, "2.csv", day(2))
        first = wait_for(lambda: store.rows("promotions", run_id, limit=1), 15, log)[0]
        assert time.monotonic() - added < 15
        assert first["rule_id"] == "callers" and first["outcome"] == "offered"
        decided = [r["decided_at"] for r in store.rows("promotions", run_id)]
        assert min(decided) >= on["active_from"] > "2026-01-01 23:00:00"
        assert main(["disable", "callers", "--store", url]) == 0
        off = wait_for(lambda: saved.rule_activations(store, "callers")[0]["active_to"], 15, log)
        assert off > on["active_from"]
        assert process.drain() == 0
        assert all(r["decided_at"] < off for r in store.rows("promotions", run_id))
    finally:
        process.kill()
    tried_on_what_the_run_kept(tmp_path, url, rule, capsys)


def tried_on_what_the_run_kept(
    folder: Path, url: str, rule: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --input a rule is tried on the records of the run, with its pane."""
    found = simulated(capsys, write(folder, rule), "--store", url, "--consent_default", "in")
    assert (found["records"], found["pane"], found["firings"]) == (48, "1h", 24)
    assert found["source"] == f"run {open_store(url).newest_run()}"
    odd = json.dumps({**rule, "name": "Odd"}).replace('"1d"', '"90m"')
    assert main(["add", write(folder, json.loads(odd), name="odd.json"), "--store", url]) == 2
    assert "a multiple of the pane of 1h" in capsys.readouterr().err
    shutil.rmtree(folder / "results.db.records")
    assert main(["simulate", "callers", "--store", url]) == 1
    assert "are gone from the disk" in capsys.readouterr().err


def test_the_rules_of_a_file_are_tried_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = messy.csv_text(600, seed=5)
    flags = ["--consent_default", "in", "--contact_cap", "1/30d", "--pane", "2h"]
    both, off = [ABROAD, BANKS], {**ABROAD, "name": "Off", "enabled": False}
    (tmp_path / "cdrs.csv").write_text(text, encoding="utf-8")
    data = ["--input", f"{tmp_path}/cdrs.csv"]
    assert main(["simulate", write(tmp_path, *both, off), *data, *flags, "--json"]) == 0
    found = {f["rule_id"]: f for f in json.loads(capsys.readouterr().out)}
    rows = open_store(run(tmp_path, text, *flags, "--rules", write(tmp_path, *both))).rows("promotions")
    assert set(found) == {"abroad", "fans-of-banks"}
    for rule_id, one in found.items():
        outcomes = [r["outcome"] for r in rows if r["rule_id"] == rule_id]
        assert one["by_outcome"] == {o: outcomes.count(o) for o in one["by_outcome"]}
    assert sum(one["by_outcome"]["capped"] for one in found.values()) > 0
