"""Durations and charges: exact whole numbers from text or numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.cut_values import millionths, whole_numbers
from transforms.columns.cuts import Cut

MICRO: Final = 1_000_000
_MAX_SECONDS: Final = 2**31 - 1
_MAX_CHARGE: Final = 2**53  # millionths: the largest sums stay exact in 64 bits and in a double

_EXACT: Final = 2**50
_NEAR: Final = 1e-3
_SAMPLE: Final = 64


@dataclass(frozen=True)
class Amounts:
    """Whole numbers, 0 where the text is empty or bad; ``faults`` maps a reason to a mask of rows."""

    value: NDArray[np.int64]
    faults: dict[str, NDArray[np.bool_]]


def parse_seconds(column: pl.Series | Cut) -> Amounts:
    """Durations in whole seconds, rounded half up; empty is 0. Not longer than 2^31 - 1."""
    if isinstance(column, Cut):
        return _with_odd(column, *whole_numbers(column), parse_seconds)
    return _parse(column, 1, _MAX_SECONDS)


def parse_charge(column: pl.Series | Cut) -> Amounts:
    """Charges in millionths, rounded half up; empty is 0. Not more than 2^53 millionths."""
    if isinstance(column, Cut):
        return _with_odd(column, *millionths(column), parse_charge)
    return _parse(column, MICRO, _MAX_CHARGE)


def _with_odd(
    column: Cut, value: NDArray[np.int64], odd: NDArray[np.bool_], parse: Callable[[pl.Series], Amounts]
) -> Amounts:
    """Values in the usual spelling, and those of the odd rows, read as text."""
    rows = np.flatnonzero(odd)
    if not len(rows):
        return Amounts(value, {})
    rest = parse(column.take(rows).texts())
    value[rows] = rest.value
    faults = {reason: np.zeros(len(value), np.bool_) for reason in rest.faults}
    for reason, bad in rest.faults.items():
        faults[reason][rows] = bad
    return Amounts(value, faults)


def _parse(column: pl.Series, scale: int, most: int) -> Amounts:
    numbers = _all_numbers(column)
    if numbers is not None:
        value = _all_clear(numbers.fill_null(0).to_numpy() * scale, most)
        if value is not None:
            return Amounts(value, {})
    empty = column.is_null().to_numpy()
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        empty |= (column == "").fill_null(value=False).to_numpy()
    numbers = column.cast(pl.Float64, strict=False)
    read = numbers.is_finite().fill_null(value=False).to_numpy()
    if column.dtype == pl.String:  # digits of a number that is beyond a double: too large, or negative
        beyond = numbers.is_infinite() & column.str.contains(r"\d")
        read = read | beyond.fill_null(value=False).to_numpy()
    return _checked(numbers.fill_null(0).to_numpy() * scale, empty, read, scale, most, column)


def _all_numbers(column: pl.Series) -> pl.Series | None:
    """The column as doubles, from whole numbers where possible, which is faster; None if some text is none."""
    if column.dtype == pl.String and _is_whole(column.head(_SAMPLE)):
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() == column.null_count():
            return whole.cast(pl.Float64)
    numbers = column.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else None


def _is_whole(column: pl.Series) -> bool:
    return column.cast(pl.Int64, strict=False).null_count() == column.null_count()


def _all_clear(scaled: NDArray[np.float64], most: int) -> NDArray[np.int64] | None:
    """Rounds, if all are finite, not below 0, not too large and clear of a half (see `_checked`)."""
    if not len(scaled) or not (scaled.min() >= 0 and scaled.max() <= min(most, _EXACT)):
        return None
    value = np.rint(scaled)
    if np.abs(scaled - value).max() > 0.5 - _NEAR:
        return None
    return value.astype(np.int64)


def _checked(
    scaled: NDArray[np.float64],
    empty: NDArray[np.bool_],
    read: NDArray[np.bool_],
    scale: int,
    most: int,
    column: pl.Series,
) -> Amounts:
    """Rounds what is clear of a half, works the rest out exactly, and names the faults."""
    usable = read & ~empty & (scaled <= most)
    floats = np.where(usable & (scaled > -1), scaled, 0.0)
    value = np.floor(floats + 0.5)
    # A double holds a number of up to nine digits before the point to about 1e-7 of a unit in `scaled`.
    close = np.abs(floats - np.floor(floats) - 0.5) < _NEAR
    value = value.astype(np.int64)
    doubtful = np.flatnonzero(close | (floats > _EXACT))
    if len(doubtful):
        value[doubtful] = [_exact(v, scale) for v in column.gather(doubtful).to_list()]
    faults = {
        "not a number": ~read & ~empty,
        "negative": read & (scaled < 0),
        "too large": read & (scaled > most),
    }
    return Amounts(value, {reason: rows for reason, rows in faults.items() if rows.any()})


def _exact(value: object, scale: int) -> int:
    """Half up in decimal arithmetic, of the text as it stands."""
    number = Decimal(str(value))
    with localcontext(prec=len(number.as_tuple().digits) + 20):
        return int((number * scale).to_integral_value(ROUND_HALF_UP))
