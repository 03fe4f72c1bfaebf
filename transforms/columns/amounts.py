"""Durations and charges: exact whole numbers from text or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

MICRO: Final = 1_000_000
_MAX_SECONDS: Final = 2**31 - 1
_MAX_CHARGE: Final = 2**53  # millionths: the largest sums stay exact in 64 bits and in a double


@dataclass(frozen=True)
class Amounts:
    """Whole numbers, 0 where the text is empty or bad; ``faults`` maps a reason to a mask of rows."""

    value: NDArray[np.int64]
    faults: dict[str, NDArray[np.bool_]]


def parse_seconds(column: pl.Series) -> Amounts:
    """Durations in whole seconds, rounded half up; empty is 0. Not longer than 2^31 - 1."""
    return _parse(column, 1, _MAX_SECONDS)


def parse_charge(column: pl.Series) -> Amounts:
    """Charges in millionths, rounded half up; empty is 0. Not more than 2^53 millionths."""
    return _parse(column, MICRO, _MAX_CHARGE)


def _parse(column: pl.Series, scale: int, most: int) -> Amounts:
    empty = column.is_null().to_numpy()
    if column.dtype.is_integer():
        return _checked(
            column.cast(pl.Float64).fill_null(0).to_numpy() * scale, empty, ~empty, scale, most, column
        )
    if column.dtype == pl.String:
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() == column.null_count():
            return _parse(whole, scale, most)
        column = column.str.strip_chars()
        empty |= (column == "").fill_null(value=False).to_numpy()
    numbers = column.cast(pl.Float64, strict=False)
    read = numbers.is_finite().fill_null(value=False).to_numpy()
    return _checked(numbers.fill_null(0).to_numpy() * scale, empty, read, scale, most, column)


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
    close = np.abs(floats - np.floor(floats) - 0.5) < 1e-3
    value = value.astype(np.int64)
    doubtful = np.flatnonzero(close | (floats > 2**50))
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
