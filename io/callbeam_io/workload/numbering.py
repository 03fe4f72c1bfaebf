"""Phone numbers by index: for each region a bijection from [0, capacity) to valid mobile numbers.

The patterns of ``phonenumbers``' own metadata are written out to prefixes under which every completion is
valid (`digits`), so number i is ``prefix[i // 10**t] * 10**t + i % 10**t``: no trial, no collision, a million
numbers in some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

import numpy as np
import phonenumbers
from phonenumbers import PhoneMetadata

from callbeam_io.workload.digits import ANY, Product, products
from callbeam_io.workload.mixing import I64, key_of, permute

ABROAD: Final[tuple[tuple[str, float], ...]] = (
    ("MX", 12),
    ("CA", 11),
    ("IN", 10),
    ("GB", 9),
    ("PH", 7),
    ("CN", 7),
    ("DE", 6),
    ("FR", 5),
    ("BR", 5),
    ("US", 5),
    ("ES", 4),
    ("IT", 4),
    ("JP", 4),
    ("KR", 3),
    ("AU", 3),
    ("PL", 3),
    ("NL", 2),
    ("SE", 2),
    ("TR", 2),
    ("ZA", 2),
    ("NG", 2),
    ("EG", 2),
    ("KZ", 1),
)
"""Where calls abroad go, with weights: some 20 regions, the caller's own left out."""

_NANP_MIDDLE: Final = "02346789"
"""Middle digits of an exchange in country code 1: without 1 and 5 no N11 code and no 555 number is left."""
_LEAST_TAIL, _ENOUGH = 2, 0.8
_BUSINESS_SHARE: Final = 10
_TRIED: Final = 100


@dataclass(frozen=True)
class NumberPlan:
    """The mobile numbers of a region: int64 ``prefixes`` with the country code, ``tail`` free digits."""

    region: str
    prefixes: I64
    tail: int

    @classmethod
    def of(cls, region: str) -> NumberPlan:
        """The plan of a region of `is_home`."""
        return _plan(region)

    @property
    def capacity(self) -> int:
        """How many numbers there are."""
        return len(self.prefixes) * _power(self.tail)

    @property
    def people(self) -> int:
        """How many of them are for people; the others are for businesses."""
        return self.capacity - self.capacity // _BUSINESS_SHARE

    def number(self, index: I64) -> I64:
        """The E.164 digits of number `index` (0 <= index < capacity) as int64; each index another number."""
        power = _power(self.tail)
        head, rest = np.divmod(index, power)
        numbers: I64 = self.prefixes[head] * power + rest
        return numbers

    def person(self, index: I64, key: int) -> I64:
        """The number of person `index` (0 <= index < `people`), scattered over the plan by the key."""
        return self.number(permute(index, self.people, key))

    def business(self, index: I64, key: int) -> I64:
        """The number of business `index` (0 <= index < capacity - `people`): never a person's."""
        return self.number(self.people + permute(index, self.capacity - self.people, key))


@cache
def is_home(region: str) -> bool:
    """Whether people can live there: ``phonenumbers`` says of the plan's numbers that they are of there.

    Not so where two regions share a country code and its patterns (Jersey has its own, Åland has not).
    """
    if region not in phonenumbers.SUPPORTED_REGIONS or _pattern(region) is None:
        return False
    plan = NumberPlan.of(region)
    some = plan.number(np.linspace(0, plan.capacity - 1, _TRIED).astype(np.int64))
    parsed = (phonenumbers.parse(f"+{number}") for number in some.tolist())
    return all(phonenumbers.region_code_for_number(number) == region for number in parsed)


def _power(digits: int) -> int:
    power: int = 10**digits
    return power


def _pattern(region: str) -> tuple[int, str, int] | None:
    """Country code, pattern and length of a region's mobile (else fixed line) numbers."""
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.country_code is None:
        return None
    for kind in (metadata.mobile, metadata.fixed_line):
        if kind is not None and kind.national_number_pattern and kind.example_number:
            return metadata.country_code, kind.national_number_pattern, len(kind.example_number)
    return None


@cache
def _plan(region: str) -> NumberPlan:
    found = _pattern(region)
    if found is None:
        raise ValueError(f"no numbers known for region {region}")
    country, pattern, length = found
    choices = products(pattern, length)
    if country == 1:
        choices = _without_services(choices)
    tail = _tail(choices)
    heads = {int("".join(h)) for p in choices if _free(p) >= tail for h in product(*p[: length - tail])}
    prefixes = np.array(sorted(heads), dtype=np.int64) + country * _power(length - tail)
    scattered = prefixes[permute(np.arange(len(prefixes)), len(prefixes), key_of(len(prefixes)))]
    return NumberPlan(region, scattered, tail)


def _without_services(choices: list[Product]) -> list[Product]:
    """The products of country code 1 without exchanges that are nobody's."""
    kept = [(*p[:4], "".join(d for d in p[4] if d in _NANP_MIDDLE), *p[5:]) for p in choices]
    return [p for p in kept if p[4]]


def _free(choice: Product) -> int:
    """How many places at the end take any digit."""
    return next((n for n, digits in enumerate(reversed(choice)) if digits != ANY), len(choice))


def _size(choice: Product) -> int:
    return int(np.prod([len(digits) for digits in choice], dtype=np.int64))


def _tail(choices: list[Product]) -> int:
    """The most free digits at the end that leave nearly all numbers in."""
    total = sum(map(_size, choices))
    for tail in range(max(map(_free, choices)), _LEAST_TAIL, -1):
        if sum(_size(c) for c in choices if _free(c) >= tail) >= _ENOUGH * total:
            return tail
    return _LEAST_TAIL
