"""Patterns of digits, written out: every number of one length that a numbering plan's pattern matches.

The patterns of ``phonenumbers`` use a small part of regular expressions: digits, ``\\d``, classes, groups,
``|`` and the quantifiers ``?``, ``{n}`` and ``{n,m}``. Such a pattern is a finite union of products of digit
sets, and everything in a product matches by construction: no number has to be tried.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Product = tuple[str, ...]
"""One digit set a place: ``("2", "0", "1346789")`` stands for 201, 203, …"""

ANY: Final = "0123456789"


def products(pattern: str, length: int) -> list[Product]:
    """The products of a pattern's numbers that are `length` digits long.

    >>> products(r"2(?:0[13]|1)\\d?", 3)
    [('2', '0', '13'), ('2', '1', '0123456789')]

    Raises:
        ValueError: something in the pattern that is not of the small part.
    """
    reader = _Reader(pattern, length)
    found = reader.alternatives()
    if reader.at < len(pattern):
        raise ValueError(f"unexpected {pattern[reader.at]!r} at {reader.at} of the digit pattern {pattern}")
    return [p for p in found if len(p) == length]


class _Reader:
    """Recursive descent over one pattern; products longer than `most` are dropped on the way."""

    def __init__(self, pattern: str, most: int) -> None:
        self.text, self.most, self.at = pattern, most, 0

    def alternatives(self) -> list[Product]:
        found = self.sequence()
        while self.take("|"):
            found += self.sequence()
        return found

    def sequence(self) -> list[Product]:
        found: list[Product] = [()]
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            atom = self.atom()
            least, most = self.quantifier()
            repeats = self.join([()], [atom] * least)
            longer = repeats
            for _ in range(most - least):
                longer = self.join(longer, [atom])
                repeats = repeats + longer
            found = self.join(found, [repeats])
        return found

    def join(self, heads: list[Product], tails: Iterable[list[Product]]) -> list[Product]:
        for tail in tails:
            heads = [h + t for h in heads for t in tail if len(h) + len(t) <= self.most]
        return heads

    def atom(self) -> list[Product]:
        if self.take("(?:") or self.take("("):
            inner = self.alternatives()
            self.must(")")
            return inner
        if self.take("\\d"):
            return [(ANY,)]
        if self.take("["):
            return [(self.members(),)]
        digit = self.text[self.at]
        if digit not in ANY:
            raise ValueError(f"unexpected {digit!r} at {self.at} of the digit pattern {self.text}")
        self.at += 1
        return [(digit,)]

    def members(self) -> str:
        end = self.text.index("]", self.at)
        inside, self.at = self.text[self.at : end], end + 1
        digits = inside.replace("\\d", "0-9")
        while "-" in digits:
            i = digits.index("-")
            digits = digits[: i - 1] + ANY[int(digits[i - 1]) : int(digits[i + 1]) + 1] + digits[i + 2 :]
        return digits

    def quantifier(self) -> tuple[int, int]:
        if self.take("?"):
            return 0, 1
        if not self.take("{"):
            return 1, 1
        end = self.text.index("}", self.at)
        least, comma, most = self.text[self.at : end].partition(",")
        self.at = end + 1
        return int(least), int(most) if comma else int(least)

    def take(self, what: str) -> bool:
        if not self.text.startswith(what, self.at):
            return False
        self.at += len(what)
        return True

    def must(self, what: str) -> None:
        if not self.take(what):
            raise ValueError(f"expected {what!r} at {self.at} of the digit pattern {self.text}")
