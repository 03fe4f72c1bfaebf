"""Hashes: golden values, a second implementation over Python integers, and what must not matter."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.columns.hashing import hash_columns, hash_text, shard_of

GOLDEN = 0x9E3779B97F4A7C15
SEED = 0x243F6A8885A308D3
BITS = (1 << 64) - 1

TEXTS = [
    "",
    "a",
    "a\0",
    "12345678",
    "123456789",
    "+12025550123",
    "b2f6c9a0-41d7-4a5e",
    "Zoë 東京",
    "x" * 1000,
]

GOLDEN_TEXTS = [
    2611923443488327891,
    17416279631027612633,
    7518399358463131583,
    493427301664843289,
    906063567824168325,
    11032392575515137557,
]
GOLDEN_ROWS = [
    285694967233264526,
    15510082886078595797,
    10669509367989609474,
]
GOLDEN_SHARDS = [7, 60, 11, 56]


def mix(x: int) -> int:
    """SplitMix64's finaliser."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & BITS
    x = (x ^ x >> 27) * 0x94D049BB133111EB & BITS
    return x ^ x >> 31


def text_hash(text: str) -> int:
    data = text.encode()
    state = len(data) * GOLDEN & BITS ^ SEED
    for at in range(0, len(data), 8):
        state = mix(state ^ int.from_bytes(data[at : at + 8], "little"))
    return state


def row_hash(values: tuple[int, ...]) -> int:
    state = SEED
    for value in values:
        state = mix(state ^ value & BITS)
    return state


def test_mix_is_splitmix64() -> None:
    # The first outputs of the published generator seeded with 1234567.
    assert [mix(1234567 + n * GOLDEN & BITS) for n in (1, 2)] == [6457827717110365317, 3203168211198807973]


def test_golden_values() -> None:
    assert hash_text(pl.Series(TEXTS[:6])).tolist() == GOLDEN_TEXTS
    assert hash_columns(np.array([0, 1, -1]), np.array([7, 7, 7])).tolist() == GOLDEN_ROWS
    assert shard_of(np.array([12025550123, 442079460018, -5, 0]), 64).tolist() == GOLDEN_SHARDS


def test_texts_of_all_lengths_together() -> None:
    texts = TEXTS + ["y" * n for n in range(70)]
    assert hash_text(pl.Series(texts)).tolist() == [text_hash(t) for t in texts]


@given(
    st.lists(st.one_of(st.none(), st.text(), st.text("0123456789", min_size=14, max_size=17)), max_size=40)
)
def test_texts_equal_a_loop_over_python_integers(texts: list[str | None]) -> None:
    assert hash_text(pl.Series(texts, dtype=pl.String)).tolist() == [text_hash(t or "") for t in texts]


def test_layout_of_a_column_does_not_matter() -> None:
    texts = pl.Series([f"id-{n:07d}-{'z' * (n % 13)}" for n in range(40_000)])
    whole = hash_text(texts)
    assert (hash_text(texts[17:30_001]) == whole[17:30_001]).all()
    chunked = pl.concat([texts[:5], texts[5:20_000], texts[20_000:]], rechunk=False)
    assert chunked.n_chunks() == 3
    assert (hash_text(chunked) == whole).all()
    assert (hash_text(texts[::-1]) == whole[::-1]).all()
    assert len(set(whole.tolist())) == len(texts)


def test_no_rows_null_rows_and_other_types() -> None:
    assert hash_text(pl.Series([], dtype=pl.String)).dtype == np.uint64
    assert len(hash_text(pl.Series([], dtype=pl.String))) == 0
    assert hash_text(pl.Series([None, None], dtype=pl.String)).tolist() == [text_hash("")] * 2
    assert hash_text(pl.Series([12, None])).tolist() == [text_hash("12"), text_hash("")]
    assert hash_text(pl.Series(["a"], dtype=pl.Categorical)).tolist() == [text_hash("a")]


@given(st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 3), min_size=1, max_size=20))
def test_rows_equal_a_loop_over_python_integers(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    assert hash_columns(*columns).tolist() == [row_hash(row) for row in rows]


def test_integer_types_do_not_matter_but_order_does() -> None:
    small = np.array([-1, 0, 5], np.int8)
    wide = small.astype(np.int64)
    assert (hash_columns(small, wide) == hash_columns(wide, small)).all()
    assert (hash_columns(wide.view(np.uint64)) == hash_columns(wide)).all()
    a, b = np.arange(5), np.arange(5) + 1
    assert not (hash_columns(a, b) == hash_columns(b, a)).any()


def test_hashing_leaves_its_columns_alone() -> None:
    column = np.arange(3, dtype=np.uint64)
    hash_columns(column, column)
    assert column.tolist() == [0, 1, 2]


def test_only_whole_numbers_are_hashed() -> None:
    with pytest.raises(TypeError, match="whole numbers expected, not float64"):
        hash_columns(np.array([1.5]))


@pytest.mark.parametrize("shards", [1, 7, 64, 256])
def test_shards_are_even(shards: int) -> None:
    codes = np.concatenate([np.arange(12_025_550_000, 12_025_600_000), -np.arange(1, 50_001)])
    found = np.bincount(shard_of(codes, shards), minlength=shards)
    assert len(found) == shards
    expected = len(codes) / shards
    assert abs(found - expected).max() < 6 * expected**0.5 + 1


@pytest.mark.parametrize("shards", [0, 257])
def test_number_of_shards_has_bounds(shards: int) -> None:
    with pytest.raises(ValueError, match=f"{shards} shards, expected 1 to 256"):
        shard_of(np.array([1]), shards)
