"""Rules from the command line to promotions in the store: batch equals stream, through a restart as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import messy
import pytest
from list_feed import ListFeed
from test_pipelines_live import prepared
from test_pipelines_run import run, write_directory

from callbeam_io.store import open_store
from pipelines.live import run_live
from pipelines.reference import ReferenceSpec
from pipelines.rulebook import rules_of_store
from pipelines.rules import main as command
from pipelines.run import main

RULES: list[dict[str, Any]] = [
    {
        "name": "Abroad",
        "when": {
            "combinator": "and",
            "rules": [{"field": "international", "operator": ">=", "value": 3, "window": "2d"}],
        },
        "offer": {"code": "LD"},
        "limits": {"repeat": "on_reentry", "cooldown": "1d"},
        "control_share": 0.2,
    },
    {
        "name": "Fans of banks",
        "priority": 1,
        "when": {
            "combinator": "or",
            "rules": [
                {
                    "field": "interactions", "operator": ">=", "value": 2, "window": "12h",
                    "where": {"business_type": ["Banking"]},
                },
                {"field": "tag", "operator": "=", "value": "Education", "window": "2d"},
            ],
        },
        "offer": {"code": "BANK"},
        "limits": {"repeat": "always", "cooldown": "12h", "max_total": 25},
    },
]  # fmt: skip
FLAGS = ["--pane", "2h", "--consent_default", "in", "--contact_cap", "2/3d"]


def rules_file(folder: Path) -> Path:
    path = folder / "rules.json"
    path.write_text(json.dumps(RULES), encoding="utf-8")
    return path


def promotions(url: str) -> list[tuple[Any, ...]]:
    rows = open_store(url).rows("promotions")
    return sorted(
        (*(v for k, v in r.items() if k not in ("run_id", "features")), str(r["features"])) for r in rows
    )


@pytest.fixture
def text() -> str:
    return messy.csv_text(1500, seed=61, bad=0, repeats=0.05).replace("BUSY", "ANSWERED")


def test_batch_makes_promotions(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = run(tmp_path, text, *FLAGS, "--rules", str(rules_file(tmp_path)), listed=messy.directory())
    rows = open_store(url).rows("promotions")
    assert {r["rule_id"] for r in rows} == {"abroad", "fans-of-banks"}
    outcomes = {r["outcome"] for r in rows}
    assert {"offered", "capped", "control"} <= outcomes
    assert sum(r["outcome"] == "offered" and r["rule_id"] == "fans-of-banks" for r in rows) <= 25
    assert "Promotions:" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["local", pytest.param("prism", marks=pytest.mark.prism)])
def test_stream_makes_the_same_promotions(
    tmp_path: Path, text: str, engine: str, request: pytest.FixtureRequest
) -> None:
    listed = messy.directory()
    rules = str(rules_file(tmp_path))
    expected = promotions(run(tmp_path, text, *FLAGS, "--rules", rules, listed=listed))
    live = tmp_path / "live"
    live.mkdir()
    feed = ListFeed(text, chunk=70, split_count=2)
    flags = [
        *FLAGS,
        "--rules",
        rules,
        "--rule_delay",
        "20d",
        "--directory",
        str(write_directory(live, listed)),
    ]
    if engine == "prism":
        flags += ["--runner=PrismRunner", f"--prism_location={request.getfixturevalue('prism_binary')}"]
    ready = prepared_with_rules(live, feed, *flags)
    assert run_live(ready) == 0
    assert promotions(ready.config.output) == expected
    assert expected


def prepared_with_rules(folder: Path, feed: ListFeed, *flags: str) -> Any:
    from dataclasses import replace

    from pipelines.preflight import _open_results

    ready = prepared(folder, [feed], *flags)
    store, book, notes = _open_results(ready.config)
    return replace(ready, store=store, book=book, notes=notes)


def test_without_consent_nobody_is_offered_anything(tmp_path: Path, text: str) -> None:
    url = run(tmp_path, text, "--pane", "2h", "--rules", str(rules_file(tmp_path)), listed=messy.directory())
    assert {r["outcome"] for r in open_store(url).rows("promotions")} == {"no_consent"}


def test_consents_are_loaded_and_asked(tmp_path: Path, text: str) -> None:
    consent = tmp_path / "consent.csv"
    consent.write_text(
        "subscriber,opted_in,at\n+1 202 555 0123,true,\n100,true,2026-01-05T00:00:00Z\n", encoding="utf-8"
    )
    flags = ["--pane", "2h", "--rules", str(rules_file(tmp_path)), "--consent", str(consent)]
    url = run(tmp_path, text, *flags, listed=messy.directory())
    rows = open_store(url).rows("promotions")
    asked = {r["subscriber"] for r in rows if r["outcome"] != "no_consent"}
    assert asked == {"+12025550123", "100"}
    assert all(
        r["decided_at"] >= "2026-01-05"
        for r in rows
        if r["subscriber"] == "100" and r["outcome"] != "no_consent"
    )


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("{", "JSON"),
        ('[{"name": "x"}]', "when"),
        (json.dumps([{**RULES[0], "name": "x"}]).replace('"2d"', '"3h"'), "window"),
    ],
)
def test_a_wrong_rules_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rules: str, says: str
) -> None:
    data, path = tmp_path / "cdrs.csv", tmp_path / "rules.json"
    data.write_text(messy.csv_text(10), encoding="utf-8")
    path.write_text(rules, encoding="utf-8")
    url = f"sqlite:///{tmp_path}/results.db"
    assert main(["--input", str(data), "--rules", str(path), "--pane", "2h", "--output", url]) == 2
    assert says in capsys.readouterr().err


def test_a_window_beyond_the_history_is_refused_live_and_told_of_in_batch(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ["--rules", str(rules_file(tmp_path)), "--pane", "2h", "--rule_history", "1d"]
    url = f"sqlite:///{tmp_path}/results.db"
    words = ["--input", f"dir://{tmp_path}", "--streaming", *rules, "--output", url, "--stop_after", "1"]
    assert main(words) == 2
    assert "at most the 1d that are kept (--rule_history)" in capsys.readouterr().err
    run(tmp_path, text, *rules, listed=messy.directory())
    assert "rule abroad looks back 2d, a stream with --rule_history 1d could not" in capsys.readouterr().out
    assert command(["add", str(rules_file(tmp_path)), "--store", url, "--pane", "2h"]) == 0
    store = open_store(url)
    found = rules_of_store(store, ReferenceSpec()().types, 7200, 86400)
    assert found == [] and "at most the 1d" in store.rows("rules")[0]["error"]
