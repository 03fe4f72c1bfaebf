"""Bytes to lines, by column: where each line begins and ends, and its bytes without a copy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NEWLINE: Final = 10
RETURN: Final = 13
SPOILT: Final = "not UTF-8 text"
_INLINE: Final = 12  # longest value that Arrow's binary view holds in the view itself


@dataclass(frozen=True)
class Lines:
    """Lines of a block of bytes.

    Attributes:
        data: the block; every line but the last ends in ``\\n`` or ``\\r\\n``. At most 2 GiB.
        starts: position of the first byte of each line.
        ends: position after the last byte of each line, its line end left out.
    """

    data: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self.starts)

    @cached_property
    def array(self) -> NDArray[np.uint8]:
        """The block as numbers, not copied."""
        return np.frombuffer(self.data, np.uint8)

    def line(self, row: int) -> bytes:
        """One line without its line end."""
        return self.data[self.starts[row] : self.ends[row]]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Lines:
        """Some of the lines, over the same block."""
        return Lines(self.data, self.starts[rows], self.ends[rows])

    def joined(self, rows: NDArray[np.bool_]) -> bytes:
        """The lines of a mask (one flag for each line of the whole block) with their line ends."""
        if rows.all():
            return self.data
        sizes = np.diff(np.append(self.starts, len(self.data)))
        return self.array[np.repeat(rows, sizes)].tobytes()

    def raw(self) -> pa.Array:
        """The lines as an Arrow binary_view over the block."""
        return views(self.array, self.starts, self.ends)


def views(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> pa.Array:
    """Parts of a block as an Arrow binary_view over it."""
    found = np.empty((len(starts), 4), np.int32)
    sizes = ends - starts
    found[:, 0] = sizes
    found[:, 1] = 0
    found[:, 2] = 0
    found[:, 3] = starts
    if len(data) >= 4:
        words = np.ndarray((len(data) - 3,), "<i4", data, strides=(1,))
        found[:, 1] = words[np.minimum(starts, len(words) - 1)]
    short = np.flatnonzero(sizes <= _INLINE)
    if len(short):
        found[short, 1:] = _inline(data, starts[short], ends[short])
    return pa.Array.from_buffers(
        pa.binary_view(), len(starts), [None, pa.py_buffer(found), pa.py_buffer(data)]
    )


def _inline(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int32]:
    """The bytes of short parts, padded with zeros, as three words each."""
    places = starts[:, None] + np.arange(_INLINE)
    held = places < ends[:, None]
    padded = np.append(data, np.uint8(0))
    return np.where(held, padded[np.where(held, places, -1)], np.uint8(0)).view("<i4")


def split_lines(data: bytes) -> Lines:
    """Splits a block at ``\\n`` and ``\\r\\n``; what follows the last one is a line if it is not empty."""
    array = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(array == NEWLINE)
    if len(data) and (not len(breaks) or breaks[-1] != len(data) - 1):
        breaks = np.append(breaks, len(data))
    starts = np.empty_like(breaks)
    starts[:1] = 0
    np.add(breaks[:-1], 1, out=starts[1:])
    returns = array[breaks - 1] == RETURN if len(data) > 1 else np.zeros(len(breaks), np.bool_)
    ends = breaks - (returns & (breaks > starts)) if returns.any() else breaks
    return Lines(data, starts, ends)


def spoilt_lines(lines: Lines) -> NDArray[np.bool_] | None:
    """Marks lines that are no UTF-8 text or hold a NUL (which no store takes); None where all are fine."""
    if b"\0" in lines.data:
        return _bad_lines(lines)
    if lines.data.isascii():
        return None
    try:
        lines.data.decode()
    except UnicodeDecodeError:
        return _bad_lines(lines)
    return None


def _bad_lines(lines: Lines) -> NDArray[np.bool_]:
    bad = np.zeros(lines.count, np.bool_)
    bad[_rows_of(lines, lines.array == 0)] = True
    for row in _rows_of(lines, lines.array >= 0x80):
        try:
            lines.line(row).decode()
        except UnicodeDecodeError:
            bad[row] = True
    return bad


def _rows_of(lines: Lines, bytes_: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The lines that marked bytes stand on."""
    return np.unique(np.searchsorted(lines.starts, np.flatnonzero(bytes_), "right") - 1)
