"""Digit patterns: the same matches as Python's regular expressions."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_numbers import digits_of, plans

from transforms.columns.digit_patterns import (
    ANY_DIGIT,
    EMPTY,
    END,
    DigitString,
    by_width,
    digit_strings,
    filled,
    followed_by,
    variants,
)
from transforms.columns.numbering import _DESCRIPTIONS

DIGIT = st.sampled_from(["0", "1", "7", "\\d", "[02-5]", "[1-9]", "[68]"])
PATTERN = st.recursive(
    DIGIT,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda ab: f"(?:{ab[0]}|{ab[1]})"),
        inner.map(lambda a: f"({a})?"),
        inner.map(lambda a: f"(?:{a}){{2}}"),
        inner.map(lambda a: f"(?:{a}){{1,3}}"),
    ),
    max_leaves=6,
)
NUMBER = st.text("0123456789", max_size=6)


def fits(string: DigitString, number: str) -> bool:
    masks = string[:-1] if string[-1:] == (END,) else string
    return len(masks) == len(number) and all(m >> int(d) & 1 for m, d in zip(masks, number, strict=True))


def some(string: DigitString, draw: random.Random) -> str:
    """A number that matches a digit string."""
    return "".join(
        draw.choice([d for d in "0123456789" if mask >> int(d) & 1]) for mask in string if mask != END
    )


@given(PATTERN, NUMBER)
def test_matches_like_a_regular_expression(pattern: str, number: str) -> None:
    assert any(fits(s, number) for s in digit_strings(pattern)) == bool(re.fullmatch(pattern, number))


@given(PATTERN, NUMBER)
def test_filled_matches_beginnings(pattern: str, number: str) -> None:
    found = any(fits(s, number) for s in filled(digit_strings(pattern), len(number)))
    assert found == bool(re.fullmatch(f"(?:{pattern})\\d*", number))


def test_an_end_in_a_pattern() -> None:
    strings = digit_strings("(1\\d)$|0")
    assert strings == {(2, ANY_DIGIT, END), (1,)}
    assert filled(strings, 2) == {(2, ANY_DIGIT), (1, ANY_DIGIT)}
    assert filled(strings, 3) == {(1, ANY_DIGIT, ANY_DIGIT)}
    assert set(by_width(strings)) == {1, 2}
    assert variants(strings) == 11
    assert followed_by(strings, digit_strings("9")) == {(1, 1 << 9)}
    assert followed_by(strings, EMPTY) == {(2, ANY_DIGIT), (1,)}


@pytest.mark.parametrize("pattern", ["1+", "1*", "a", "(1", "1)", "[a]", "(?=1)2", ".", "\\w", "[^1]", "1{"])
def test_other_syntax_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        digit_strings(pattern)


def test_every_pattern_of_the_library_is_read_rightly() -> None:
    draw = random.Random(11)
    for _, _, plan in plans():
        descriptions = [getattr(plan, name) for name in _DESCRIPTIONS]
        for pattern in {d.national_number_pattern for d in descriptions if d and d.national_number_pattern}:
            strings = digit_strings(pattern)
            for string in draw.sample(sorted(strings), min(3, len(strings))):
                number = some(string, draw)
                near = number[:-1] + digits_of(draw, draw.randint(0, 2))
                assert re.fullmatch(pattern, number)
                assert any(fits(s, near) for s in strings) == bool(re.fullmatch(pattern, near))


def test_of_several_trunk_prefixes_the_library_takes_the_longest() -> None:
    draw = random.Random(12)
    for _, _, plan in plans():
        for string in digit_strings(plan.national_prefix_for_parsing or ""):
            prefix = some(string, draw)
            found = re.match(plan.national_prefix_for_parsing or "", prefix)
            assert found is not None
            assert found.end() == len(prefix)
