"""Rules for workers elsewhere: whoever has leave to decide a pane end knows all that is on there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from stores import new_run
from test_pipelines_rules import RULES

from callbeam_io.sink import decided_key
from callbeam_io.store import open_store
from pipelines import durable_rules, livebook
from pipelines.durable_rules import BookKeeper, StoreRules, book_key
from pipelines.earlier import decisions_of
from pipelines.rulebook import FROM_STORE, BookSpec
from pipelines.rules import main as rules
from transforms.columns.decisions import RuleBook
from transforms.columns.directory import BusinessTypes
from transforms.rules.language import ActiveRule
from transforms.rules.parse import parse_rule
from transforms.schema import BUSINESS_TYPES

PANE = 7200
BEGIN = 1_767_225_600
NOTHING = durable_rules._NOTHING


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with two rules, one of them switched off; it is read all the time."""
    monkeypatch.setattr(livebook, "_EVERY", 0.02)
    monkeypatch.setattr(durable_rules, "_EVERY", 0.0)
    path, made = tmp_path / "rules.json", f"sqlite:///{tmp_path}/results.db"
    path.write_text(json.dumps([RULES[0], {**RULES[1], "enabled": False}]), encoding="utf-8")
    assert rules(["add", str(path), "--store", made]) == 0
    return made


@pytest.fixture
def keeper(url: str) -> Iterator[BookKeeper]:
    store = open_store(url)
    types = BusinessTypes.of(BUSINESS_TYPES, "Private")
    made = BookKeeper(store, new_run(store, "streaming"), BookSpec((), url, True), FROM_STORE, types, PANE)
    made.start()
    yield made
    made.close()


def test_no_leave_before_the_first_watermark(keeper: BookKeeper, url: str) -> None:
    worker = StoreRules(url, keeper.run_id, True)
    assert (worker.book().until, worker.book().rules) == (NOTHING, ())
    keeper.beat(None)
    assert worker.book().until == NOTHING


def test_leave_does_not_go_back(keeper: BookKeeper, url: str) -> None:
    worker = StoreRules(url, keeper.run_id, True)
    for watermark, leave in (
        (PANE - 1, 0),
        (5 * PANE + 9, 5 * PANE),
        (2 * PANE, 5 * PANE),
        (6 * PANE, 6 * PANE),
    ):
        keeper.beat(BEGIN + watermark)
        assert worker.book().until == BEGIN + leave


def is_on(keeper: BookKeeper) -> bool:
    book = keeper.store.control(book_key(keeper.run_id))
    return any(row[0]["name"] == "Fans of banks" and row[3] is None for row in book)


def switch(keeper: BookKeeper, url: str, word: str, mark: int) -> int:
    """Switches a rule on or off; gives the watermark at which the run has taken it up."""
    end = time.monotonic() + 10
    assert rules([word, "fans-of-banks", "--store", url]) == 0
    while is_on(keeper) != (word == "enable"):
        assert time.monotonic() < end
        mark += PANE // 3
        keeper.beat(mark)
    return mark


def test_whoever_may_decide_knows_what_is_on(keeper: BookKeeper, url: str) -> None:
    """A worker that asks all the time, while rules go on and off and the watermark goes on."""
    worker, stop, seen = StoreRules(url, keeper.run_id, True), threading.Event(), list[RuleBook]()

    def ask() -> None:
        while not stop.is_set():
            seen.append(worker.book())

    thread = threading.Thread(target=ask)
    thread.start()
    mark = BEGIN
    for word in ("enable", "disable") * 3:
        mark = switch(keeper, url, word, mark)
    stop.set()
    thread.join()
    assert len({book.until for book in seen}) > 4
    final = worker.book().rules
    assert {a.rule.rule_id for a in final} == {"abroad", "fans-of-banks"}
    assert sum(a.active_to is not None for a in final) == 3
    for book in seen:
        assert as_of(book.rules, book.until or 0) == as_of(final, book.until or 0)


def as_of(found: tuple[ActiveRule, ...], second: int) -> set[tuple[str, int | None, int | None]]:
    """What matters at pane ends until a second."""
    return {
        (
            a.rule.rule_id,
            a.active_from,
            a.active_to if a.active_to is not None and a.active_to <= second else None,
        )
        for a in found
        if a.active_from is None or a.active_from <= second
    }


def test_the_last_word(keeper: BookKeeper, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker waits for it; after it nothing changes; without an answer what is known holds."""
    worker = StoreRules(url, keeper.run_id, True)
    mark = switch(keeper, url, "enable", BEGIN)
    monkeypatch.setattr(durable_rules, "_PATIENCE", 0.1)
    assert worker.last_book().until is None
    keeper.beat(mark)
    last = worker.last_book()
    assert last.until is None and {a.rule.rule_id for a in last.rules} == {"abroad", "fans-of-banks"}
    assert rules(["disable", "abroad", "--store", url]) == 0
    time.sleep(0.1)
    keeper.beat(mark + 9 * PANE)
    assert worker.book() is last and keeper.store.control(book_key(keeper.run_id))[0][3] is None


def test_what_the_store_has_decided(keeper: BookKeeper, url: str) -> None:
    worker, run_id = StoreRules(url, keeper.run_id, True), keeper.run_id
    assert worker.decided() == (None, {}, None)
    keeper.store.set_control(decided_key(run_id), BEGIN)
    at = {"decided_at": "2026-01-01 00:00:00", "rule_version": 1}
    row = {"rule_id": "abroad", **at}
    rows = [
        {**row, "subscriber": f"{k}", "outcome": "offered" if k else "capped", "features": "{}"}
        for k in range(3)
    ]
    keeper.store.writer().write(run_id, {"promotions": pl.DataFrame(rows)})
    assert worker.decided() == (BEGIN, {"abroad": 2}, None)


def test_what_was_delivered_counts_once(keeper: BookKeeper, url: str) -> None:
    """Two promotions of the run that became deliveries, two deliveries of an earlier run, one of them again."""
    run_id, at = keeper.run_id, ["2026-01-01 00:00:00", "2026-01-01 02:00:00"]
    row = {"rule_id": "fans-of-banks", "rule_version": 1, "outcome": "offered", "features": "{}"}
    made = [row | {"subscriber": f"{k}", "decided_at": at[0]} for k in range(3)]
    keys = [("1", at[0], run_id), ("2", at[0], run_id), ("0", at[0], "earlier"), ("9", at[1], "earlier")]
    writer = keeper.store.writer()
    writer.write(run_id, {"promotions": pl.DataFrame(made)})
    for subscriber, decided, by in keys:
        key = {"rule_id": "fans-of-banks", "subscriber": subscriber, "decided_at": decided}
        writer.write(by, {"deliveries": pl.DataFrame([key])})
    rules_on = [parse_rule(RULES[1])]
    floor, offered, again = decisions_of(keeper.store, run_id, rules_on)
    assert (floor, offered) == (None, {"fans-of-banks": 4}) and again is not None and again.num_rows == 2
    keeper.store.set_control(decided_key(run_id), BEGIN)
    floor, offered, again = decisions_of(keeper.store, run_id, rules_on)
    assert (floor, offered) == (BEGIN, {"fans-of-banks": 4}) and again is not None
    assert again.column("subscriber").to_pylist() == ["9"]
