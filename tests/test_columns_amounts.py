"""Durations and charges: exact half up, whatever way they are written."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.amounts import Amounts, parse_charge, parse_seconds

MOST_SECONDS, MOST_CHARGE = 2**31 - 1, 2**53


def fates(amounts: Amounts, n: int) -> list[int | str]:
    """Per row the value, or the first fault."""
    out: list[int | str] = amounts.value.tolist()
    assert len(out) == n
    for reason, rows in amounts.faults.items():
        for row in np.flatnonzero(rows):
            out[row] = reason
    return out


def exact(text: str | None, scale: int, most: int) -> int | str:
    """The oracle: decimal arithmetic with digits to spare."""
    if not (text or "").strip():
        return 0
    try:
        value = Decimal(text.strip()) if "_" not in text else Decimal("nan")
    except ArithmeticError:
        return "not a number"
    if not value.is_finite():
        return "not a number"
    if value < 0:
        return "negative"
    with localcontext(prec=500):
        scaled = value * scale
    return "too large" if scaled > most else int(scaled.to_integral_value(ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("  ", 0),
        ("0", 0),
        ("-0", 0),
        ("59.5", 60),
        ("59.4999999999", 59),
        ("0.49999999999999999999999999999999999999", 0),
        ("60.4999", 60),
        ("1e3", 1000),
        ("1E-1", 0),
        ("+7", 7),
        (" 7 ", 7),
        (" 7.5", 8),
        ("007", 7),
        (".5", 1),
        ("5.", 5),
        ("2147483647", MOST_SECONDS),
        ("2147483647.5", "too large"),
        ("9" * 40, "too large"),
        ("-1", "negative"),
        ("-0.4", "negative"),
        ("-1e300", "negative"),
        ("inf", "not a number"),
        ("-inf", "not a number"),
        ("nan", "not a number"),
        ("1m", "not a number"),
        ("1,5", "not a number"),
        ("0x10", "not a number"),
        ("1_000", "not a number"),
        ("true", "not a number"),
    ],
)
def test_seconds(text: str | None, seconds: int | str) -> None:
    column = pl.Series([text, "12.5"], dtype=pl.String)  # the fraction keeps the column from the fast way
    assert fates(parse_seconds(column), 2) == [seconds, 13]
    assert fates(parse_seconds(pl.Series([text], dtype=pl.String)), 1) == [seconds]


@pytest.mark.parametrize(
    ("text", "millionths"),
    [
        ("0.0000005", 1),
        ("0.00000049999999999999", 0),
        ("1.0000015", 1_000_002),
        ("1.0000014999", 1_000_001),
        ("12.345678", 12_345_678),
        ("1e-7", 0),
        ("5e-7", 1),
        ("1e3", 1_000_000_000),
        ("9007199254.740992", MOST_CHARGE),
        ("9007199254.7409915", MOST_CHARGE),
        ("9007199254.7409914", MOST_CHARGE - 1),
        ("9007199255", "too large"),
        ("1e300", "too large"),
        ("-0.0000001", "negative"),
        ("€5", "not a number"),
    ],
)
def test_charge(text: str, millionths: int | str) -> None:
    assert fates(parse_charge(pl.Series([text])), 1) == [millionths]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([3, None, -1, 2**40], dtype=pl.Int64),
        pl.Series([3.0, None, -1.0, 2.0**40]),
        pl.Series(["3", None, "-1", str(2**40)]),
    ],
)
def test_typed_columns(column: pl.Series) -> None:
    assert fates(parse_seconds(column), 4) == [3, 0, "negative", "too large"]


def test_floats_are_read_as_they_are_shown() -> None:
    column = pl.Series([0.0000005, 1.0000015, 59.5, float("nan"), float("inf")])
    assert fates(parse_charge(column), 5) == [1, 1_000_002, 59_500_000, "not a number", "not a number"]


def test_unsigned_columns() -> None:
    assert fates(parse_seconds(pl.Series([1, 2**63], dtype=pl.UInt64)), 2) == [1, "too large"]


def test_no_rows() -> None:
    assert fates(parse_seconds(pl.Series([], dtype=pl.String)), 0) == []


number = st.decimals(min_value=-10, max_value=10_000_000, allow_nan=False, places=9).map(str)
half = st.tuples(st.integers(0, 10**10), st.sampled_from(["5", "49999999999", "50000000001"])).map(
    lambda p: f"{p[0] // 10**6}.{p[0] % 10**6:06d}{p[1]}"
)
written = st.none() | number | half | st.integers(-5, 2**40).map(str) | st.text("0123456789.-+e ", max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(written, max_size=8))
def test_as_exact_arithmetic_says(texts: list[str | None]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    for parse, scale, most in ((parse_seconds, 1, MOST_SECONDS), (parse_charge, 10**6, MOST_CHARGE)):
        got, want = fates(parse(column), len(texts)), [exact(t, scale, most) for t in texts]
        assert got == want
