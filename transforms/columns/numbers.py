"""Party codes: phone numbers as 64-bit integers, everything else as the hash of its text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import phonenumbers
import polars as pl
from numpy.typing import NDArray

from transforms.columns.cut_values import plain_numbers
from transforms.columns.cuts import Cut
from transforms.columns.hashing import hash_text
from transforms.columns.numbering import (
    ASK,
    MOST_DIGITS,
    canonical,
    national_intervals,
    national_number,
    trunk_intervals,
)

_SEPARATORS: Final = (
    r"[\s./()\[\]"
    r"\-\u2010-\u2015\u2212"  # dashes and minus
    r"\u00AD\u200B\u200E\u200F\u202A-\u202E\u2060]+"  # what cannot be seen: soft hyphens, marks of direction
)
"""What may stand between the digits of a number, as a regular expression."""

_INTERNATIONAL: Final = r"^(\+|00[1-9])"
_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_LEAST: Final = np.full(MOST_DIGITS + 3, np.iinfo(np.int64).max)
"""Per length of ``+digits`` the least number with as many digits, if they are 2 to 15."""
_LEAST[3 : MOST_DIGITS + 2] = _POWERS[1:MOST_DIGITS]

_SHORTEST: Final = 3  # digits of a dialled number that may be valid
_CACHED: Final = 1 << 17  # numbers that the library was asked about: some 30 MB


@dataclass(frozen=True)
class Parties:
    """The parties of a column.

    Attributes:
        code: the digits of the E.164 number; for what is no phone number a negative hash of its text; 0 where
            the text is missing or blank.
        text: the text, without surrounding blanks, of those that are no phone numbers, null elsewhere; None
            where there are none.
    """

    code: NDArray[np.int64]
    text: pl.Series | None


def party_codes(text: pl.Series | Cut, default_region: str | None = None) -> Parties:
    """Reads a column of parties.

    * ``+`` or ``00``, then 2 to 15 digits of which the first is not 0, is a phone number, be it valid or not.
      A trunk prefix in it is taken out as the library does (``+44 (0)20 7946 0018``).
    * With a region, what the library takes for a valid number as dialled there is that number.
    * All else stays itself.

    Blanks, dashes, dots, slashes and brackets in a number count for nothing.

    Args:
        text: the parties as they are written; null where there is none.
        default_region: region (ISO 3166) of numbers without ``+``; None: they stay themselves.

    Raises:
        ValueError: there is no such region.
    """
    codes = plain_numbers(text) if isinstance(text, Cut) else _plain(text.cast(pl.String))
    rows = np.flatnonzero(codes == 0)
    if not len(rows):
        _remove_trunk(codes)
        return Parties(codes, None)
    written = text.take(rows).texts() if isinstance(text, Cut) else text.gather(rows).cast(pl.String)
    odd = written.str.strip_chars()
    digits = odd.str.replace_all(_SEPARATORS, "")
    codes[rows] = _plain(digits)
    _remove_trunk(codes)
    if default_region is not None:
        found = codes[rows]
        _read_national(found, odd, digits, default_region.upper())
        codes[rows] = found
    return _with_names(codes, rows, odd)


def party_texts(codes: NDArray[np.int64], text: pl.Series | None) -> pl.Series:
    """Back to text: ``+digits`` of numbers, the text itself of the others, null where there is none.

    Args:
        codes: party codes.
        text: `Parties.text` of the same parties; None where all are numbers.
    """
    code = pl.Series("code", codes)
    names = pl.lit(None, pl.String) if text is None else text
    numbers = pl.concat_str(pl.lit("+"), code.cast(pl.String))
    return pl.select(pl.when(code > 0).then(numbers).when(code < 0).then(names).alias("party")).to_series()


def mask(text: str) -> str:
    """A party as it may stand in messages: ``+1202•••0123``; of short ones less is shown, at most a half.

    >>> mask("+12025550123"), mask("alice"), mask("100")
    ('+1202•••0123', 'a•••e', '•••')
    """
    head, tail = (5, 4) if len(text) >= 12 else (len(text) // 4, len(text) // 4)
    return f"{text[:head]}•••{text[len(text) - tail :]}"


def _plain(text: pl.Series) -> NDArray[np.int64]:
    """The digits of what is written ``+digits`` or ``00digits`` and nothing else; 0 elsewhere."""
    digits = text.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    plus = text.str.starts_with("+").fill_null(value=False).to_numpy()
    zeros = text.str.starts_with("00").fill_null(value=False).to_numpy()
    widths = text.str.len_bytes().fill_null(0).to_numpy() - zeros  # as if it were written with a +
    plain = digits >= _LEAST[np.minimum(widths, len(_LEAST) - 1)]
    return np.where(plain & (plus | zeros), digits, 0)


def _remove_trunk(codes: NDArray[np.int64]) -> None:
    """Takes trunk prefixes out of international numbers, in place."""
    found = trunk_intervals().find(codes)
    rows = np.flatnonzero(found)
    if not len(rows):
        return
    old, how = codes[rows], found[rows]
    national, kept = _POWERS[how >> 4], _POWERS[how & 15]
    codes[rows] = old // national * kept + old % kept
    asked = rows[how == ASK]
    distinct, which = np.unique(old[how == ASK], return_inverse=True)
    codes[asked] = np.array([_canonical(code) for code in distinct.tolist()], np.int64)[which]


def _read_national(codes: NDArray[np.int64], odd: pl.Series, digits: pl.Series, region: str) -> None:
    """Reads the odd texts that are no international numbers as dialled in a region.

    Args:
        codes: their codes, set in place.
        odd: the texts.
        digits: the texts without separators.
        region: where they were dialled.
    """
    abroad = digits.str.contains(_INTERNATIONAL).fill_null(value=True).to_numpy()
    rows = np.flatnonzero((codes == 0) & ~abroad)
    odd, digits = odd.gather(rows), digits.gather(rows)
    keys = ("1" + digits).cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    kept = national_intervals(region).find(keys)
    powers = _POWERS[np.maximum(kept, 0)]
    numbers = phonenumbers.country_code_for_region(region) * powers + keys % powers
    codes[rows] = np.where(kept > 0, numbers, 0)
    # Other characters are for the library too, and more digits: a prefix for calls abroad may be among them.
    asked = np.flatnonzero((kept == ASK) | (keys == 0) | (keys >= 10 ** (MOST_DIGITS + 1)))
    if len(asked):
        is_digits = pl.Series(keys[asked] > 0)
        texts = pl.select(pl.when(is_digits).then(digits.gather(asked)).otherwise(odd.gather(asked)))
        codes[rows[asked]] = _ask(texts.to_series(), region)


def _ask(texts: pl.Series, region: str) -> NDArray[np.int64]:
    """What the library says about texts dialled in a region; 0 for what is no valid number."""
    enough = texts.str.count_matches(r"\d") >= _SHORTEST
    distinct = texts.filter(enough).unique()
    numbers = [_dialled(text, region) for text in distinct.to_list()]
    return texts.replace_strict(distinct, numbers, default=0, return_dtype=pl.Int64).to_numpy()


@lru_cache(_CACHED)
def _canonical(code: int) -> int:
    return int(canonical(str(code)))


@lru_cache(_CACHED)
def _dialled(text: str, region: str) -> int:
    return int(national_number(text, region) or 0)


def _with_names(codes: NDArray[np.int64], odd_rows: NDArray[np.int64], odd: pl.Series) -> Parties:
    """Gives those that are still without a code the hash of their text, unless that is blank."""
    named = (codes[odd_rows] == 0) & (odd != "").fill_null(value=False).to_numpy()
    if not named.any():
        return Parties(codes, None)
    hashes = (hash_text(odd.filter(named)) >> np.uint64(1)).astype(np.int64)
    codes[odd_rows[named]] = -np.maximum(hashes, 1)
    place = np.zeros(len(codes), np.int64)
    place[odd_rows] = np.arange(len(odd_rows))
    names = pl.select(pl.when(pl.Series(codes) < 0).then(pl.Series(place))).to_series()
    return Parties(codes, odd.gather(names).alias("text"))
