"""Numbers by index: valid by construction, every index another one."""

import itertools
import re

import numpy as np
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbeam_io.workload.digits import products
from callbeam_io.workload.mixing import deal, key_of, mix, permute, unit
from callbeam_io.workload.numbering import ABROAD, NumberPlan, is_home

REGIONS = sorted({"US", *(region for region, _ in ABROAD)})


def _wrong(region: str, numbers: list[int]) -> list[int]:
    parsed = {number: phonenumbers.parse(f"+{number}") for number in numbers}
    return [
        number
        for number, p in parsed.items()
        if not phonenumbers.is_valid_number(p) or phonenumbers.region_code_for_number(p) != region
    ]


@pytest.mark.parametrize("region", REGIONS)
def test_numbers_are_valid_and_of_their_region(region: str) -> None:
    plan = NumberPlan.of(region)
    some = np.random.default_rng(1).integers(0, plan.capacity, 150)
    ends = np.array([0, plan.capacity - 1])
    assert _wrong(region, plan.number(np.concatenate([some, ends])).tolist()) == []


def test_every_prefix_of_the_americans_holds_valid_numbers() -> None:
    plan = NumberPlan.of("US")
    heads = np.arange(0, len(plan.prefixes), 7)
    some = heads * 10**plan.tail + np.random.default_rng(2).integers(0, 10**plan.tail, len(heads))
    assert _wrong("US", plan.number(some).tolist()) == []


def test_american_exchanges_are_neither_services_nor_fiction() -> None:
    plan = NumberPlan.of("US")
    exchanges = plan.number(np.arange(0, plan.capacity, 10_007)) // 10_000 % 1000
    assert not np.isin(exchanges % 100, [11]).any()
    assert not (exchanges == 555).any()


@pytest.mark.parametrize("region", ["TV", "CK", "AG"])
def test_everybody_has_a_number_of_their_own(region: str) -> None:
    plan = NumberPlan.of(region)
    people = plan.person(np.arange(plan.people), key_of(1))
    businesses = plan.business(np.arange(plan.capacity - plan.people), key_of(2))
    assert len(np.unique(np.concatenate([people, businesses]))) == plan.capacity


def test_many_people_have_as_many_numbers() -> None:
    numbers = NumberPlan.of("US").person(np.arange(200_000), key_of(7))
    assert len(np.unique(numbers)) == 200_000
    assert ((numbers >= 12_000_000_000) & (numbers < 20_000_000_000)).all()


@pytest.mark.parametrize(
    ("region", "home"), [("US", True), ("KZ", True), ("JE", True), ("AX", False), ("XX", False)]
)
def test_home_is_where_numbers_belong_to_the_region(region: str, home: bool) -> None:
    assert is_home(region) is home


def _pattern() -> st.SearchStrategy[str]:
    digit = st.sampled_from([*"0123456789", r"\d", "[13-5]", "[07-9]", "[2-46]"])
    times = st.sampled_from(["", "", "", "?", "{2}", "{1,2}"])
    atom = st.builds("".join, st.tuples(digit, times))
    parts = st.builds("".join, st.lists(atom, min_size=1, max_size=3))
    group = st.builds(lambda a, b, n: f"(?:{a}|{b}){n}", parts, parts, times)
    return st.builds("|".join, st.lists(st.builds(lambda a, b: a + b, parts, group), min_size=1, max_size=2))


@given(_pattern(), st.integers(1, 4))
def test_products_are_what_the_pattern_matches(pattern: str, length: int) -> None:
    found = {
        "".join(digits) for product in products(pattern, length) for digits in itertools.product(*product)
    }
    tried = ("".join(digits) for digits in itertools.product("0123456789", repeat=length))
    assert found == {text for text in tried if re.fullmatch(pattern, text)}


@pytest.mark.parametrize("pattern", ["a", "1(?:2", "1)", "1.2"])
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="of the digit pattern"):
        products(pattern, 3)


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_permutations_lose_nothing(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_permutations_of_many_sizes_at_once(sizes: list[int], key: int) -> None:
    values = np.concatenate([np.arange(size) for size in sizes])
    each = np.repeat(np.array(sizes), sizes)
    together = np.split(permute(values, each, key), np.cumsum(sizes)[:-1])
    alone = [permute(np.arange(size), size, key) for size in sizes]
    assert all((a == b).all() for a, b in zip(together, alone, strict=True))


def test_permutations_scatter_neighbours() -> None:
    places = permute(np.arange(100_000), 100_000, key_of(3))
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.02


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.integers(0, 10_000))
def test_dealing_gives_all_and_by_weight(weights: list[int], total: int) -> None:
    dealt = deal(np.array(weights), total)
    assert dealt.sum() == total and (dealt >= 0).all()
    if any(weights):
        fair = np.array(weights) * total / sum(weights)
        assert (np.abs(dealt - fair) <= 1 + 1e-6).all()


def test_hashes_are_even() -> None:
    chances = unit(mix(np.arange(200_000), key_of(1, 2)))
    counts = np.bincount((chances * 20).astype(int), minlength=20)
    assert (chances >= 0).all() and (chances < 1).all()
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 50  # chi-squared, 19 degrees of freedom
