"""Numbers, times, amounts and words of a record, read from `Cut` columns: the usual spelling only.

Each function says in which rows it was not met; those are few, and read again as text by the functions that
know every spelling (`numbers`, `stamps`, `amounts`).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from transforms.columns.cuts import (
    WORD,
    ZEROS,
    Cut,
    Words,
    first_bytes,
    last_bytes,
    lowest_match,
    no_digits,
    number_of,
    word_of,
)

Odd = NDArray[np.bool_]

_PLUS: Final = np.uint64(ord("+") ^ ord("0"))
_SHORTEST: Final = 10  # of a number with its +: the second of two words is full, the first is begun
_LONGEST: Final = 16
_MICRO_DIGITS: Final = 6
_DOT: Final = ord(".") ^ ord("0")
_POWERS: Final = 10 ** np.arange(_MICRO_DIGITS + 1, dtype=np.int64)
_BYTE: Final = np.uint64(0xFF)

_DATE, _HOURS, _SECONDS = (word_of(text) for text in ("0000-00-", "00T00:00", "0:00:00Z"))
_DATE_MARKS, _HOURS_MARKS, _SECONDS_MARKS = (
    np.uint64(sum(0xFF << 8 * k for k in places)) for places in ((4, 7), (2, 5), (1, 4, 7))
)
_STAMP: Final = 20
_FIRST_YEAR: Final = 1970
_MONTHS: Final = [(y, m) for y in range(_FIRST_YEAR, 2100) for m in range(1, 13)]
_MONTH_BEGINS: Final = np.array([date(y, m, 1).toordinal() - 719163 for y, m in _MONTHS], np.int64)
_MONTH_DAYS: Final = np.array([monthrange(y, m)[1] for y, m in _MONTHS], np.int64)


def plain_numbers(cut: Cut) -> NDArray[np.int64]:
    """The digits of what is written ``+`` and 9 to 15 digits, the first not 0; 0 elsewhere."""
    low = cut.tail() ^ ZEROS
    before = (_LONGEST - cut.size).view(np.uint64)
    before <<= np.uint64(3)
    high = cut.tail(2 * WORD)
    high ^= ZEROS
    high >>= before  # what a shift of more than a word leaves is 0
    high ^= _PLUS
    bad = no_digits(low)
    bad |= (high & _BYTE) != 0
    bad |= (high & np.uint64(0xFF00)) == 0
    bad |= no_digits(high)
    high <<= before
    bad |= (cut.size < _SHORTEST) | (cut.size > _LONGEST)
    number = number_of(high)
    number *= 10**WORD
    number += number_of(low)
    number[bad] = 0
    return number


def stamps_in_utc(cut: Cut) -> tuple[NDArray[np.int64], Odd]:
    """Microseconds since 1970 of ``YYYY-MM-DDTHH:MM:SSZ`` of the years 1970 to 2099, and which rows are not."""
    first, second, third = cut.head() ^ _DATE, cut.head(8) ^ _HOURS, cut.head(12) ^ _SECONDS
    odd = cut.size != _STAMP
    for word, marks in ((first, _DATE_MARKS), (second, _HOURS_MARKS), (third, _SECONDS_MARKS)):
        odd |= no_digits(word)
        odd |= (word & marks) != 0
    days, wrong = _days(_pairs(first), _pairs(second))
    odd |= wrong
    clock = _pairs(second)
    hour, minute, second_ = _byte(clock, 3), _byte(clock, 6), _byte(_pairs(third), 5)
    odd |= (hour > 23) | (minute > 59) | (second_ > 59)
    days *= 24
    days += hour
    days *= 60
    days += minute
    days *= 60
    days += second_
    days *= 1_000_000
    return days, odd


def _pairs(digits: Words) -> Words:
    """In each byte the number of two digits that begins there."""
    pairs = digits * np.uint64(10)
    pairs += digits >> np.uint64(8)
    return pairs


def _byte(words: Words, place: int) -> NDArray[np.int64]:
    return ((words >> np.uint64(8 * place)) & _BYTE).view(np.int64)


def _days(dates: Words, clocks: Words) -> tuple[NDArray[np.int64], Odd]:
    """Days since 1970, and which are none."""
    month = _byte(dates, 0) * 100
    month += _byte(dates, 2)
    month -= _FIRST_YEAR
    month *= 12
    number = _byte(dates, 5)
    month += number
    month -= 1
    wrong = (number < 1) | (number > 12) | (month < 0) | (month >= len(_MONTHS))
    day = _byte(clocks, 0)
    if len(month) and (month == month[0]).all() and not wrong[0]:  # in a file in order of time
        begin, days = _MONTH_BEGINS[month[0]], _MONTH_DAYS[month[0]]
    else:
        month[wrong] = 0
        begin, days = _MONTH_BEGINS[month], _MONTH_DAYS[month]
    wrong |= (day < 1) | (day > days)
    return day + (begin - 1), wrong


def whole_numbers(cut: Cut) -> tuple[NDArray[np.int64], Odd]:
    """Numbers of at most eight digits and nothing else, 0 where there is no text; and which rows are none."""
    digits = last_bytes(cut.tail() ^ ZEROS, cut.size)
    odd = no_digits(digits)
    odd |= cut.size > WORD
    return number_of(digits), odd


def millionths(cut: Cut) -> tuple[NDArray[np.int64], Odd]:
    """Decimals of at most eight characters times a million, 0 where there is no text; and which rows are none.

    The point, if there is one, has a digit before it and one to six after it.
    """
    text = last_bytes(cut.tail() ^ ZEROS, cut.size)
    point = lowest_match(text, _DOT)
    after = ~((point << np.uint64(1)) - np.uint64(1))
    before = (point >> np.uint64(7)) - np.uint64(1)
    decimals = (np.bitwise_count(after) >> 3).astype(np.int64)
    whole = (np.bitwise_count(before) >> 3).astype(np.int64)  # bytes before the point; 8 where there is none
    pointed = point != 0
    digits = (text & before) << (pointed.astype(np.uint64) << np.uint64(3))
    digits |= text & after
    odd = no_digits(digits)
    odd |= (cut.size > WORD) | (decimals > _MICRO_DIGITS)
    odd |= pointed & ((decimals == 0) | (whole <= WORD - cut.size))
    number = number_of(digits)
    number *= _POWERS[np.maximum(_MICRO_DIGITS - decimals, 0)]
    return number, odd


def word_positions(cut: Cut, words: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The position in a list of each text, 0 where it is not listed; and which ones are, in just this case."""
    text = first_bytes(cut.head(), cut.size)
    position = np.zeros(len(cut), np.uint8)
    known = np.zeros(len(cut), np.bool_)
    for number, word in enumerate(words):
        rows = text == word_of(word)
        rows &= cut.size == len(word)
        if len(word) > WORD and rows.any():
            near = np.flatnonzero(rows)
            rest = cut.take(near).head(len(word) - WORD)
            rows[near] = rest == word_of(word[-WORD:])
        known |= rows
        if number:
            position[rows] = number
    return position, known
