"""Rules on a real Flink cluster: from the start and switched on half-way, and a machine is lost after that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import messy
import pytest
from servers.flink import FlinkCluster
from slow_feed import SlowFeed
from stores import postgres_url
from test_pipelines_flink import Watch, no_job_is_left
from test_pipelines_rules import FLAGS, RULES, prepared_with_rules, promotions
from test_pipelines_run import run, write_directory

from pipelines.live import run_live
from pipelines.rules import main as rules

__all__ = ["no_job_is_left"]
pytestmark = pytest.mark.flink
RECORDS = 1500
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NEW: dict[str, Any] = {
    "name": "Busy days",
    "when": {
        "combinator": "and",
        "rules": [{"field": "interactions", "operator": ">=", "value": 9, "window": "1d"}],
    },
    "offer": {"code": "BUSY"},
    "limits": {"repeat": "on_reentry", "max_total": 30},
}


def in_order(seed: int, records: int = RECORDS) -> str:
    """Days of good records, one every few minutes."""
    header, *lines = messy.csv_text(records, seed=seed, bad=0, repeats=0).splitlines()
    for i, line in enumerate(lines):
        fields = line.split(",")
        fields[3] = (BEGIN + timedelta(minutes=8.5 * i)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines[i] = ",".join(fields)
    return "\n".join([header, *lines, ""])


@dataclass
class HalfWay(Watch):
    """Switches a rule on once some records are in the store; the machine is lost after its first promotions."""

    file: str = ""
    active_from: str | None = None

    def is_time(self) -> bool:
        if not self.file:
            return False
        if self.active_from is None:
            if super().is_time():
                self._switch_on()
            return False
        return self.store.count("promotions", self.run_id, where={"rule_id": "busy-days"}) > 0

    def _switch_on(self) -> None:
        if not self.store.rows("rules", where={"rule_id": "busy-days"}):
            rules(["add", self.file, "--store", self.store.engine.url.render_as_string(hide_password=False)])
        for row in self.store.rows("rule_activations", self.run_id):
            if row["rule_id"] == "busy-days":
                self.active_from = row["active_from"]

    @property
    def run_id(self) -> str:
        return str(self.store.runs()[0]["run_id"])


def write_rules(path: Path, found: list[dict[str, Any]]) -> str:
    path.write_text(json.dumps(found), encoding="utf-8")
    return str(path)


def test_rules_through_a_lost_machine(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    live, text, listed = tmp_path / "live", in_order(71), messy.directory()
    live.mkdir()
    rules(["add", write_rules(tmp_path / "first.json", RULES), "--store", f"sqlite:///{live}/results.db"])
    feed = SlowFeed(text, chunk=12, split_count=2, pause=0.5)
    flags = [*FLAGS, "--directory", str(write_directory(live, listed)), *flink_cluster.pipeline_options()]
    ready = prepared_with_rules(live, feed, *flags)
    new = write_rules(tmp_path / "new.json", [NEW])
    with HalfWay(flink_cluster, ready.store, kill_after=RECORDS // 8, file=new) as watch:
        assert run_live(ready) == 0
    assert watch.killed and watch.seen["completed"] > 0 and watch.seen["restored"] > 0
    assert watch.active_from is not None
    stamp = watch.active_from.replace(" ", "T") + "Z"
    assert "2026-01-02" < stamp < "2026-01-07"
    both = write_rules(tmp_path / "both.json", [*RULES, {**NEW, "valid_from": stamp}])
    expected = promotions(run(tmp_path, text, *FLAGS, "--rules", both, listed=listed))
    assert promotions(ready.config.output) == expected
    decided = ready.store.rows("promotions")
    assert {r["rule_id"] for r in decided} == {"abroad", "fans-of-banks", "busy-days"}
    assert min(r["decided_at"] for r in decided) < watch.active_from < max(r["decided_at"] for r in decided)


class SwitchedOn(HalfWay):
    """Only switches the rule on: no machine is lost."""

    def is_time(self) -> bool:
        super().is_time()
        return False


def test_rules_with_the_store_on_postgresql(tmp_path: Path, flink_cluster: FlinkCluster) -> None:
    """Workers read rules, leave and consents from it; a rule that is switched on leaves out who qualifies then."""
    url, text, listed = postgres_url(), in_order(73, 900), messy.directory()
    rules(["add", write_rules(tmp_path / "first.json", RULES), "--store", url])
    feed = SlowFeed(text, chunk=12, split_count=2, pause=0.25)
    flags = [*FLAGS, "--output", url, "--directory", str(write_directory(tmp_path, listed))]
    ready = prepared_with_rules(tmp_path, feed, *flags, *flink_cluster.pipeline_options())
    often = {
        **NEW,
        "start": "entering",
        "when": {"combinator": "and", "rules": [{**NEW["when"]["rules"][0], "value": 5}]},
        "limits": {"repeat": "always", "cooldown": "6h"},
    }
    with SwitchedOn(
        flink_cluster, ready.store, kill_after=200, file=write_rules(tmp_path / "new.json", [often])
    ) as watch:
        assert run_live(ready) == 0
    assert watch.active_from is not None and not watch.killed
    stamp = watch.active_from.replace(" ", "T") + "Z"
    both = write_rules(tmp_path / "both.json", [*RULES, {**often, "valid_from": stamp}])
    expected = promotions(run(tmp_path, text, *FLAGS, "--rules", both, listed=listed))
    assert promotions(url) == expected
    assert {row[0] for row in expected} == {"abroad", "fans-of-banks", "busy-days"}
