"""Business types of numbers: the hash table against a dictionary, and the list of types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.directory import BusinessTypes, Directory
from transforms.schema import BUSINESS_TYPES, PRIVATE

codes = st.integers(-30, 30) | st.integers(-(2**63), 2**63 - 1)
entries = st.lists(st.tuples(codes.filter(lambda c: c != 0), st.integers(0, 8)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(entries, st.lists(codes, max_size=40))
def test_as_a_dictionary(listed: list[tuple[int, int]], asked: list[int]) -> None:
    directory = Directory(
        np.array([c for c, _ in listed], np.int64), np.array([t for _, t in listed], np.uint8), private=9
    )
    wanted = dict(listed)  # of a number listed twice the last one holds
    asked = [*asked, *wanted, 0]
    assert directory.types_of(np.array(asked)).tolist() == [wanted.get(c, 9) for c in asked]


def test_numbers_that_all_want_one_slot() -> None:
    inverse = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
    numbers = np.array([(7 + n) * inverse % (1 << 64) for n in range(300)], np.uint64).view(np.int64)
    directory = Directory(numbers[::2].copy(), np.arange(150).astype(np.uint8), private=200)
    types = directory.types_of(numbers)
    assert types[::2].tolist() == list(range(150))
    assert set(types[1::2].tolist()) == {200}


def test_a_column_with_gaps() -> None:
    directory = Directory(np.array([5]), np.array([1], np.uint8), private=0)
    assert directory.types_of(np.array([5, 6, 5, 6])[::2]).tolist() == [1, 1]


def test_the_default_types() -> None:
    types = BusinessTypes.of(BUSINESS_TYPES, PRIVATE)
    assert len(types.names) == 16
    assert types.tags == ("Business", "Agency", "Education", "Health", "AD", "Emergency", "Private")
    assert types.private == 15
    assert [types.tags[t] for t in types.tag_of] == [tag for _, tag in BUSINESS_TYPES]
    counts = np.arange(16)
    assert (counts @ types.tag_matrix()).tolist() == [0 + 1 + 2 + 3, 4 + 5, 6 + 7, 8 + 9, 46, 14, 15]


def test_private_must_be_a_type() -> None:
    with pytest.raises(ValueError, match="x not in tuple"):
        BusinessTypes.of((("Bank", "Money"),), PRIVATE)
