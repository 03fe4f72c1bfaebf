"""Start times of all formats as columns.

What comes out is what the cleaner takes: ISO 8601 text; Datetime without a zone = local time of
``--timezone``; Datetime in UTC = an instant, its local time that of ``--timezone``. A time whose own zone
or offset is known becomes text with that offset, for hours and weekdays are those of the record.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from callbeam_io.formats.mapping import Source

_MICROS: Final = {"s": 1_000_000.0, "ms": 1000.0, "us": 1.0, "ns": 0.001}
_LAST: Final = 253_402_300_800 * 1_000_000  # the year 10000
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.f"
_OFFSET: Final = r"([+-])(0\d|1[0-4]):?([0-5]\d)(?:\D|$)"
_GAP: Final = "-3h"  # far enough back to be before any change of the clocks, and after the one before it
_QUARTER: Final = 15 * 60 * 1_000_000
_FARTHEST: Final = 14 * 4 * _QUARTER


def stamp(text: pl.Expr, source: Source, local: pl.Expr | None = None) -> pl.Expr:
    """The start time, null where the text is none.

    Args:
        text: the source's text.
        source: how to read it.
        local: text of the local time of the same moment, if the source has it.
    """
    if source.unit is not None:
        return _from_number(text, source, local)
    if source.format in (None, "iso"):
        return text if source.zone is None else _iso_in_zone(text, source.zone)
    layout = str(source.format)
    parsed = parse_pattern(text, layout)
    if "%z" in layout:
        return _with_offset(parsed, text)
    return parsed if source.zone is None else in_zone(parsed, source.zone)


def expectation(source: Source) -> str:
    """What a text that is no time should have been, for the reject's reason."""
    if source.unit is not None:
        return f"not a number of {source.unit} since {source.origin or '1970'}"
    return f"not a time of the form {source.format or 'ISO 8601'}"


def parse_pattern(text: pl.Expr, layout: str) -> pl.Expr:
    """Local time by a strptime pattern, null where the text does not fit.

    A weekday at the beginning is not read: the date says it. ``%d`` takes a blank before one digit. With
    ``%z`` the result is still the local time of that offset.
    """
    text, layout = text.str.strip_chars(), layout.strip()
    if layout.startswith(("%a ", "%A ")):
        text, layout = text.str.replace(r"^\S+\s+", ""), layout[3:]
    layout = layout.replace(".%f", "%.f")
    zoned = "%z" in layout
    if not any(d in layout for d in ("%H", "%I")):
        text, layout = text + pl.lit(" 00:00"), layout + " %H:%M"
    parsed = text.str.to_datetime(
        layout, time_unit="us", time_zone="UTC" if zoned else None, strict=False, exact=True
    )
    if not zoned:
        return parsed
    return parsed.dt.replace_time_zone(None) + pl.duration(minutes=_minutes(text))


def in_zone(local: pl.Expr, zone: str) -> pl.Expr:
    """ISO text of local times with their offset in a zone.

    Of an hour that comes twice it is the first; an hour that never comes counts as if the clock had not
    been put forward (Python's ``fold=0``).
    """

    def zoned(naive: pl.Expr) -> pl.Expr:
        return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")

    before = zoned(local.dt.offset_by(_GAP)).dt.to_string("%:z")
    whole = zoned(local).dt.to_string(_ISO + "%:z")
    return pl.coalesce(whole, pl.concat_str(local.dt.to_string(_ISO), before))


def _iso_in_zone(text: pl.Expr, zone: str) -> pl.Expr:
    """ISO text where it has an offset, else with the zone's."""
    naive = text.str.replace("T", " ", literal=True).str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False
    )
    return pl.coalesce(in_zone(naive, zone), text)


def _minutes(text: pl.Expr) -> pl.Expr:
    """Minutes ahead of UTC, of the offset that stands in the text; 0 where it says ``Z``."""
    part = [text.str.extract(_OFFSET, k) for k in (1, 2, 3)]
    minutes = part[1].cast(pl.Int32) * 60 + part[2].cast(pl.Int32)
    return pl.when(part[0] == "-").then(-minutes).otherwise(minutes).fill_null(0)


def _with_offset(local: pl.Expr, text: pl.Expr) -> pl.Expr:
    return pl.concat_str(local.dt.to_string(_ISO), _offset_text(_minutes(text)))


def _offset_text(minutes: pl.Expr) -> pl.Expr:
    """``+05:30`` of 330."""
    sign = pl.when(minutes < 0).then(pl.lit("-")).otherwise(pl.lit("+"))
    clock = [part.cast(pl.String).str.zfill(2) for part in (minutes.abs() // 60, minutes.abs() % 60)]
    return pl.concat_str(sign, clock[0], pl.lit(":"), clock[1])


def _from_number(text: pl.Expr, source: Source, local: pl.Expr | None) -> pl.Expr:
    """Numbers since 1970 or since the source's origin."""
    micros = _micros(text, str(source.unit))
    if source.origin is not None:
        return _since(micros, datetime.fromisoformat(source.origin), source.zone)
    instant = micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if source.zone is not None:
        return instant.dt.convert_time_zone(source.zone).dt.to_string(_ISO + "%:z")
    return instant if local is None else _beside_local(micros, local)


def _micros(text: pl.Expr, unit: str) -> pl.Expr:
    """Microseconds, exact for whole numbers; null for what is no number or beyond the year 9999."""
    whole = text.cast(pl.Int64, strict=False)
    scale = _MICROS[unit]
    exact = whole * int(scale) if scale >= 1 else whole // 1000
    inside = whole.abs() < int(_LAST / scale)
    rough = text.cast(pl.Float64, strict=False) * scale
    read = pl.when(rough.abs() < _LAST).then(rough).round().cast(pl.Int64, strict=False)
    return pl.when(inside).then(exact).when(whole.is_null()).then(read)


def _since(micros: pl.Expr, origin: datetime, zone: str | None) -> pl.Expr:
    """Moments counted from an origin, in the origin's offset or the zone's."""
    start = origin.replace(tzinfo=None)
    local = pl.lit(start, dtype=pl.Datetime("us")) + micros.cast(pl.Duration("us"))
    shift = origin.utcoffset()
    if shift is None:
        return local if zone is None else in_zone(local, zone)
    if zone is not None:
        instant = (local - pl.lit(shift)).dt.replace_time_zone("UTC")
        return instant.dt.convert_time_zone(zone).dt.to_string(_ISO + "%:z")
    offset = _offset_text(pl.lit(shift // timedelta(minutes=1), dtype=pl.Int32))
    return pl.concat_str(local.dt.to_string(_ISO), offset)


def _beside_local(micros: pl.Expr, local: pl.Expr) -> pl.Expr:
    """Instants with the offset that their local stamps tell; in UTC where they tell none."""
    shown = local.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).cast(pl.Int64)
    ahead = ((shown - micros) / _QUARTER).round().cast(pl.Int64) * _QUARTER
    ahead = pl.when(ahead.abs() <= _FARTHEST).then(ahead).fill_null(0)
    stamps = (micros + ahead).cast(pl.Datetime("us")).dt.to_string(_ISO)
    return pl.concat_str(stamps, _offset_text(ahead // 60_000_000))
