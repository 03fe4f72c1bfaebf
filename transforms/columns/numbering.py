"""The phone number library's answers for whole ranges of numbers, as sorted intervals.

`phonenumbers` works number by number, at tens of microseconds each. Its answers depend on nothing but which
patterns of its metadata a number matches, so all numbers are cut into intervals that no pattern divides, and
of all the intervals with the same matches one number is shown to the library. What cannot be had that way is
marked `ASK`: such numbers have to be shown to the library themselves, and are rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, wraps
from threading import Lock
from typing import Any, Final, ParamSpec, Protocol

import numpy as np
import phonenumbers
from numpy.typing import NDArray
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE as REGIONS_OF_CALLING_CODE

from transforms.columns.digit_patterns import (
    ANY_DIGIT,
    EMPTY,
    DigitStrings,
    by_width,
    digit_strings,
    filled,
    followed_by,
    variants,
)
from transforms.columns.intervals import Interval, IntervalMap, Partition

MOST_DIGITS: Final = 15  # of an E.164 number, its calling code among them
ASK: Final = -1
"""In an interval map: the library has to be asked about the number itself."""

REGIONS: Final = ("ZZ", *sorted(set().union(*REGIONS_OF_CALLING_CODE.values())))

_MOST_VARIANTS: Final = 16  # of trunk prefixes of one length: each has intervals of its own
_DESCRIPTIONS: Final = (
    *("general_desc", "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "voip", "pager", "uan", "voicemail"),
)
_Args = ParamSpec("_Args")
_Block = tuple[int, int, Sequence[Interval]]


def region_position(digits: str) -> int:
    """What the library says about ``+digits``: the position in `REGIONS` of its region, 0 for none."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+{digits}"))
    except NumberParseException:
        return 0
    return 0 if region is None else REGIONS.index(region)


def canonical(digits: str) -> str:
    """The digits of the library's E.164 form of ``+digits``; the same digits where it reads no number."""
    try:
        return _e164(phonenumbers.parse(f"+{digits}"))
    except NumberParseException:
        return digits


def national_number(text: str, region: str) -> str:
    """The E.164 digits of a valid number as dialled in a region; empty where the text is none."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return ""
    digits = _e164(number) if phonenumbers.is_valid_number(number) else ""
    return digits if len(digits) <= MOST_DIGITS else ""


class Keeper(Protocol):
    """Where the steps of interval maps are kept from one process to the next."""

    def load(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Starts and values of a map; None where it is not there."""

    def save(self, name: str, starts: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Keeps a map."""


_keepers: Final[list[Keeper]] = []


def keep_in(keeper: Keeper) -> None:
    """From now on maps come from there, and those that have to be built go there."""
    _keepers[:] = [keeper]


def _built_once(build: Callable[_Args, IntervalMap]) -> Callable[_Args, IntervalMap]:
    """Keeps what was built; threads that want it at the same time wait for the first one."""
    lock = Lock()

    @cache
    def kept(*args: _Args.args, **kwargs: _Args.kwargs) -> IntervalMap:
        name = "-".join([build.__name__, *map(str, args)])
        for keeper in _keepers:
            if (steps := keeper.load(name)) is not None:
                return IntervalMap(*steps)
        found = build(*args, **kwargs)
        for keeper in _keepers:
            keeper.save(name, found.starts, found.values.astype(np.int64))
        return found

    @wraps(build)
    def built(*args: _Args.args, **kwargs: _Args.kwargs) -> IntervalMap:
        with lock:
            found: IntervalMap = kept(*args, **kwargs)  # type: ignore[arg-type]
            return found

    return built


@_built_once
def region_intervals() -> IntervalMap:
    """Per E.164 number (its digits as a whole number) the position of its region in `REGIONS`, or `ASK`."""
    return IntervalMap.of(_region_blocks())


@_built_once
def trunk_intervals() -> IntervalMap:
    """Per international number what becomes of a trunk prefix in it (``+44 (0)20...``).

    0: nothing, the number is in E.164 form. ``national * 16 + kept``: of the ``national`` digits after the
    calling code the last ``kept`` remain. Or `ASK`.
    """
    return IntervalMap.of(_trunk_blocks())


@_built_once
def national_intervals(region: str) -> IntervalMap:
    """Per number dialled in a region, its digits after a 1 (which keeps leading zeros), which number it is.

    0: no valid one. ``kept``: a valid one, the region's calling code and the last ``kept`` digits. Or `ASK`.

    Raises:
        ValueError: the library knows no such region.
    """
    return IntervalMap.of(_national_blocks(region))


class _Plan:
    """The numbers of one region, as the library's metadata describes them.

    Attributes:
        calling_code: the region's calling code, as text.
        international_prefix: pattern of what is dialled before a calling code there.
        general: what its national numbers look like at all.
        leading: patterns that a national number may begin with.
        trunk: trunk prefixes, those of one length together. The library takes the longest one that fits.
        wide: trunk prefixes that come in so many variants that their numbers are left to the library.
    """

    def __init__(self, metadata: Any) -> None:
        self.calling_code = str(metadata.country_code)
        self.international_prefix = metadata.international_prefix or ""
        descriptions = [getattr(metadata, name) for name in _DESCRIPTIONS]
        self._texts = [d.national_number_pattern for d in descriptions if d is not None]
        self.general = digit_strings(self._texts[0])
        self.leading = [digit_strings(metadata.leading_digits)] if metadata.leading_digits else []
        self._trunk_text = metadata.national_prefix_for_parsing or ""
        self._replaces = bool(metadata.national_prefix_transform_rule)
        prefixes = by_width(digit_strings(self._trunk_text))
        self._wide_widths = {width for width, group in prefixes.items() if variants(group) > _MOST_VARIANTS}
        self.trunk = [group for width, group in prefixes.items() if width and width not in self._wide_widths]
        self.wide = [prefixes[width] for width in self._wide_widths]

    @cached_property
    def full(self) -> frozenset[DigitStrings]:
        """The patterns of every type of number, and the general one."""
        return frozenset(digit_strings(text) for text in self._texts if text)

    def trunk_of(self, national: str) -> tuple[int, bool]:
        """How long the trunk prefix of this number is, and whether its numbers are left to the library."""
        found = re.match(self._trunk_text, national)
        if not found or not found.end():
            return 0, False
        replaced = self._replaces and found.groups()[-1] is not None
        return found.end(), replaced or found.end() in self._wide_widths


@cache
def _plan(calling_code: int, region: str) -> _Plan:
    return _Plan(PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region))


def _e164(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))[1:]


def _lengths(calling_code: int) -> Iterator[tuple[int, int]]:
    """Per number of national digits, at least 2 as the library wants it, that number and the first code."""
    for length in range(2, MOST_DIGITS + 1 - len(str(calling_code))):
        yield length, calling_code * 10**length


def _region_blocks() -> Iterator[_Block]:
    for calling_code, regions in REGIONS_OF_CALLING_CODE.items():
        for length, begin in _lengths(calling_code):
            if len(regions) == 1:
                yield begin, begin + 10**length, [(0, REGIONS.index(regions[0]))]
            else:
                yield begin, begin + 10**length, _shared([_plan(calling_code, r) for r in regions], length)
    yield 10**MOST_DIGITS, 2**63 - 1, [(0, ASK)]


def _shared(plans: Sequence[_Plan], length: int) -> Sequence[Interval]:
    """The regions of a calling code that several share; the trunk prefixes of the first one count."""

    def classify(national: str) -> int:
        left = plans[0].trunk_of(national)[1]
        return ASK if left else region_position(plans[0].calling_code + national)

    patterns = _patterns([EMPTY, *plans[0].trunk], plans, length)
    return Partition(patterns, length, classify).intervals()


def _trunk_blocks() -> Iterator[_Block]:
    for calling_code, regions in REGIONS_OF_CALLING_CODE.items():
        plan = _plan(calling_code, regions[0])
        prefixes = [*plan.trunk, *plan.wide]
        for length, begin in _lengths(calling_code) if prefixes else ():
            patterns = [filled(p, length) for p in prefixes]
            patterns += [plan.general, *(followed_by(p, plan.general) for p in plan.trunk)]
            yield begin, begin + 10**length, Partition(patterns, length, _trunk_classifier(plan)).intervals()


def _trunk_classifier(plan: _Plan) -> Callable[[str], int]:
    def classify(national: str) -> int:
        if plan.trunk_of(national)[1]:
            return ASK
        kept = len(canonical(plan.calling_code + national)) - len(plan.calling_code)
        return 0 if kept == len(national) else len(national) * 16 + kept

    return classify


def _national_blocks(region: str) -> Iterator[_Block]:
    """The library takes off the calling code, where there is one, and a trunk prefix before and after it."""
    calling_code = phonenumbers.country_code_for_region(region)
    if not calling_code:
        raise ValueError(f"no region of phone numbers: {region!r}")
    own = _plan(calling_code, region)
    plans = [own, *(_plan(calling_code, r) for r in REGIONS_OF_CALLING_CODE[calling_code])]
    code = digit_strings(own.calling_code)
    trunk = {*own.trunk, *plans[1].trunk}
    after_code = {followed_by(code, t) for t in trunk}
    prefixes = [*trunk, *after_code, *(followed_by(a, t) for a in after_code for t in trunk)]
    prefixes = list(dict.fromkeys((EMPTY, code, *prefixes)))
    abroad = digit_strings(own.international_prefix)
    classify = _national_classifier(region, own, plans[1])
    for length in range(3, MOST_DIGITS + 1):
        patterns = [filled(abroad, length), *_patterns(prefixes, plans, length)]
        yield 10**length, 2 * 10**length, Partition(patterns, length, classify).intervals()


def _national_classifier(region: str, own: _Plan, main: _Plan) -> Callable[[str], int]:
    def classify(dialled: str) -> int:
        inner = dialled.removeprefix(own.calling_code)
        forms = (dialled, inner, inner[own.trunk_of(inner)[0] :])
        left = any(plan.trunk_of(form)[1] for plan in (own, main) for form in forms)
        if left or re.match(own.international_prefix, dialled):
            return ASK
        return max(0, len(national_number(dialled, region)) - len(own.calling_code))

    return classify


def _patterns(prefixes: Iterable[DigitStrings], plans: Sequence[_Plan], length: int) -> list[DigitStrings]:
    """Whatever the library tries on numbers of this length once one of the prefixes is taken off."""
    full = {strings for plan in plans for strings in plan.full}
    leading = [strings for plan in plans for strings in (*plan.leading, *plan.wide)]
    found = []
    for prefix in prefixes:
        for rest in (length - width for width in by_width(prefix) if width <= length):
            tails = [frozenset(s for s in strings if len(s) == rest) for strings in full]
            tails += [filled(strings, rest) for strings in leading]
            tails += [frozenset({(ANY_DIGIT,) * rest})] if prefix != EMPTY else []
            found += [followed_by(prefix, tail) for tail in tails if tail]
    return found
