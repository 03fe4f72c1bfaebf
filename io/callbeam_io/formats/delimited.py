"""Lines of separated fields to tables of text: fast where all lines are regular, exact where some are not.

A line is a record: a quoted field may hold separators and doubled quotes, but no line ends.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from callbeam_io.formats.base import BOM, Table, quoting
from callbeam_io.formats.lines import SPOILT, Lines, split_lines, spoilt_lines
from callbeam_io.formats.survey import survey

_OPEN: Final = "a quote is not closed on its line"
_UNSPLIT: Final = "cannot be split into fields"


@dataclass(frozen=True)
class Shape:
    """How lines are split.

    Attributes:
        separator: between fields.
        quote: round fields; None: quotes are text like any other.
        least: fewest fields of a good line.
        most: most fields of a good line.
        slots: positions (from 0) of the fields that are used, with the names they get.
    """

    separator: str
    quote: str | None
    least: int
    most: int
    slots: tuple[tuple[int, str], ...]

    @property
    def schema(self) -> dict[str, type[pl.String]]:
        """The table's columns."""
        return {name: pl.String for _, name in self.slots}


def read_delimited(data: bytes, shape: Shape) -> Table:
    """Splits a block of lines into columns of text.

    Args:
        data: whole lines, without a header.
        shape: how to split.

    Returns:
        One record per line that is not empty, in order; lines of another shape as faults. What stands in the
        columns of a faulty record means nothing.
    """
    lines = split_lines(data)
    if not lines.count:
        return Table(pl.DataFrame(schema=shape.schema), lines)
    if shape.quote is not None and shape.quote.encode() not in data:
        shape = replace(shape, quote=None)
    spoilt = spoilt_lines(lines)
    frame = None
    if spoilt is None and shape.quote is None and not data.startswith(BOM):  # which Polars would swallow
        frame = _all_at_once(lines, shape)
        if frame is not None and not frame[f"c{shape.least - 1}"].null_count():
            return Table(_named(frame, shape), lines)
    return _careful(lines, shape, spoilt, frame)


def _all_at_once(lines: Lines, shape: Shape) -> pl.DataFrame | None:
    """Every field of all lines; None where a line has too many, or the first one too few.

    Polars refuses lines with too many fields when every field is read, and leaves the last ones empty of
    lines with too few: where the last needed field is never empty, all lines are whole.
    """
    try:
        frame = _read(lines.data, shape)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == lines.count else None


def _read(data: bytes, shape: Shape) -> pl.DataFrame:
    schema = {f"c{i}": pl.String for i in range(shape.most)}
    return pl.read_csv(
        data, has_header=False, schema=schema, separator=shape.separator, quote_char=shape.quote
    )


def _named(frame: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    return frame.select(pl.col(f"c{i}").alias(name) for i, name in shape.slots)


def _careful(
    lines: Lines, shape: Shape, spoilt: NDArray[np.bool_] | None, read: pl.DataFrame | None
) -> Table:
    """Regular lines together (as they were read, if they were), lines with odd quotes one by one."""
    found = survey(lines, shape.separator, shape.quote)
    blank = lines.starts == lines.ends
    wrong = ~blank & ((found.fields < shape.least) | (found.fields > shape.most))
    odd = found.odd & ~blank
    faults: list[str | None] = [None] * lines.count
    for row in np.flatnonzero(wrong & ~odd):
        faults[row] = _expected(shape, int(found.fields[row]))
    frame = None if read is None else _named(read, shape)
    if frame is None and not odd.all():
        frame = _aligned(lines, shape, ~odd, lossy=spoilt is not None)
    if frame is None:
        odd = ~blank
    if frame is None or odd.any():
        singles = _one_by_one(lines, shape, np.flatnonzero(odd), faults)
        frame = _merged(frame, singles, odd, blank)
    for row in np.flatnonzero(spoilt) if spoilt is not None else ():
        faults[row] = SPOILT
    told = pl.Series(faults, dtype=pl.String)
    table = Table(frame, lines, None, told if told.null_count() < lines.count else None)
    return table.filter(~blank)


def _aligned(lines: Lines, shape: Shape, rows: NDArray[np.bool_], *, lossy: bool) -> pl.DataFrame | None:
    """A row for each of these lines, whatever its number of fields; None where Polars sees other lines."""
    # The first line tells Polars how many fields there are, so put one there that has them all.
    full = (shape.separator.join("x" * shape.most) + "\n").encode()
    used = sorted({i for i, _ in shape.slots})
    try:
        frame = pl.read_csv(
            full + lines.joined(rows),
            has_header=False,
            schema={f"c{i}": pl.String for i in range(shape.most)},
            columns=used,
            separator=shape.separator,
            quote_char=shape.quote,
            truncate_ragged_lines=True,
            encoding="utf8-lossy" if lossy else "utf8",
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != np.count_nonzero(rows) + 1:
        return None
    named = _named(frame.slice(1), shape)
    return named if shape.quote is None else named.select(pl.when(pl.all() != "").then(pl.all()))


def _one_by_one(
    lines: Lines, shape: Shape, rows: NDArray[np.int64], faults: list[str | None]
) -> pl.DataFrame:
    """Lines with quotes in odd places, split by the rules of Python's csv module."""
    found: list[list[str | None]] = []
    for row in rows:
        fields, faults[row] = _split(lines.line(int(row)).decode("utf-8", "replace"), shape)
        found.append([fields[i] or None if i < len(fields) else None for i, _ in shape.slots])
    return pl.DataFrame(found, schema=shape.schema, orient="row")


def _split(text: str, shape: Shape) -> tuple[list[str], str | None]:
    """The fields of a line, or none and what is wrong."""
    reader = csv.reader([text, ""], delimiter=shape.separator, **quoting(shape.quote))  # type: ignore[arg-type]
    try:
        fields = next(reader)
    except csv.Error:
        return [], _UNSPLIT
    if reader.line_num > 1:
        return [], _OPEN
    if not shape.least <= len(fields) <= shape.most:
        return [], _expected(shape, len(fields))
    return fields, None


def _expected(shape: Shape, found: int) -> str:
    """What is wrong with a number of fields; one optional field at the end goes without saying."""
    span = f"{shape.least} to {shape.most}" if shape.most > shape.least + 1 else str(shape.least)
    return f"expected {span} fields, found {found}"


def _merged(
    regular: pl.DataFrame | None, singles: pl.DataFrame, odd: NDArray[np.bool_], blank: NDArray[np.bool_]
) -> pl.DataFrame:
    """Regular and single lines in the order of the block; without regular ones, blank lines as empty rows."""
    rest = singles.clear(int(np.count_nonzero(blank))) if regular is None else regular
    places = np.concatenate([np.flatnonzero(~odd), np.flatnonzero(odd)])
    return pl.concat([rest, singles])[np.argsort(places)]
