"""The growing hash table and the table of the directory, against plain dictionaries."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.keytable import KeyTable, grown

keys = st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 60) | st.integers(0, 2**64 - 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(keys, max_size=40), max_size=6), st.integers(0, 4))
def test_positions_are_given_in_the_order_of_first_sight(calls: list[list[int]], capacity: int) -> None:
    table, known = KeyTable(capacity), {}
    for call in calls:
        column = np.array(call, np.uint64)
        before = [known.get(k, -1) for k in call]
        assert table.find(column).tolist() == before
        for key in call:
            known.setdefault(key, len(known))
        assert table.find_or_add(column).tolist() == [known[k] for k in call]
        assert len(table) == len(known)
        assert table.keys.tolist() == list(known)


def test_keys_that_all_want_one_slot() -> None:
    inverse = pow(
        0x9E3779B97F4A7C15, -1, 1 << 64
    )  # the hash is a multiplication: these all come to 7, 8, ...
    column = np.array([(7 + n) * inverse % (1 << 64) for n in range(500)], np.uint64)
    table = KeyTable()
    assert table.find_or_add(column).tolist() == list(range(500))
    assert table.find(column[::-1]).tolist() == list(range(499, -1, -1))
    assert table.find(np.array([3], np.uint64)).tolist() == [-1]


def test_it_grows() -> None:
    table, column = KeyTable(), np.arange(100_000, dtype=np.uint64) * np.uint64(64)
    for part in np.array_split(column, 7):
        table.find_or_add(np.concatenate([part, part]))
    assert np.array_equal(table.find(column), np.arange(100_000))


def test_room_for_more_rows() -> None:
    array = np.ones((2, 3), np.int32)
    assert grown(array, 2) is array
    bigger = grown(array, 3, fill=7)
    assert bigger.shape == (4, 3)
    assert bigger.tolist() == [[1] * 3] * 2 + [[7] * 3] * 2
    assert len(grown(array, 100)) == 100
