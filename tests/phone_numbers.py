"""Phone numbers to try: the examples of every region and type, and random ones near them."""

from __future__ import annotations

import random
from typing import Any

from phonenumbers import PhoneMetadata
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE as REGIONS

from transforms.columns.numbering import _DESCRIPTIONS

SHARED = [code for code, regions in REGIONS.items() if len(regions) > 1]
DIGITS = "0123456789"


def plans() -> list[tuple[int, str, Any]]:
    """Calling code, region and the library's metadata, of every region."""
    return [
        (code, region, PhoneMetadata.metadata_for_region_or_calling_code(code, region))
        for code, regions in REGIONS.items()
        for region in regions
    ]


def national_examples(calling_code: int) -> list[str]:
    """National numbers of every type of the regions of a calling code."""
    metadata = [
        PhoneMetadata.metadata_for_region_or_calling_code(calling_code, r) for r in REGIONS[calling_code]
    ]
    found = [getattr(m, name) for m in metadata for name in _DESCRIPTIONS[1:]]
    return [d.example_number for d in found if d is not None and d.example_number]


def examples() -> list[str]:
    """International digits of an example of every region and type."""
    return [f"{code}{national}" for code in REGIONS for national in national_examples(code)]


def digits_of(draw: random.Random, count: int) -> str:
    """So many random digits."""
    return "".join(draw.choices(DIGITS, k=count))


def changed(draw: random.Random, number: str, first: int = 0) -> str:
    """A number with up to three other digits, at times one more or one less, from a position on."""
    digits = list(number)
    for _ in range(draw.randint(0, 3)):
        digits[draw.randrange(first, len(digits))] = draw.choice(DIGITS)
    if draw.random() < 0.15:
        digits.insert(draw.randrange(first, len(digits)), draw.choice("01589"))
    if draw.random() < 0.1 and len(digits) > first + 3:
        digits.pop()
    return "".join(digits)


def random_numbers(count: int, seed: int) -> list[str]:
    """Distinct international digits, 2 to 15 of them: the examples, random ones and neighbours of examples.

    Calling codes that several regions share come most often.
    """
    draw = random.Random(seed)
    known = examples()
    found = set(known)
    while len(found) < count:
        kind = draw.random()
        if kind < 0.5:
            code = str(draw.choice(SHARED if kind < 0.35 else list(REGIONS)))
            found.add(code + digits_of(draw, draw.randint(1, 15 - len(code))))
        elif kind < 0.9:
            found.add(changed(draw, draw.choice(known), first=1)[:15])
        elif kind < 0.97:
            found.add("1" + draw.choice("23456789") + digits_of(draw, 9))
        else:
            found.add(draw.choice(DIGITS[1:]) + digits_of(draw, draw.randint(1, 14)))
    return sorted(found)
