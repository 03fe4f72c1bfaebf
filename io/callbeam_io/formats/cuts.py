"""Blocks of regular lines as places: where each field stands, none of its text taken out.

Most files hold nothing but plain ASCII lines with the same number of fields and no quotes. Of those the
cleaner reads numbers and times straight from the block, which saves more than half of the reader's time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from callbeam_io.formats.layout import Layout
from callbeam_io.formats.lines import NEWLINE, views
from callbeam_io.formats.mapping import Column, Source

CUTS: Final = "cuts"
"""As in `transforms.columns.cuts`, which reads it."""

SPARE: Final = 32
"""Bytes to have after the lines, as there."""

_PIECE: Final = 1 << 18  # bytes looked at together: they stay in the processor's cache
_LOW: Final = ord("+")  # of the bytes below it only the line's end is regular


def cut_lines(data: NDArray[np.uint8], layout: Layout) -> pa.RecordBatch | None:
    """A block of whole lines as a batch with the columns ``raw`` and `CUTS`.

    Args:
        data: the lines, without a header; `SPARE` zeros before and after them.
        layout: how they are read.

    Returns:
        One row for each line; None where the lines are not all regular, or the fields not plain columns.
    """
    slots = plain_columns(layout)
    if not slots or len(data) <= 2 * SPARE or data[-SPARE - 1] != NEWLINE:
        return None
    ends = _field_ends(data, layout)
    if ends is None:
        return None
    begins = np.empty((layout.most + 1, len(ends)), np.int64)  # of each field, and of the next line
    np.add(ends.T, 1, out=begins[1:])
    begins[0, 0] = SPARE
    begins[0, 1:] = begins[-1, :-1]
    places = {name: (begins[k], begins[k + 1] - begins[k] - 1) for name, k in slots.items()}
    raw = views(data, begins[0], begins[-1] - 1)
    return pa.RecordBatch.from_arrays([raw, _structs(places)], ["raw", CUTS])


def plain_columns(layout: Layout) -> dict[str, int]:
    """Per record field the position of its column, if every field is a column as it stands; else nothing."""
    mapping = layout.mapping
    if mapping.lines != "csv" or mapping.encoding != "utf-8" or layout.least > layout.most:
        return {}
    if mapping.strip or mapping.percent or mapping.only is not None or mapping.direction is not None:
        return {}
    found = {}
    for field, sources in mapping.fields.items():
        column = sources[0].columns[0] if len(sources) == 1 and sources[0].columns else None
        if column is None or sources[0] != Source(columns=(column,)):
            return {}
        found[field] = _place(column, layout)
    return {} if -1 in found.values() else found


def _place(column: Column, layout: Layout) -> int:
    if isinstance(column, int):
        return column - 1
    return layout.header.index(column.lower()) if column.lower() in layout.header else -1


def _field_ends(data: NDArray[np.uint8], layout: Layout) -> NDArray[np.int64] | None:
    """Where each field ends, lines x fields; None where a line is not regular."""
    separator, quote = ord(layout.mapping.separator), ord(layout.mapping.quote or "\0")
    found, lines = [], 0
    for start in range(SPARE, len(data) - SPARE, _PIECE):
        piece = data[start : min(start + _PIECE, len(data) - SPARE)]
        ends = piece == NEWLINE
        count = int(np.count_nonzero(ends))
        if not _is_plain(piece, count, quote):
            return None
        ends |= piece == separator
        places = np.flatnonzero(ends)
        places += start
        found.append(places)
        lines += count
    if sum(map(len, found)) != lines * layout.most:
        return None
    table = np.concatenate(found).reshape(lines, layout.most)
    return table if (data[table[:, -1]] == NEWLINE).all() else None


def _is_plain(piece: NDArray[np.uint8], newlines: int, quote: int) -> bool:
    """Nothing but ASCII, no NUL, no quote, no carriage return."""
    if piece.max() >= 0x80:
        return False
    if quote < _LOW and int(np.count_nonzero(piece < _LOW)) == newlines:
        return True
    return not any((piece == byte).any() for byte in (0, ord("\r"), quote))


def _structs(places: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]) -> pa.StructArray:
    pairs = [
        pa.StructArray.from_arrays([pa.array(a), pa.array(s)], ["at", "size"]) for a, s in places.values()
    ]
    return pa.StructArray.from_arrays(pairs, list(places))
