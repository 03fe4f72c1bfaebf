"""Samples of a streaming run add up to what its row and its tables say."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import messy
import pyarrow as pa
import pytest
from list_feed import ListFeed
from test_pipelines_rules import FLAGS, prepared_with_rules, rules_file
from test_pipelines_run import write_directory

from callbeam_io.store import Store, open_store, utc_text
from pipelines import samples
from pipelines.live import run_live
from pipelines.samples import Samples, Totals, figures_between

NOTHING = Totals({}, {}, {})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/results.db")


def test_what_was_counted_between_two_totals() -> None:
    old = Totals({"read": 5, "good": 5}, {"Business": 3}, {("bank", "offered"): 1})
    new = Totals(
        {"read": 9, "good": 7, "rejected": 2},
        {"Business": 3, "Job": 4},
        {("bank", "offered"): 3, ("bank", "capped"): 1},
    )
    assert figures_between(old, new) == {
        "read": 4,
        "good": 2,
        "rejected": 2,
        "late": 0,
        "duplicate": 0,
        "by_type": {"Job": 4},
        "promotions": {"bank": {"offered": 2, "capped": 1}},
    }


def test_samples_of_a_run_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "EVERY", 0.0)
    text = messy.csv_text(900, seed=3)
    directory = str(write_directory(tmp_path, messy.directory()))
    flags = ["--directory", directory, "--window", "all", *FLAGS, "--rules", str(rules_file(tmp_path))]
    ready = prepared_with_rules(tmp_path, ListFeed(text, chunk=90), *flags)
    assert run_live(ready) == 0
    run, rows = ready.store.runs()[0], ready.store.rows("run_samples")
    for name in ("read", "good", "rejected", "late", "duplicate"):
        assert sum(r["figures"][name] for r in rows) == run[f"records_{name}"], name
    by_type, promotions = Counter[str](), Counter[tuple[str, str]]()
    for row in rows:
        by_type.update(row["figures"]["by_type"])
        for rule_id, outcomes in row["figures"]["promotions"].items():
            promotions.update({(rule_id, outcome): n for outcome, n in outcomes.items()})
    reached = {r["business_type"]: r["calls"] + r["messages"] for r in ready.store.rows("business_types")}
    assert by_type == reached
    fired = Counter((r["rule_id"], r["outcome"]) for r in ready.store.rows("promotions"))
    assert promotions == fired
    assert fired


def test_a_row_a_sample_and_a_day_of_them(store: Store) -> None:
    run_id = store.start_run(mode="streaming", runner="DirectRunner", options={})
    old = utc_text(datetime.now(UTC) - timedelta(hours=25))
    newer = utc_text(datetime.now(UTC) - timedelta(hours=23))
    seed = pa.table({"at": [old, newer], "figures": [json.dumps({"read": 1})] * 2})
    store.writer().write(run_id, {"run_samples": seed})
    taken, clock = (
        iter([NOTHING, Totals({"read": 2}, {}, {}), Totals({"read": 5}, {}, {})]),
        iter([0.0, 10.0, 21.0]),
    )
    sampling = Samples(store, run_id, lambda: next(taken), lambda: next(clock))
    assert sampling.take(1.5, 0.25) is None
    assert sampling.take(None, None) is None  # within the same second: a row of its own
    rows = store.rows("run_samples", run_id)
    assert [r["figures"]["read"] for r in rows] == [1, 2, 3]
    assert [r["figures"].get("seconds") for r in rows] == [None, 10.0, 11.0]
    assert (rows[1]["figures"]["behind_s"], rows[1]["figures"]["freshness_s"]) == (1.5, 0.25)
