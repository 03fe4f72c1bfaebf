"""Stable 64-bit hashes of whole columns: the same on every machine, in every process and version.

Every value goes through the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
Number Generators", 2014): a bijection of 64 bits in which each input bit changes half of the output bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.cuts import Cut

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2: Final = np.uint64(0x94D049BB133111EB)
_SEED: Final = np.uint64(0x243F6A8885A308D3)  # the first binary digits of pi after the point
_BLOCK: Final = 1 << 14  # rows at a time: the temporaries stay in the processor's cache
_WORD: Final = 8
_TAIL: Final = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], np.uint64)  # keeps the first n bytes


def hash_text(values: pl.Series) -> NDArray[np.uint64]:
    """Hashes of the UTF-8 bytes of text; null hashes like the empty text.

    Per text: start with its length, then take in 8 bytes after 8, little-endian, the last ones filled with
    zeros. Equal texts have equal hashes; of n different ones about n^2 / 2^65 pairs have equal hashes too.

    Args:
        values: a column of strings; other types are hashed as the text that Polars makes of them.

    Returns:
        One hash per row.
    """
    text = values if values.dtype == pl.String else values.cast(pl.String)
    hashes = np.empty(len(text), np.uint64)
    if not len(text):  # Arrow may leave out the buffers of an empty column
        return hashes
    words, offsets = _utf8_words(text.fill_null(""))
    for rows in _blocks(len(text)):
        begins = offsets[rows]
        hashes[rows] = _hash_block(words, begins, offsets[rows.start + 1 : rows.stop + 1] - begins)
    return hashes


def hash_cut(text: Cut) -> NDArray[np.uint64]:
    """`hash_text` of text that still stands in its block."""
    hashes = np.empty(len(text), np.uint64)
    for rows in _blocks(len(text)):
        hashes[rows] = _hash_block(text.words, text.at[rows], text.size[rows])
    return hashes


def hash_columns(*columns: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Hashes of rows of whole numbers, which depend on the order of the columns, not on their integer types.

    Args:
        columns: integer (or bool) arrays of one length; a negative number counts as its two's complement.

    Returns:
        One hash per row.

    Raises:
        TypeError: a column holds no whole numbers.
    """
    for column in columns:
        if column.dtype.kind not in "iub":
            raise TypeError(f"whole numbers expected, not {column.dtype}")
    hashes = np.full(len(columns[0]), _SEED)
    for rows in _blocks(len(hashes)):
        block = hashes[rows]
        for column in columns:
            block ^= column[rows].astype(np.uint64, copy=False)
            _mix(block)
    return hashes


def shard_of(codes: NDArray[np.int64], shards: int) -> NDArray[np.uint8]:
    """The shard of each party code, 0 to ``shards`` - 1.

    Args:
        codes: party codes, see `transforms.schema.RECORDS`.
        shards: how many there are, 1 to 256.

    Raises:
        ValueError: another number of shards.
    """
    if not 1 <= shards <= 256:
        raise ValueError(f"{shards} shards, expected 1 to 256")
    found = np.empty(len(codes), np.uint8)
    for rows in _blocks(len(codes)):
        block = codes[rows].astype(np.uint64)
        block ^= _GOLDEN  # apart from the first step of `hash_columns`
        _mix(block)
        block >>= np.uint64(32)
        block *= np.uint64(shards)
        found[rows] = block >> np.uint64(32)
    return found


def _blocks(size: int) -> Iterator[slice]:
    return (slice(begin, min(begin + _BLOCK, size)) for begin in range(0, size, _BLOCK))


def _mix(block: NDArray[np.uint64]) -> None:
    """SplitMix64's finaliser, in place."""
    block ^= block >> np.uint64(30)
    block *= _MULTIPLY_1
    block ^= block >> np.uint64(27)
    block *= _MULTIPLY_2
    block ^= block >> np.uint64(31)


def _utf8_words(text: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The 8-byte word that begins at each byte of the column, and where each row begins and ends."""
    array = text.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(text) + 1, _WORD * array.offset)
    first, last = int(bounds[0]), int(bounds[-1])
    padded = np.zeros(last - first + _WORD, np.uint8)  # the last word may read past the last byte
    if last > first:
        padded[: last - first] = np.frombuffer(data, np.uint8, last - first, first)
    return np.ndarray((last - first + 1,), "<u8", padded, strides=(1,)), bounds - first


def _hash_block(
    words: NDArray[np.uint64], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    hashes = lengths.astype(np.uint64)
    hashes *= _GOLDEN
    hashes ^= _SEED
    shortest = int(lengths.min())
    for taken in range(0, int(lengths.max()), _WORD):
        rows = slice(None) if taken < shortest else np.flatnonzero(lengths > taken)
        block = hashes[rows]
        word = words[begins[rows] + taken]
        if shortest < taken + _WORD:
            word &= _TAIL[np.minimum(lengths[rows] - taken, _WORD)]
        block ^= word
        _mix(block)
        hashes[rows] = block
    return hashes
