"""The account of each subscriber's newest record, in calls and saved, against a plain dictionary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import BEGIN, One, records_of

from transforms.columns import accounts as accounts_module
from transforms.columns.accounts import Accounts
from transforms.columns.records import Records

PEOPLE = 4
Call = list[tuple[int, int, str, str]]
record = st.tuples(
    st.integers(0, PEOPLE - 1),
    st.integers(0, 3),
    st.sampled_from("abcdef"),
    st.sampled_from(["", "A", "B", "C"]),
)


def records(call: Call) -> Records:
    return records_of([One(second=BEGIN + s, id=i, account=a) for _, s, i, a in call])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(record, min_size=1, max_size=12), min_size=1, max_size=6), st.integers(0, 6))
def test_the_greatest_start_and_id(calls: list[Call], restored: int) -> None:
    accounts, known, seen = Accounts(), {}, set()
    accounts.grow(PEOPLE)
    for number, call in enumerate(calls):
        call = [
            r for r in dict.fromkeys(call) if (r[0], r[2]) not in seen
        ]  # distinct, as after deduplication
        call = list({(person, name): (person, s, name, a) for person, s, name, a in call}.values())
        seen |= {(person, name) for person, _, name, _ in call}
        accounts.add(np.array([p for p, *_ in call], np.int64), records(call))
        for person, second, name, account in call:
            known[person] = max(known.get(person, (-1, "", "")), (second, name, account))
        if number == restored:
            at, old = np.arange(PEOPLE), accounts
            accounts = Accounts()
            accounts.grow(PEOPLE)
            accounts.restore(at, old.start[at], *old.texts(at))
    shown, _ = accounts.texts(np.arange(PEOPLE))
    for person, account in enumerate(shown):
        assert (account or "") == known.get(person, (0, "", ""))[2], person


def test_texts_are_settled_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "_MANY", 2)
    accounts = Accounts()
    for step in range(9):
        accounts.grow(step + 1)
        call = [(p, step, f"{step}/{p}", f"A{step}") for p in range(0, step + 1, 2)]
        accounts.add(np.array([p for p, *_ in call], np.int64), records(call))
        assert len(accounts._tables) <= 2
    shown, ids = accounts.texts(np.array([0, 1, 8]))
    assert shown.to_list() == ["A8", None, "A8"]
    assert ids.to_list() == ["8/0", None, "8/8"]


def test_without_accounts_nothing_is_kept() -> None:
    """Cleaning leaves out the texts of a batch without a single account."""
    accounts = Accounts()
    accounts.grow(1)
    accounts.add(np.array([0]), replace(records([(0, 1, "a", "")]), text={}))
    assert accounts.texts(np.array([0, 0]))[0].to_list() == [None, None]
    assert len(accounts._tables) == 1
