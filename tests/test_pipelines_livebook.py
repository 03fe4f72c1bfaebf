"""Which rules a resumed run begins with: those that pane ends may still be decided by."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from webui_world import RULE

from callbeam_io.store import close_writers, open_store
from pipelines.livebook import LiveBook
from pipelines.reference import load_business_types
from pipelines.rulebook import FROM_STORE, BookSpec
from transforms.registry import forget, live_run


def test_a_rule_that_was_switched_off_counts_until_then(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url)
    run_id = store.start_run(mode="streaming", runner="BundleBasedDirectRunner", options={})
    versions = [
        {
            "rule_id": name,
            "version": 1,
            "name": name,
            "enabled": True,
            "priority": 1,
            "definition": json.dumps(rule),
        }
        for name, rule in (
            ("ended", {**RULE, "name": "ended"}),
            ("off-meanwhile", {**RULE, "name": "off meanwhile"}),
            (
                "never-right",
                {"name": "never right", "when": {"combinator": "and", "rules": [{"field": "x"}]}},
            ),
        )
    ]
    ends = {"ended": "2026-03-02 10:00:00", "off-meanwhile": None, "never-right": None}
    activations = [
        {"rule_id": name, "version": 1, "active_from": "2026-03-02 09:00:00", "active_to": end}
        for name, end in ends.items()
    ]
    written = {"rule_versions": pl.DataFrame(versions), "rule_activations": pl.DataFrame(activations)}
    store.writer().write(run_id, written)

    run = live_run(run_id)
    book = LiveBook(store, run, run_id, BookSpec((), url, False), FROM_STORE, load_business_types(None), 5)
    book.start(resumed=True)
    found = {a.rule.rule_id: a for a in run.book.rules}
    assert set(found) == {"ended", "off-meanwhile"}
    assert (found["ended"].active_to or 0) - (found["ended"].active_from or 0) == 3600
    assert found["off-meanwhile"].active_to is None

    book._wanted = {}
    book.turn(1_772_449_200_000_000)  # 11:00 of that day
    assert {a.rule.rule_id: a.active_to for a in run.book.rules} == {
        "ended": found["ended"].active_to,
        "off-meanwhile": 1_772_449_205,
    }
    book.close()
    forget(run_id)
    close_writers()
    store.close()
