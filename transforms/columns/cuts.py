"""Text that was not taken out of its block of bytes, and numbers read from there eight digits at a time.

The tricks with words of eight bytes are those of Lemire, "Quickly parsing eight digits" (2018), on columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""Eight bytes of text each, the first one in the lowest place."""

CUTS: Final = "cuts"
"""Column of a parsed batch in place of text columns: per field a struct of ``at`` and ``size``, the place of
its text in the block that the column ``raw`` (binary_view, in one block) stands in. All text there is ASCII."""

SPARE: Final = 32
"""Bytes that a block has before its first text and after its last one."""

WORD: Final = 8
_INLINE: Final = 12  # the longest text that Arrow's view holds in itself
_ONES: Final = np.uint64(0x0101_0101_0101_0101)
_HIGH: Final = np.uint64(0x8080_8080_8080_8080)
_OVER_9: Final = np.uint64(0x7676_7676_7676_7676)  # added to a byte above 9 it sets the highest bit
ZEROS: Final = np.uint64(0x3030_3030_3030_3030)
_EVEN_BYTES: Final = np.uint64(0x00FF_00FF_00FF_00FF)
_EVEN_PAIRS: Final = np.uint64(0x0000_FFFF_0000_FFFF)


@dataclass(frozen=True)
class Cut:
    """A column of ASCII text as places in a block of bytes.

    Attributes:
        data: the block, with `SPARE` bytes before the first text and after the last one.
        at: where each text begins.
        size: its bytes; 0 where it is missing.
    """

    data: NDArray[np.uint8]
    at: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at)

    @cached_property
    def words(self) -> Words:
        """The word that begins at each byte of the block; overlapping, not copied."""
        return np.ndarray((len(self.data) - WORD + 1,), "<u8", self.data, strides=(1,))

    def head(self, skip: int = 0) -> Words:
        """The eight bytes from ``skip`` bytes after each text's begin on, whatever stands there."""
        return self.words[self.at + skip]

    def tail(self, back: int = WORD) -> Words:
        """The eight bytes that begin ``back`` bytes (at most 16) before each text's end, whatever stands there."""
        places = self.at + self.size
        places -= back
        return self.words[places]

    def take(self, rows: NDArray[np.int64]) -> Cut:
        """Some of the texts, over the same block."""
        return Cut(self.data, self.at[rows], self.size[rows])

    def texts(self) -> pl.Series:
        """The texts as a column, null where there is none."""
        if not len(self):
            return pl.Series([], dtype=pl.String)
        views = np.zeros((len(self), 2), np.uint64)
        first, short = self.head(), self.size <= _INLINE
        kept = np.where(short, first_bytes(first, self.size), first)
        views[:, 0] = self.size.view(np.uint64) | kept << np.uint64(32)
        rest = first_bytes(self.head(4), np.maximum(self.size - 4, 0))
        views[:, 1] = np.where(short, rest, self.at.view(np.uint64) << np.uint64(32))
        buffers = [_bits(self.size > 0), pa.py_buffer(views), pa.py_buffer(self.data)]
        array = pa.Array.from_buffers(pa.string_view(), len(self), buffers)
        return pl.Series(pl.from_arrow(array), dtype=pl.String)


def cuts_of(batch: pa.RecordBatch) -> dict[str, Cut] | None:
    """The fields of a parsed batch that has the column `CUTS`; None where it has text."""
    if CUTS not in batch.schema.names:
        return None
    column = batch.column(CUTS)
    data = np.frombuffer(batch.column("raw").buffers()[2], np.uint8)
    found = {}
    for field in column.type:
        at, size = (column.field(field.name).field(k).to_numpy() for k in (0, 1))
        found[field.name] = Cut(data, at, size)
    return found


def first_bytes(words: Words, count: NDArray[np.int64]) -> Words:
    """The first bytes of words, all eight where ``count`` is more; zeros in place of the others."""
    beyond = np.maximum(WORD - count, 0).view(np.uint64)
    beyond <<= np.uint64(3)
    kept = words << beyond
    kept >>= beyond
    return kept


def last_bytes(words: Words, count: NDArray[np.int64]) -> Words:
    """The last bytes of words, all eight where ``count`` is more; zeros in place of the others."""
    before = np.maximum(WORD - count, 0).view(np.uint64)
    before <<= np.uint64(3)
    kept = words >> before
    kept <<= before
    return kept


def no_digits(digits: Words) -> NDArray[np.bool_]:
    """Which words hold a byte that is not 0 to 9."""
    over = digits + _OVER_9
    over |= digits
    over &= _HIGH
    return over != 0


def number_of(digits: Words) -> NDArray[np.int64]:
    """The number that eight bytes of 0 to 9 spell."""
    number = digits * np.uint64(2561)  # 10 and 1: pairs
    number >>= np.uint64(8)
    number &= _EVEN_BYTES
    number *= np.uint64(6553601)  # 100 and 1: fours
    number >>= np.uint64(16)
    number &= _EVEN_PAIRS
    number *= np.uint64(42949672960001)  # 10,000 and 1
    number >>= np.uint64(32)
    return number.view(np.int64)


def lowest_match(words: Words, byte: int) -> Words:
    """The highest bit of the first byte that equals ``byte``; 0 where none does."""
    other = words ^ np.uint64(byte) * _ONES
    found = other - _ONES
    found &= ~other
    found &= _HIGH
    found &= ~found + np.uint64(1)
    return found


def word_of(text: str) -> np.uint64:
    """Eight or fewer characters as a word, zeros after them."""
    return np.uint64(int.from_bytes(text.encode()[:WORD], "little"))


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer | None:
    return None if flags.all() else pa.py_buffer(np.packbits(flags, bitorder="little"))
