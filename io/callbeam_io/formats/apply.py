"""From a table of a source's text to parsed batches: fields, typed times, faults."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from callbeam_io.formats import stamps
from callbeam_io.formats.base import Table
from callbeam_io.formats.mapping import FILE, Column, Direction, Mapping, Only, Source
from transforms.schema import RECORD_FIELDS

_DIVISORS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}
_HMS: Final = r"^(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$"
_ESCAPES: Final = {f"%{i:02X}": chr(i) for i in range(0x20, 0x7F)}
_ALL_ESCAPES: Final = {**_ESCAPES, **{old.lower(): new for old, new in _ESCAPES.items()}}
_PARTIES: Final = ("calling_number", "called_number")


@dataclass
class _Work:
    """One table on its way: the source's columns, and tests to run once the fields are made.

    ``tests`` says of which text a field was made, and what is wrong where there is a text but no field.
    """

    frame: pl.DataFrame
    mapping: Mapping
    file: str
    tests: list[tuple[str, pl.Expr, str]] = field(default_factory=list)


def to_batch(table: Table, mapping: Mapping, file: str) -> tuple[pa.RecordBatch, Table]:
    """Makes the parsed batch of a table.

    Args:
        table: text of the source's columns, named as `slot` says.
        mapping: which of them is which field.
        file: the file's name, for ``$file``.

    Returns:
        The batch (columns of `RECORD_FIELDS`, ``raw`` as binary_view, ``bad_field`` and ``bad_reason`` where
        something is wrong) and the table's rows that it was made of.
    """
    if mapping.strip or mapping.percent:
        table = Table(_tidied(table.frame, mapping), table.lines, table.index, table.faults)
    if mapping.only is not None:
        table = table.filter(_kept(table, mapping.only))
    work = _Work(table.frame, mapping, file)
    made = table.frame.select(_field(name, work) for name in RECORD_FIELDS if name in mapping.fields)
    faults = _faults(table, made, work)
    if mapping.direction is not None:
        made = _turned(made, table.frame, mapping.direction)
    batch = as_batch(made.hstack(faults)).append_column("raw", table.lines.raw())
    return batch, table


def slot(column: Column) -> str:
    """The name of a source's column in a table."""
    return f"#{column}" if isinstance(column, int) else column


def as_batch(frame: pl.DataFrame) -> pa.RecordBatch:
    """A frame as one record batch, texts as string_view, not copied."""
    arrow = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.newest()).combine_chunks()
    batches = arrow.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=arrow.schema)


def _tidied(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Blanks round texts removed, percent escapes undone, empty texts as null."""
    every = pl.all()
    if mapping.percent:
        every = every.str.replace_many(_ALL_ESCAPES)
    if mapping.strip:
        every = every.str.strip_chars()
    return frame.select(every).select(pl.when(pl.all() != "").then(pl.all()))


def _lower(column: Column) -> pl.Expr:
    return pl.col(slot(column)).str.to_lowercase().fill_null("")


def _kept(table: Table, only: Only) -> NDArray[np.bool_]:
    """Records to keep; those of a wrong shape stay, to be told of."""
    keep: NDArray[np.bool_] = (
        table.frame.select(_lower(only.column).is_in(only.values)).to_series().to_numpy()
    )
    return keep if table.faults is None else keep | table.faults.is_not_null().to_numpy()


def _field(name: str, work: _Work) -> pl.Expr:
    alternatives = [_source(name, source, work) for source in work.mapping.fields[name]]
    value = alternatives[0] if len(alternatives) == 1 else pl.coalesce(alternatives)
    return value.alias(name)


def _source(name: str, source: Source, work: _Work) -> pl.Expr:
    """One alternative of a field."""
    if source.constant is not None:
        return pl.lit(source.constant)
    text = _text(source, work.file)
    if name == "start_time":
        local = None if source.local is None else pl.col(slot(source.local))
        work.tests.append((name, text, stamps.expectation(source)))
        return stamps.stamp(text, source, local)
    if name == "duration" and (source.unit or source.format):
        work.tests.append((name, text, "not a time of the form h:m:s" if source.format else "not a number"))
        return _seconds(text, source)
    return text


def _text(source: Source, file: str) -> pl.Expr:
    """The text that a source gives, before it becomes a time or a number."""
    text = _joined(source, file)
    if source.match is not None:
        text = text.str.extract(source.match, min(1, re.compile(source.match).groups))
    if source.values or source.other is not None:
        text = _mapped(text, source)
    if source.prefix:
        text = pl.lit(source.prefix) + text
    if source.comma:
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return text


def _joined(source: Source, file: str) -> pl.Expr:
    parts = [pl.lit(file) if c == FILE else pl.col(slot(c)) for c in source.columns]
    if len(parts) == 1:
        return parts[0]
    text = pl.concat_str(parts, separator=source.join, ignore_nulls=True)
    return pl.when(pl.any_horizontal(part.is_not_null() for part in parts)).then(text)


def _mapped(text: pl.Expr, source: Source) -> pl.Expr:
    """Words by the source's list; those not listed stay or become the one word for all others."""
    old, new = [pair[0] for pair in source.values], [pair[1] for pair in source.values]
    rest = text if source.other is None else pl.lit(source.other)
    if not old:
        return rest
    key = text.str.to_lowercase().fill_null("")
    known = key.replace_strict(old, new, default=None, return_dtype=pl.String)
    return pl.when(key.is_in(old)).then(known).otherwise(rest)


def _seconds(text: pl.Expr, source: Source) -> pl.Expr:
    """Durations in seconds from another unit or from ``h:m:s`` (``m:s``)."""
    if source.format is None:
        return text.cast(pl.Float64, strict=False) * _DIVISORS[str(source.unit)]
    hours, minutes, seconds = (text.str.extract(_HMS, k).cast(pl.Float64, strict=False) for k in (1, 2, 3))
    return hours.fill_null(0) * 3600 + minutes * 60 + seconds


def _faults(table: Table, made: pl.DataFrame, work: _Work) -> list[pl.Series]:
    """``bad_field`` and ``bad_reason`` of the records; nothing where all are good.

    The first fault of a record counts, that of its shape before all others.
    """
    found: list[tuple[pl.Series, str, str]] = []
    way = work.mapping.direction
    if way is not None and way.outgoing is not None:
        known = table.frame.select(_lower(way.column).is_in([*way.incoming, *way.outgoing])).to_series()
        found.append((~known, "", f"{way.column} is neither {way.incoming[0]} nor {way.outgoing[0]}"))
    for name, text, reason in work.tests:
        if made[name].null_count():
            given = table.frame.select(text.is_not_null()).to_series()
            found.append((given & made[name].is_null(), name, reason))
    names = pl.Series("bad_field", [""]).new_from_index(0, made.height)
    reasons = _no_text(made.height) if table.faults is None else table.faults
    for rows, name, reason in found:
        fresh = rows & reasons.is_null()
        if fresh.any():
            names = names.zip_with(~fresh, pl.Series([name]).new_from_index(0, len(names)))
            reasons = reasons.zip_with(~fresh, pl.Series([reason]).new_from_index(0, len(names)))
    if reasons.null_count() == len(reasons):
        return []
    none = _no_text(len(names))
    return [names.zip_with(reasons.is_not_null(), none).alias("bad_field"), reasons.alias("bad_reason")]


def _no_text(size: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, size)


def _turned(made: pl.DataFrame, frame: pl.DataFrame, way: Direction) -> pl.DataFrame:
    """Parties of incoming records change places."""
    swap = frame.select(_lower(way.column).is_in(way.incoming)).to_series()
    caller, called = (made[name] for name in _PARTIES)
    return made.with_columns(
        caller.zip_with(~swap, called).alias(_PARTIES[0]), called.zip_with(~swap, caller).alias(_PARTIES[1])
    )
