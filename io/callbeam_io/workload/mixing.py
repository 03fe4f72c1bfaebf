"""Deterministic scatter without state: hashes and bijections over whole arrays.

The generator has to answer "what did this person do" and "what happened in this hour" without making
everything else first. Hashes (Sebastiano Vigna's public-domain splitmix64 finalizer) choose by index, and
keyed bijections on [0, n) deal n cards so that any hand can be looked at alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
_GOLDEN: Final = 0x9E3779B97F4A7C15
_M1: Final = 0xBF58476D1CE4E5B9
_M2: Final = 0x94D049BB133111EB
_ALL: Final = (1 << 64) - 1


def key_of(*parts: int) -> int:
    """One 64-bit key from whole numbers (a seed, a purpose, a period, …)."""
    key = 0
    for part in parts:
        key = int(mix(np.array([part & _ALL], dtype=np.uint64), key)[0])
    return key


def mix(values: npt.NDArray[np.integer], key: int) -> U64:
    """A 64-bit hash of each value under a key: uint64, same shape, every bit as good as the next."""
    x = values.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(_odd(key))
    x ^= x >> np.uint64(30)
    x *= np.uint64(_M1)
    x ^= x >> np.uint64(27)
    x *= np.uint64(_M2)
    x ^= x >> np.uint64(31)
    return x


def unit(hashes: U64) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permute(values: I64, size: int | I64, key: int) -> I64:
    """A keyed bijection on [0, size): where each value goes.

    Args:
        values: int64, 0 <= value < size.
        size: of the domain, one for all or one per value.
        key: other keys give other bijections.

    Each round is a bijection on the next power of two (add, xor-shift, odd multiply); values that fall
    outside go round again until they are inside (cycle walking), less than twice on average.
    """
    sizes = np.broadcast_to(np.asarray(size, dtype=np.int64), values.shape)
    out = values.copy()
    todo = np.arange(len(values))
    x, bits = values.astype(np.uint64), _bits(sizes)
    while len(todo):
        x = _round(x, bits, key)
        inside = x < sizes[todo].astype(np.uint64)
        out[todo[inside]] = x[inside]
        outside = ~inside
        todo, x, bits = todo[outside], x[outside], bits[outside]
    return out


def deal(weights: I64, total: int) -> I64:
    """`total` things dealt by weights (int64; evenly where all are 0): whole numbers that sum to total.

    >>> deal(np.array([1, 1, 2]), 6).tolist()
    [2, 1, 3]
    """
    if len(weights) == 0:
        return weights
    ends = np.cumsum(weights if weights.any() else np.ones_like(weights))
    shares = np.rint(ends * (total / ends[-1])).astype(np.int64)
    shares[ends == ends[-1]] = total
    dealt: I64 = np.diff(shares, prepend=0)
    return dealt


def _round(x: U64, bits: U64, key: int) -> U64:
    mask = (np.uint64(1) << bits) - np.uint64(1)
    shift = np.maximum(bits >> np.uint64(1), np.uint64(1))
    for step in range(3):
        x = (x + np.uint64(_key_parts(key)[step])) & mask
        x ^= x >> shift
        x = (x * np.uint64((_M1, _M2, _GOLDEN)[step])) & mask
        x ^= x >> shift
    return x


def _key_parts(key: int) -> tuple[int, int, int]:
    """Three 64-bit numbers out of one key."""
    return (key & _ALL, (key * _M1) & _ALL, (key * _M2 + _GOLDEN) & _ALL)


def _bits(sizes: I64) -> U64:
    """Bits that numbers below each size take, at least 1; exact up to 2**52."""
    return np.maximum(np.frexp((sizes - 1).astype(np.float64))[1], 1).astype(np.uint64)


def _odd(key: int) -> int:
    return (key * 2 + 1) & _ALL
