"""Step functions, and the steps of patterns against trying every number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.digit_patterns import digit_strings
from transforms.columns.intervals import IntervalMap, Partition

PATTERNS = ["[2-9]\\d{3}", "1(?:2|[34]\\d)\\d", "99\\d{1,2}", "(?:[13]5|80){2}", "\\d0\\d7", "12345"]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(PATTERNS), min_size=1, unique=True), st.integers(1, 5))
def test_a_partition_gives_every_number_its_value(patterns: list[str], length: int) -> None:
    strings = [digit_strings(p) for p in patterns]

    def matches(number: str) -> int:
        masks = zip(range(len(strings)), strings, strict=True)
        return sum(1 << i for i, group in masks if any(_fits(s, number) for s in group))

    steps = Partition(strings, length, matches).intervals()
    starts, values = zip(*steps, strict=True)
    assert starts[0] == 0
    assert all(a != b for a, b in pairwise(values))
    position = np.searchsorted(starts, np.arange(10**length), "right") - 1
    sample = range(0, 10**length, 1 if length < 4 else 7)
    assert [values[position[n]] for n in sample] == [matches(f"{n:0{length}d}") for n in sample]


def _fits(string: tuple[int, ...], number: str) -> bool:
    return len(string) == len(number) and all(m >> int(d) & 1 for m, d in zip(string, number, strict=True))


def test_equal_matches_are_asked_about_once() -> None:
    asked: list[str] = []

    def classify(number: str) -> int:
        asked.append(number)
        return int(number[0] > "1")

    assert Partition([digit_strings("[2-9]\\d{8}")], 9, classify).intervals() == ((0, 0), (2 * 10**8, 1))
    assert len(asked) == 2


STARTS = st.lists(st.tuples(st.integers(1, 10**16), st.integers(1, 10**12), st.integers(1, 300)), min_size=1)


@settings(deadline=None, max_examples=20)
@given(STARTS, st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_find_equals_a_loop(blocks: list[tuple[int, int, int]], others: list[int]) -> None:
    ordered: list[tuple[int, int, int]] = []
    for begin, size, value in sorted(blocks):
        if not ordered or begin >= ordered[-1][1]:
            ordered.append((begin, begin + size, value))
    steps = IntervalMap.of((begin, end, [(0, value)]) for begin, end, value in ordered)
    edges = [n + d for begin, end, _ in ordered for n in (begin, end) for d in (-1, 0, 1)]
    numbers = [*edges, *others, 0]

    def naive(number: int) -> int:
        return next((value for begin, end, value in ordered if begin <= number < end), 0)

    assert steps.find(np.array(numbers, np.int64)).tolist() == [naive(n) for n in numbers]
