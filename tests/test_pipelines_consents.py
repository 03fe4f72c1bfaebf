"""Consents read again and again: what changed is found, whoever wrote it and however; nothing is read for nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from stores import store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import Store, changes
from callbeam_io.store.changes import changed_between, newest_change
from callbeam_io.store.web_consent import record_consent, suppress
from pipelines import consents
from pipelines.consents import ConsentReader, read_consent
from transforms.columns.rules.outcomes import Consent


def same(a: Consent, b: Consent) -> bool:
    return a.default == b.default and all(
        np.array_equal(getattr(getattr(a, part), name), getattr(getattr(b, part), name))
        for part in ("stated", "suppressed")
        for name in ("codes", "at", "said")
    )


def at(k: int) -> str:
    return f"2026-01-01 00:00:{k:02d}"


def execute(store: Store, statement: str, **values: Any) -> None:
    with store.writing() as connection:
        connection.execute(text(statement), values)


def change(store: Store, rng: random.Random) -> None:
    """One change of any kind."""
    who, when = f"+1202555{rng.randrange(12):04d}", at(rng.randrange(3))
    kind = rng.randrange(6)
    if kind == 0:
        suppress(store, who, when, "asked")
    elif kind == 1:
        execute(store, "DELETE FROM consent WHERE subscriber = :who", who=who)
    elif kind == 2:
        execute(store, "DELETE FROM suppressed WHERE subscriber = :who", who=who)
    elif kind == 3:  # in place: neither their number nor the newest time tells
        execute(store, "UPDATE consent SET opted_in = NOT opted_in WHERE subscriber = :who", who=who)
    else:
        record_consent(store, who, when, rng.random() < 0.5, "page")


def test_what_changed_is_read_again(store: Store) -> None:
    rng, reader = random.Random(3), ConsentReader(store, default=False)
    for _ in range(40):
        for _ in range(rng.randrange(3)):
            change(store, rng)
        found = reader.read()
        assert same(found, read_consent(store, default=False))
        assert reader.read() is found


@pytest.mark.parametrize("many", [10, 100])
def test_a_list_is_read_as_a_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, many: int
) -> None:
    monkeypatch.setattr(consents, "_FEW", 5)
    monkeypatch.setattr(changes, "MANY", many)
    reader = ConsentReader(store, default=True)
    record_consent(store, "+12025550123", at(1), False, "page")
    assert len(reader.read().stated.codes) == 1
    path = tmp_path / "consent.csv"
    path.write_text("subscriber,opted_in\n" + "".join(f"+1202555{k:04d},yes\n" for k in range(20)))
    consents.load_consents(store, str(path), None)
    assert changed_between(store, 1, newest_change(store), 5) is None
    assert same(reader.read(), read_consent(store, default=True)) and len(reader.read().stated.codes) == 21
    record_consent(store, "+12025550123", at(2), True, "page")
    assert changed_between(store, newest_change(store) - 1, newest_change(store), 5) == ["+12025550123"]
    assert same(reader.read(), read_consent(store, default=True))


def test_the_log_does_not_grow_for_ever(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from callbeam_io.store import open_store

    monkeypatch.setattr(changes, "_FORGET", changes._FORGET.replace(str(changes.KEPT), "3"))
    store = open_store(store_url)
    for k in range(9):
        record_consent(store, f"+1202555{k:04d}", at(1), True, "page")
    last = newest_change(store)
    assert store.count("consent_changes") == 3
    assert changed_between(store, last, last, 9) == []
    assert set(changed_between(store, last - 2, last, 9) or ()) == {"+12025550007", "+12025550008"}
    assert changed_between(store, last - 8, last, 9) is None
    store.close()
