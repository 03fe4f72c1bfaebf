"""Rules in the store: versions, conflicts, switches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text
from stores import store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import Store, web_rules
from callbeam_io.store import rules as saved
from callbeam_io.store.rules import RuleConflict, RuleDraft, save_rules, switch_rule
from transforms.errors import OptionError, RequestError


def draft(name: str, base: int | None = 0, **more: Any) -> RuleDraft:
    values: dict[str, Any] = {"priority": 7, "enabled": True, "definition": {"name": name, "enabled": True}}
    return RuleDraft(name, name, base=base, **(values | more))


def test_each_save_is_a_version(store: Store) -> None:
    assert save_rules(store, [draft("a"), draft("b", priority=1)], "ann") == [1, 1]
    assert save_rules(store, [draft("a", 1, definition={"name": "a", "x": 1})], "bob") == [2]
    assert [r["rule_id"] for r in saved.list_rules(store)] == ["b", "a"]
    row = saved.rule_row(store, "a")
    assert (row["version"], row["created_by"], row["definition"]) == (2, "bob", {"name": "a", "x": 1})
    versions = saved.rule_versions(store, "a")
    assert [(v["version"], v["created_by"], v["definition"]) for v in versions] == [
        (1, "ann", {"name": "a", "enabled": True}),
        (2, "bob", {"name": "a", "x": 1}),
    ]


@pytest.mark.parametrize("base", [0, 1, 3])
def test_an_edit_of_another_version_is_a_conflict(store: Store, base: int) -> None:
    save_rules(store, [draft("a"), draft("b")], "ann")
    save_rules(store, [draft("a", 1)], "ann")
    with pytest.raises(RuleConflict, match="version 2") as found:
        save_rules(store, [draft("b", 1), draft("a", base)], "bob")
    assert isinstance(found.value, RequestError)
    assert saved.rule_row(store, "b")["version"] == 1  # all or none
    assert save_rules(store, [draft("a", None)], "bob") == [3]


def test_of_many_who_save_at_once_one_succeeds(store: Store) -> None:
    def save(who: int) -> bool:
        try:
            save_rules(store, [draft("a")], str(who))
        except RuleConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(save, range(8))) == 1
    assert len(saved.rule_versions(store, "a")) == 1


def test_who_switches_another_version_on_than_they_saw_is_told(store: Store) -> None:
    save_rules(store, [draft("a", enabled=False)], "ann")
    save_rules(store, [draft("a", 1, enabled=None)], "bob")
    with pytest.raises(RuleConflict, match="version 2"):
        switch_rule(store, "a", on=True, base=1)
    assert not saved.rule_row(store, "a")["enabled"] and switch_rule(store, "a", on=True, base=2)
    save_rules(store, [draft("a", 2, enabled=None), draft("b", enabled=None)], "ann")
    assert [r["enabled"] for r in saved.list_rules(store)] == [True, False]


def test_what_cannot_be_decided_is_switched_off_but_not_what_was_saved_since(store: Store) -> None:
    save_rules(store, [draft("a"), draft("b")], "ann")
    rows = {name: saved.rule_row(store, name) for name in "ab"}
    save_rules(store, [draft("b", 1)], "bob")
    for row in rows.values():
        saved.switch_off_broken(store, row, "no such field")
    found = [(r["enabled"], r["error"], r["version"]) for r in saved.list_rules(store)]
    assert found == [(False, "no such field", 1), (True, None, 2)]


@pytest.mark.parametrize("broken", ['{"name": ', "3", "null", "[1]", "[" * 100_000])
def test_a_definition_that_is_no_object_reads_as_an_empty_one(store: Store, broken: str) -> None:
    save_rules(store, [draft("a")], "ann")
    with store.writing() as connection:
        for table in ("rules", "rule_versions"):
            connection.execute(text(f"UPDATE {table} SET definition = :broken"), {"broken": broken})
    rows = [saved.rule_row(store, "a"), *saved.list_rules(store), *saved.rule_versions(store, "a")]
    assert [row["definition"] for row in rows] == [{}] * 3
    assert saved.definition_of(rows[0]) == {"enabled": True}


def test_switches(store: Store) -> None:
    save_rules(store, [draft("a")], "ann")
    assert [switch_rule(store, "a", on=on) for on in (True, False, False)] == [False, True, False]
    row = saved.rule_row(store, "a")
    assert (row["enabled"], row["version"]) == (False, 1)
    assert saved.definition_of(row) == {"name": "a", "enabled": False}
    store.writer().write("", {"rules": _with_error(row)})
    assert saved.rule_row(store, "a")["error"] == "too long"
    assert switch_rule(store, "a", on=True)
    assert saved.rule_row(store, "a")["error"] is None
    for call in (lambda: switch_rule(store, "x", on=True), lambda: saved.rule_row(store, "x")):
        with pytest.raises(OptionError, match="no rule 'x'"):
            call()


def _with_error(row: dict[str, Any]) -> Any:
    import polars as pl

    return pl.DataFrame([{"rule_id": row["rule_id"], "version": row["version"], "error": "too long"}])


def test_counts_and_activations(store: Store) -> None:
    import polars as pl

    run_id = store.start_run(mode="streaming", runner="TestRunner", options={})
    promotions = [
        {"rule_id": r, "subscriber": s, "decided_at": "2026-01-01 00:00:00", "outcome": o}
        for r, s, o in [("a", "+1", "offered"), ("a", "+2", "control"), ("a", "+3", "offered"), ("b", "+1", "capped")]
    ]  # fmt: skip
    activation = {"rule_id": "a", "version": 1, "active_from": "2026-01-01 00:00:00"}
    tables = {"promotions": pl.DataFrame(promotions), "rule_activations": pl.DataFrame([activation])}
    store.writer().write(run_id, tables)
    assert saved.rule_outcomes(store, "a", run_id) == {"offered": 2, "control": 1}
    assert saved.run_outcomes(store, run_id) == {"offered": 2, "control": 1, "capped": 1}
    assert [a["active_from"] for a in saved.rule_activations(store, "a")] == ["2026-01-01 00:00:00"]
    assert saved.rule_activations(store, "b") == []


def test_a_version_keeps_its_sentence(store: Store) -> None:
    save_rules(store, [draft("a", sentence="Offer A.")], "ann")
    save_rules(store, [draft("a", 1)], "bob")
    assert [v["sentence"] for v in saved.rule_versions(store, "a")] == ["Offer A.", None]
    assert saved.rule_row(store, "a")["sentence"] is None


def test_what_rules_did_by_day_and_since(store: Store) -> None:
    run_id = store.start_run(mode="batch", runner="DirectRunner", options={})
    days = [("a", "01", "offered"), ("a", "02", "capped"), ("a", "02", "offered"), ("b", "03", "offered")]
    rows = [
        {"rule_id": r, "subscriber": f"s{i}", "decided_at": f"2026-01-{d} 12:00:00", "outcome": o}
        for i, (r, d, o) in enumerate(days)
    ]
    store.writer().write(run_id, {"promotions": pl.DataFrame(rows)})
    assert web_rules.outcomes_of_all(store, run_id) == {"a": {"offered": 2, "capped": 1}, "b": {"offered": 1}}
    assert web_rules.outcomes_since(store, run_id, "a", "2026-01-01 12:00:00") == {"offered": 1, "capped": 1}
    found = web_rules.outcomes_by_day(store, run_id, "a")
    assert [(r["day"], r["outcome"], r["count"]) for r in found] == [
        ("2026-01-01", "offered", 1),
        ("2026-01-02", "capped", 1),
        ("2026-01-02", "offered", 1),
    ]
    assert web_rules.outcomes_by_day(store, run_id, "c") == []
