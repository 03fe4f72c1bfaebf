"""Promotions while everything runs, as processes: generator and pipeline, with rules and knobs changed meanwhile."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import messy
import pytest
from live_process import ROOT, LiveProcess
from sqlalchemy import text
from test_pipelines_rules import FLAGS, RULES, promotions
from test_pipelines_run import run, write_directory

from callbeam_io.store import Store, open_store
from callbeam_io.store import rules as saved
from callbeam_io.workload.control import CONTROL
from pipelines.rules import main

PEOPLE = 3000
RULE: dict[str, Any] = {
    "name": "Bank callers",
    "when": {
        "combinator": "and",
        "rules": [
            {
                "field": "interactions", "operator": ">=", "value": 1, "window": "10m",
                "where": {"business_type": ["Banking"]},
            }
        ],
    },
    "offer": {"code": "BANK"},
    "limits": {"repeat": "on_reentry"},
}  # fmt: skip


@contextmanager
def generator(folder: Path, url: str) -> Iterator[None]:
    """Writes ten minutes of calls in ten seconds, about one each, and takes its knobs from the store."""
    words = ["--output", f"dir://{folder}/in", "--tables", f"{folder}/live.csv", "--settings", url]
    words += ["--people", str(PEOPLE), "--speed", "60", "--rate", "300", "--start", "2025-05-05T11"]
    command = [sys.executable, "-m", "pipelines.generate", *words]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"}
    with (folder / "generator.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: (folder / "live.truth.csv").exists(), 30, folder)  # the last of its tables
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_for(found: Callable[[], Any], seconds: float, folder: Path) -> Any:
    """What is found within the time, which must not be nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    logs = "\n".join(path.read_text()[-1500:] for path in folder.glob("*.log"))
    raise AssertionError(f"not within {seconds} s: {logs}")


def add(folder: Path, url: str, *rules: Any, pane: str = "5s") -> None:
    path = folder / "rules.json"
    path.write_text(json.dumps(rules), encoding="utf-8")
    assert main(["add", str(path), "--store", url, "--pane", pane]) == 0


def per_five_seconds(store: Store, run_id: str) -> Iterator[int]:
    """How many promotions come in each five seconds of the clock."""
    before = store.count("promotions", run_id)
    while True:
        time.sleep(5)
        now = store.count("promotions", run_id)
        yield now - before
        before = now


@pytest.mark.timeout(150)
def test_more_calls_to_one_type_make_more_promotions_and_a_new_rule_fires(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    (tmp_path / "in").mkdir()
    store = open_store(url)
    add(tmp_path, url, RULE)
    flags = [
        "--input",
        f"dir://{tmp_path}/in",
        "--directory",
        f"{tmp_path}/live.directory.csv",
        "--pane",
        "1m",
    ]
    flags += ["--consent_default", "in", "--early_every", "1s", "--max_ahead", "none"]
    with generator(tmp_path, url):
        process = LiveProcess(url, *flags, log=tmp_path / "pipeline.log")
        try:
            run_id = wait_for(lambda: store.newest_run(mode="streaming"), 60, tmp_path)
            wait_for(lambda: store.count("promotions", run_id), 60, tmp_path)
            counts = per_five_seconds(store, run_id)
            before = next(counts)
            store.set_control(
                CONTROL, {"favoured_type": "Banking", "favoured_rate": "0.8"}
            )  # as the page does
            turned = time.monotonic()
            after = next(count for count in counts if count >= 2 * before > 0)
            assert time.monotonic() - turned < 30, (before, after)
            add(tmp_path, url, {**RULE, "name": "New", "start": "now"})
            added = time.monotonic()
            where = {"rule_id": "new"}
            wait_for(lambda: store.count("promotions", run_id, where=where), 15, tmp_path)
            assert time.monotonic() - added < 15
            assert process.drain() == 0
        finally:
            process.kill()
    assert {r["outcome"] for r in store.rows("promotions", run_id, limit=500)} == {"offered"}


def day(number: int) -> str:
    header = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"
    lines = [
        f"{number}-{h},+1202555{h:04d},+12025551000,2026-01-{number:02d}T{h:02d}:30:00Z,60,VOICE,0,ANSWERED"
        for h in range(24)
    ]
    return "\n".join([header, *lines, ""])


def looking(window: str, field: str = "calls") -> dict[str, Any]:
    return {"combinator": "and", "rules": [{"field": field, "operator": ">=", "value": 1, "window": window}]}


BROKEN: dict[str, tuple[Any, str]] = {
    "cut": ('{"name": "Cut", ', "is no JSON"),
    "list": ([1, 2], "expected an object"),
    "unknown": (
        {"name": "Unknown", "offer": {"code": "X"}, "when": looking("1d", "steps")},
        "when.rules[0].field",
    ),
    "odd": ({"name": "Odd", "offer": {"code": "X"}, "when": looking("90m")}, "a multiple of the pane of 1h"),
    "long": (
        {"name": "Long", "offer": {"code": "X"}, "when": looking("60d")},
        "at most the 30d that are kept",
    ),
    "other": ({"name": "Another", "offer": {"code": "X"}, "when": looking("1d")}, "the rule_id another"),
}
"""What somebody who knows no pages and no command might write into the store, and what is said of it."""


def put(store: Store, rule_id: str, definition: Any) -> None:
    """Writes a definition over that of a rule."""
    said = definition if isinstance(definition, str) else json.dumps(definition)
    with store.writing() as connection:
        values = {"definition": said, "rule_id": rule_id}
        connection.execute(text("UPDATE rules SET definition = :definition WHERE rule_id = :rule_id"), values)


def test_batch_goes_on_without_rules_that_cannot_be_decided(tmp_path: Path) -> None:
    """A window longer than what a stream keeps is no trouble in batch."""
    url = f"sqlite:///{tmp_path}/results.db"
    calling = {"name": "x", "offer": {"code": "X"}, "when": looking("1d")}
    add(tmp_path, url, *({**calling, "name": name} for name in ("Good", *BROKEN)))
    store = open_store(url)
    for name, (definition, _) in BROKEN.items():
        put(store, name, definition)
    run(tmp_path, day(1), "--pane", "1h", "--consent_default", "in")
    for name, (_, said) in BROKEN.items():
        row = saved.rule_row(store, name)
        assert name == "long" or (said in row["error"] and not row["enabled"])
    assert {r["rule_id"] for r in store.rows("promotions")} == {"good", "long"}


def test_a_rule_that_cannot_be_decided_is_switched_off_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, folder = f"sqlite:///{tmp_path}/results.db", tmp_path / "in"
    folder.mkdir()
    store = open_store(url)
    any_call = json.loads(json.dumps(RULE).replace('"10m", "where": {"business_type": ["Banking"]}', '"1d"'))
    add(tmp_path, url, *({**any_call, "name": name} for name in ("Good", "Bad", *BROKEN)))
    land(folder, "1.csv", day(1))
    flags = ["--input", f"dir://{folder}", "--pane", "1h", "--consent_default", "in", "--early_every", "1s"]
    process = LiveProcess(url, *flags, log=tmp_path / "pipeline.log")
    try:
        run_id = wait_for(lambda: store.newest_run(mode="streaming"), 60, tmp_path)
        wait_for(lambda: store.count("promotions", run_id, where={"rule_id": "bad"}), 60, tmp_path)
        for name, (definition, said) in BROKEN.items():
            put(store, name, definition)
            error = wait_for(lambda name=name: saved.rule_row(store, name)["error"], 15, tmp_path)
            assert said in error and not saved.rule_row(store, name)["enabled"]
        put(
            store,
            "bad",
            saved.rule_row(store, "good")["definition"] | {"when": {"combinator": "xor", "rules": []}},
        )
        error = wait_for(lambda: saved.rule_row(store, "bad")["error"], 15, tmp_path)
        assert "combinator" in error and not saved.rule_row(store, "bad")["enabled"]
        before = store.count("promotions", run_id)
        land(folder, "2.csv", day(3))
        wait_for(lambda: store.count("promotions", run_id) > before, 20, tmp_path)
        assert process.drain() == 0
    finally:
        process.kill()
    off = saved.rule_activations(store, "bad")[0]["active_to"]
    decided = {
        name: [r["decided_at"] for r in store.rows("promotions", run_id, where={"rule_id": name})]
        for name in ("good", "bad")
    }
    assert off is not None and max(decided["bad"]) < off < max(decided["good"])
    capsys.readouterr()
    assert main(["list", "--store", url]) == 0
    assert "switched off: " in capsys.readouterr().out


NEW: dict[str, Any] = {
    "name": "Busy hours",
    "start": "entering",
    "when": {"combinator": "and", "rules": [{"field": "interactions", "operator": ">=", "value": 4, "window": "2h"}]},
    "offer": {"code": "BUSY"},
    "limits": {"repeat": "on_reentry"},
}  # fmt: skip
OFTEN = {**NEW, "name": "Often", "limits": {"repeat": "always", "cooldown": "2h"}}


def in_order(n: int) -> list[str]:
    """Lines of twenty callers over six days, in the order of time."""
    rng = random.Random(9)
    called = [*messy.directory(), "+442079460018", "+493012345678"]
    return [
        f"{k},+1303555{rng.randrange(20):04d},{rng.choice(called)},"
        f"{datetime(2026, 1, 5, tzinfo=UTC) + k * timedelta(days=6) / n:%Y-%m-%dT%H:%M:%SZ},"
        f"{rng.randrange(300)},{rng.choice(('VOICE', 'SMS'))},0.1,ANSWERED"
        for k in range(n)
    ]


def test_kills_and_a_rule_switched_on_half_way_leave_the_promotions_of_batch(tmp_path: Path) -> None:
    """Batch has the rules of later with the moment of their activation as ``valid_from``."""
    live, folder, rng = tmp_path / "live", tmp_path / "live" / "in", random.Random(4)
    folder.mkdir(parents=True)
    url, listed, lines = f"sqlite:///{live}/results.db", messy.directory(), in_order(4000)
    add(live, url, *RULES, pane="2h")
    flags = [*FLAGS, "--input", f"dir://{folder}", "--directory", str(write_directory(live, listed))]
    flags += ["--snapshot_every", "1s", "--early_every", "1s"]
    store = open_store(url)
    for number in range(4):
        land(
            folder,
            f"{number}.csv",
            "\n".join([messy.HEADER, *lines[number * 1000 : (number + 1) * 1000], ""]),
        )
        process = LiveProcess(url, *flags, log=live / "pipeline.log")
        process.wait_for(lambda run: run["state"] == "running")
        if number == 2:
            process.wait_for(lambda run: run["records_read"] == 3000)
            add(live, url, NEW, OFTEN, pane="2h")
            wait_for(lambda: saved.rule_activations(store, "often"), 15, live)
        if number < 3:
            time.sleep(rng.uniform(0.5, 3))
            process.kill()
    process.wait_for(lambda run: run["records_read"] == 4000)
    assert process.drain() == 0
    (on,) = saved.rule_activations(store, "busy-hours")
    rules = tmp_path / "rules.json"
    begin = {"valid_from": on["active_from"].replace(" ", "T") + "Z"}
    rules.write_text(json.dumps([*RULES, NEW | begin, OFTEN | begin]), encoding="utf-8")
    text = "\n".join([messy.HEADER, *lines, ""])
    expected = promotions(run(tmp_path, text, *FLAGS, "--rules", str(rules), listed=listed))
    assert promotions(url) == expected
    assert {row[0] for row in expected} == {"abroad", "fans-of-banks", "busy-hours", "often"}


def land(folder: Path, name: str, lines: str) -> None:
    part = folder / f".{name}"
    part.write_text(lines, encoding="utf-8")
    part.rename(folder / name)


def test_two_who_save_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Somebody saves between the moment at which the command looks at the rule and the one at which it saves."""
    url = f"sqlite:///{tmp_path}/results.db"
    add(tmp_path, url, RULE)
    real = saved.save_rules

    def meanwhile(store: Store, drafts: Any, by: str) -> Any:
        real(store, [saved.RuleDraft("bank-callers", "Bank callers", 9, True, RULE, 1)], "somebody else")
        return real(store, drafts, by)

    monkeypatch.setattr(saved, "save_rules", meanwhile)
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([{**RULE, "priority": 5}]), encoding="utf-8")
    capsys.readouterr()
    assert main(["add", str(path), "--store", url]) == 2
    assert "saved by somebody else in between" in capsys.readouterr().err
    row = saved.rule_row(open_store(url), "bank-callers")
    assert (row["version"], row["priority"], row["created_by"]) == (2, 9, "somebody else")
