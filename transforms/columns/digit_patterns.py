"""Regular expressions over digits, as numbering plans use them, spelled out as digit strings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Final

DigitString = tuple[int, ...]
"""Per digit a mask of the digits that fit (bit d: d fits); `END` at the end: no further digit may follow."""

DigitStrings = frozenset[DigitString]

END: Final = 0
ANY_DIGIT: Final = (1 << 10) - 1
EMPTY: Final[DigitStrings] = frozenset({()})
"""What matches the empty text only."""


class _Parser:
    """Reads the part of the syntax of regular expressions that numbering plans use.

    That is: digits, ``\\d``, classes, groups, ``|``, ``?``, ``{n}``, ``{n,m}`` and ``$``.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        """Steps over this text if it comes next."""
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def until(self, mark: str) -> str:
        """What stands before the next such mark; steps over both."""
        begin, end = self.at, self.pattern.index(mark, self.at)
        self.at = end + 1
        return self.pattern[begin:end]

    def choice(self) -> DigitStrings:
        found = self.sequence()
        while self.take("|"):
            found |= self.sequence()
        return found

    def sequence(self) -> DigitStrings:
        found = EMPTY
        while self.peek() not in ("", "|", ")"):
            found = _product(found, self.repeated(self.item()))
        return found

    def item(self) -> DigitStrings:
        if self.take("("):
            self.take("?:")
            found = self.choice()
            if not self.take(")"):
                raise ValueError(f"no pattern of digits: {self.pattern!r}")
            return found
        return frozenset({(self.single(),)})

    def single(self) -> int:
        if self.take("\\d"):
            return ANY_DIGIT
        if self.take("$"):
            return END
        if self.take("["):
            return _class_mask(self.until("]"))
        digit = self.peek()
        self.at += 1
        return _class_mask(digit)

    def repeated(self, item: DigitStrings) -> DigitStrings:
        if self.take("?"):
            return item | EMPTY
        if not self.take("{"):
            return item
        low, _, high = self.until("}").partition(",")
        found: DigitStrings = frozenset()
        power = EMPTY
        for times in range(int(high or low) + 1):
            if times >= int(low):
                found |= power
            power = _product(power, item)
        return found


def _product(heads: Iterable[DigitString], tails: Iterable[DigitString]) -> DigitStrings:
    return frozenset(head + tail for head in heads for tail in tails)


def _class_mask(text: str) -> int:
    """The mask of ``2-57``, the inside of a class."""
    mask, at = 0, 0
    while at < len(text):
        low = high = int(text[at])
        if text[at + 1 : at + 2] == "-":
            high = int(text[at + 2])
            at += 2
        at += 1
        mask |= (2 << high) - (1 << low)
    return mask


@cache
def digit_strings(pattern: str) -> DigitStrings:
    """All ways to match a pattern, each as one `DigitString`.

    >>> sorted(digit_strings("1(?:2|[34]\\\\d)?")) == [(2,), (2, 4), (2, 24, 1023)]
    True

    Raises:
        ValueError: the pattern uses what numbering plans do not.
    """
    parser = _Parser(pattern)
    found = parser.choice()
    if parser.at != len(pattern):
        raise ValueError(f"no pattern of digits: {pattern!r}")
    return found


def by_width(strings: Iterable[DigitString]) -> dict[int, DigitStrings]:
    """The strings by their number of digits."""
    found: dict[int, set[DigitString]] = {}
    for string in strings:
        found.setdefault(len(string) - (string[-1:] == (END,)), set()).add(string)
    return {width: frozenset(group) for width, group in found.items()}


def followed_by(heads: Iterable[DigitString], tails: Iterable[DigitString]) -> DigitStrings:
    """Each of the heads with each of the tails after it; one that `END` closes takes the empty tail only."""
    return frozenset(
        head + tail if head[-1:] != (END,) else head[:-1]
        for head in heads
        for tail in tails
        if not tail or head[-1:] != (END,)
    )


def filled(heads: Iterable[DigitString], length: int) -> DigitStrings:
    """The heads with any digits after them, up to this length."""
    groups = [(length - width, group) for width, group in by_width(heads).items() if width <= length]
    return frozenset(s for rest, group in groups for s in followed_by(group, {(ANY_DIGIT,) * rest}))


def variants(strings: Iterable[DigitString]) -> int:
    """How many numbers match, those that match in two ways twice."""
    return sum(math.prod(mask.bit_count() for mask in string if mask != END) for string in strings)
