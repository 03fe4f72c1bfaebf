"""Regions: what the phone number library says, for every kind of number."""

from __future__ import annotations

import os

import numpy as np
import phonenumbers
import polars as pl
import pytest
from phone_numbers import examples, random_numbers

from transforms.columns.regions import REGIONS, region_names, regions_of

RANDOM_NUMBERS = int(os.environ.get("CALLBEAM_REGION_TEST_N", "60000"))


def library(digits: str) -> str:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(f"+{digits}")) or "ZZ"
    except phonenumbers.NumberParseException:
        return "ZZ"


def names(numbers: list[str]) -> list[str]:
    return region_names(regions_of(np.array([int(n) for n in numbers], np.int64))).to_list()


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("12025550123", "US"),
        ("14165550123", "CA"),
        ("18095550123", "DO"),
        ("18005550123", "US"),
        ("77012345678", "KZ"),
        ("79161234567", "RU"),
        ("78001234567", "RU"),
        ("8821234567", "001"),
        ("80012345678", "001"),
        ("3906698123456", "VA"),
        ("390612345678", "IT"),
        ("447400123456", "GB"),
        ("441481256789", "GG"),
        ("447624123456", "IM"),
        ("4779123456", "SJ"),
        ("35818123456", "AX"),
        ("212528812345", "MA"),
        ("2908123", "TA"),
        ("5997151234", "BQ"),
        ("10000000000", "ZZ"),
        ("99912345678", "ZZ"),
        ("12", "ZZ"),
        ("4402079460018", "GB"),
        ("112025550123", "US"),
    ],
)
def test_known_numbers(number: str, region: str) -> None:
    assert names([number]) == [region] == [library(number)]


def test_examples_of_every_region_and_type() -> None:
    numbers = examples()
    assert names(numbers) == [library(n) for n in numbers]


def test_random_numbers_equal_the_library() -> None:
    numbers = random_numbers(RANDOM_NUMBERS, seed=RANDOM_NUMBERS)
    found = names(numbers)
    assert [(n, r, library(n)) for n, r in zip(numbers, found, strict=True) if r != library(n)] == []
    assert len(set(found)) > 200


def test_what_is_no_number_has_no_region() -> None:
    codes = np.array([0, -1, -(2**62), -(2**63), 1, 9, 2**63 - 1], np.int64)
    assert regions_of(codes).tolist() == [0] * len(codes)
    assert regions_of(np.empty(0, np.int64)).dtype == np.uint16


def test_more_digits_than_e164_has_are_asked_about() -> None:
    numbers = ["4915112345678901", "1" * 16, "441234567890123456"]
    assert names(numbers) == [library(n) for n in numbers]


def test_regions_are_in_order() -> None:
    assert REGIONS[0] == "ZZ"
    assert list(REGIONS[1:]) == sorted(phonenumbers.SUPPORTED_REGIONS | {"001"})
    assert region_names(np.array([0, REGIONS.index("US")], np.uint16)).to_list() == ["ZZ", "US"]
    assert region_names(np.empty(0, np.uint16)).dtype == pl.String
