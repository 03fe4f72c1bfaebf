"""Counts the fields of every line, and finds quotes in odd places, without splitting any line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbeam_io.formats.lines import NEWLINE, Lines


@dataclass(frozen=True)
class Survey:
    """What was counted on each line.

    Attributes:
        fields: number of fields; of an odd line any number.
        odd: the line's quotes do not all open after a separator and close before one: it needs the rules of
            Python's csv module.
    """

    fields: NDArray[np.int64]
    odd: NDArray[np.bool_]


def survey(lines: Lines, separator: str, quote: str | None) -> Survey:
    """Surveys a block of lines by its separators, quotes and line ends alone."""
    array = lines.array
    hit = array == ord(separator)
    hit |= array == NEWLINE
    if quote is not None:
        hit |= array == ord(quote)
    marks = np.flatnonzero(hit)
    kinds = array[marks]
    ends = np.flatnonzero(kinds == NEWLINE)  # which marks end the lines
    if len(ends) < lines.count:
        ends = np.append(ends, len(marks))
    if quote is None:
        return Survey(np.diff(ends, prepend=-1), np.zeros(lines.count, np.bool_))
    return _with_quotes(lines, marks, kinds, ends, ord(separator), ord(quote))


def _with_quotes(
    lines: Lines,
    marks: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    ends: NDArray[np.int64],
    separator: int,
    quote: int,
) -> Survey:
    quotes = kinds == quote
    seen = np.cumsum(quotes, dtype=np.int32)
    upto = np.append(seen, seen[-1:])[ends]
    odd = (np.diff(upto, prepend=0) & 1).astype(np.bool_)
    if odd.any():
        before = np.concatenate([[0], upto[:-1]])
        sizes = np.diff(np.minimum(ends + 1, len(marks)), prepend=0)
        seen = seen - np.repeat(before, sizes)
    inside = (seen & 1).astype(np.bool_)  # of a quote: it opens; of a separator: it is quoted
    outer = np.cumsum((kinds == separator) & ~inside, dtype=np.int32)
    fields = np.diff(np.append(outer, outer[-1:])[ends], prepend=0) + 1
    beside = np.diff(marks) == 1  # whether the next mark stands right behind
    edge_before = np.concatenate([marks[:1] == 0, beside])
    edge_after = np.concatenate([beside, marks[-1:] == len(lines.data) - 1])
    wrong = quotes & np.where(inside, ~edge_before, ~edge_after)
    places = marks[wrong]
    rows = np.searchsorted(lines.starts, places, "right") - 1
    last = ~inside[wrong] & (places + 1 == lines.ends[rows])  # before the CR of a line end
    odd[rows[~last]] = True
    return Survey(fields.astype(np.int64), odd)
