"""Start times: instants in UTC and the offset of their local time, from ISO 8601 text or typed columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.cut_values import stamps_in_utc
from transforms.columns.cuts import Cut

_LAYOUT: Final = "%Y-%m-%dT%H:%M:%S"
_BASE_LENGTH: Final = 19


@dataclass(frozen=True)
class Stamps:
    """Instants in microseconds since 1970 UTC and seconds of their local time ahead of UTC.

    Rows of ``empty`` and ``bad`` hold zeros.
    """

    utc: NDArray[np.int64]
    offset: NDArray[np.int32]
    empty: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def parse_stamps(column: pl.Series | Cut, timezone: str) -> Stamps:
    """Reads a column of start times.

    Args:
        column: ISO 8601 text; or Datetime without a zone (local in ``timezone``); or Datetime in UTC (an
            epoch: its local time is that of ``timezone``).
        timezone: zone of what carries none.
    """
    if isinstance(column, Cut):
        return _cut(column, timezone)
    if isinstance(column.dtype, pl.Datetime):
        return _typed(column.dt.cast_time_unit("us"), timezone)
    text = column if column.dtype == pl.String else column.cast(pl.String)
    lengths = text.str.len_bytes()
    if (
        len(text)
        and text.null_count() == 0
        and (lengths == _BASE_LENGTH + 1).all()
        and text.str.ends_with("Z").all()
    ):
        fast = text.str.to_datetime(_LAYOUT + "Z", time_unit="us", strict=False)
        if fast.null_count() == 0:
            nothing = np.zeros(len(text), np.bool_)
            return Stamps(fast.to_physical().to_numpy(), np.zeros(len(text), np.int32), nothing, nothing)
    return _texts(text, timezone)


def _cut(column: Cut, timezone: str) -> Stamps:
    """The usual layout by words of bytes, the rest as text."""
    utc, odd = stamps_in_utc(column)
    offset = np.zeros(len(utc), np.int32)
    nothing = np.zeros(len(utc), np.bool_)
    rows = np.flatnonzero(odd)
    if not len(rows):
        return Stamps(utc, offset, nothing, nothing)
    rest = _texts(column.take(rows).texts(), timezone)
    empty, bad = nothing, nothing.copy()
    for whole, part in ((utc, rest.utc), (offset, rest.offset), (empty, rest.empty), (bad, rest.bad)):
        whole[rows] = part
    return Stamps(utc, offset, empty, bad)


def _texts(text: pl.Series, timezone: str) -> Stamps:
    """Any mixture of layouts: the common ones by column, the rest one by one."""
    text = text.str.strip_chars()
    n = len(text)
    empty = (text.is_null() | (text == "")).to_numpy()
    utc, offset, done = np.zeros(n, np.int64), np.zeros(n, np.int32), empty.copy()
    base = _base_times(text)
    tail = text.str.slice(_BASE_LENGTH).fill_null("?")
    for tail_text in tail.unique().to_list() if tail.n_unique() <= 200 else []:
        seconds = _tail_offset(tail_text)
        rows = (tail == tail_text).to_numpy() & ~done & base.is_not_null().to_numpy()
        if tail_text == "" and rows.any():
            local = _typed(base.filter(pl.Series(rows)), timezone)
            utc[rows], offset[rows], done[rows] = local.utc, local.offset, True
        elif seconds is not None and rows.any():
            utc[rows] = base.filter(pl.Series(rows)).to_physical().to_numpy() - seconds * 1_000_000
            offset[rows], done[rows] = seconds, True
    bad = np.zeros(n, np.bool_)
    for row in np.flatnonzero(~done):
        one = _one(text[int(row)], timezone)
        bad[row] = one is None
        utc[row], offset[row] = one or (0, 0)
    return Stamps(utc, offset, empty, bad)


def _base_times(text: pl.Series) -> pl.Series:
    """The first 19 characters as a local time, null where they are no ``YYYY-MM-DDTHH:MM:SS``."""
    base = text.str.slice(0, _BASE_LENGTH)
    spaced = base.str.slice(10, 1) == " "
    if spaced.any():
        base = pl.select(
            pl.when(spaced).then(base.str.slice(0, 10) + "T" + base.str.slice(11)).otherwise(base)
        ).to_series()
    return base.str.to_datetime(_LAYOUT, time_unit="us", strict=False)


def _tail_offset(tail: str) -> int | None:
    """Seconds ahead of UTC of ``Z``, ``+02:00``, ``+0200`` or ``+02``; None for anything else."""
    if tail in ("Z", "z"):
        return 0
    digits = tail[1:].replace(":", "")
    if tail[:1] not in ("+", "-") or not (digits.isascii() and digits.isdigit()) or len(digits) not in (2, 4):
        return None
    if ":" in tail and tail[3:4] != ":":
        return None
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 3600 + minutes * 60) * (-1 if tail[0] == "-" else 1)


@lru_cache(maxsize=1 << 16)
def _one(text: str, timezone: str) -> tuple[int, int] | None:
    """(microseconds UTC, offset) of one ISO 8601 text; None where it is none."""
    if len(text) < len("20260101"):
        return None
    try:
        stamp = datetime.fromisoformat(text)
        if stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=ZoneInfo(timezone))
        shift = stamp.utcoffset()
        instant = stamp.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds
    return micros, int(shift.total_seconds()) if shift is not None else 0


def _typed(column: pl.Series, timezone: str) -> Stamps:
    """Typed stamps: in UTC where the column has a zone, else local in ``timezone``."""
    empty = column.is_null().to_numpy()
    filled = column.fill_null(datetime(1970, 1, 1, tzinfo=UTC if column.dtype.time_zone else None))  # type: ignore[attr-defined]
    if filled.dtype.time_zone is None:  # type: ignore[attr-defined]
        local = filled.to_physical().to_numpy()
        if timezone == "UTC":
            offset = np.zeros(len(local), np.int64)
        else:
            offset = local - _to_utc(filled, timezone)
        utc = local - offset
    else:
        utc = filled.dt.convert_time_zone("UTC").to_physical().to_numpy()
        local = filled.dt.convert_time_zone(timezone).dt.replace_time_zone(None).to_physical().to_numpy()
        offset = local - utc
    utc = np.where(empty, 0, utc)
    return Stamps(
        utc, (np.where(empty, 0, offset) // 1_000_000).astype(np.int32), empty, np.zeros(len(utc), np.bool_)
    )


def _to_utc(local: pl.Series, timezone: str) -> NDArray[np.int64]:
    """UTC of local times: of an hour that comes twice the first, of one that never comes as if the clock had
    not been put forward (what Python's ``fold=0`` means)."""
    zoned = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    utc = zoned.dt.convert_time_zone("UTC").to_physical()
    gaps = np.flatnonzero(utc.is_null().to_numpy())
    values = utc.fill_null(0).to_numpy().copy()
    for row in gaps:
        one = _one(local[int(row)].isoformat(), timezone)
        values[row] = one[0] if one else 0
    return values
