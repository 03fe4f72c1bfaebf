"""Time zones of subscribers from their numbers, for whole columns: what ``phonenumbers`` says of each.

``phonenumbers.timezone.time_zones_for_number`` takes some 50 microseconds a number. Here its own patterns are
matched against all numbers of a region at once; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import phonenumbers
import polars as pl
from numpy.typing import NDArray
from phonenumbers import PhoneMetadata, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from transforms.columns.rules.arrays import Bools, Ints, find

MAIN_ZONES: Final = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "FI": "Europe/Helsinki",
    "FM": "Pacific/Pohnpei",
    "GB": "Europe/London",
    "GL": "America/Nuuk",
    "ID": "Asia/Jakarta",
    "IT": "Europe/Rome",
    "KI": "Pacific/Tarawa",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "NO": "Europe/Oslo",
    "NZ": "Pacific/Auckland",
    "PF": "Pacific/Tahiti",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "US": "America/New_York",
}
"""The zone that most people live in, of regions whose numbers may belong to several."""
_SHARED_CODES: Final = {
    "AG": "America/Antigua",
    "AI": "America/Anguilla",
    "AS": "Pacific/Pago_Pago",
    "AX": "Europe/Mariehamn",
    "BB": "America/Barbados",
    "BM": "Atlantic/Bermuda",
    "BS": "America/Nassau",
    "BQ": "America/Kralendijk",
    "CC": "Indian/Cocos",
    "CW": "America/Curacao",
    "CX": "Indian/Christmas",
    "DM": "America/Dominica",
    "DO": "America/Santo_Domingo",
    "GD": "America/Grenada",
    "GG": "Europe/Guernsey",
    "GU": "Pacific/Guam",
    "IE": "Europe/Dublin",
    "IM": "Europe/Isle_of_Man",
    "JE": "Europe/Jersey",
    "JM": "America/Jamaica",
    "KN": "America/St_Kitts",
    "KY": "America/Cayman",
    "LC": "America/St_Lucia",
    "MP": "Pacific/Saipan",
    "MS": "America/Montserrat",
    "PR": "America/Puerto_Rico",
    "RE": "Indian/Reunion",
    "SJ": "Arctic/Longyearbyen",
    "SX": "America/Lower_Princes",
    "TC": "America/Grand_Turk",
    "TT": "America/Port_of_Spain",
    "VA": "Europe/Vatican",
    "VC": "America/St_Vincent",
    "VG": "America/Tortola",
    "VI": "America/St_Thomas",
    "YT": "Indian/Mayotte",
}
"""The zone of regions that have only one but share their calling code with others."""
_NOT_GEOGRAPHIC: Final = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_NO_ZONES: Final = ("ZZ", "001")  # no number, and the numbers of no country
_NOWHERE: Final = 0
_COUNTRY: Final = 1
_PLACE: Final = 2


class Zones(NamedTuple):
    """Zones of some numbers: ``place[i]`` is the position in ``sets`` of (zones, main zone) of number i.

    A set without zones means that nothing is known.
    """

    place: Ints
    sets: list[tuple[tuple[str, ...], str]]


def zones_of(codes: Ints, region: NDArray[np.uint16], names: Sequence[str]) -> Zones:
    """The zones of party codes.

    Args:
        codes: party codes; those that are no numbers have no zone.
        region: per code the position of its region.
        names: the regions, as `phonenumbers.region_code_for_number` names them, ``ZZ`` for none.
    """
    data = _prefix_data()
    place = np.zeros(len(codes), np.int64)
    for k in np.flatnonzero(np.bincount(region)).tolist():
        rows = np.flatnonzero((region == k) & (codes > 0))
        if names[k] not in _NO_ZONES and len(rows):
            place[rows] = _of_region(codes[rows], names[k], data)
    pairs, place = np.unique(place * len(names) + region, return_inverse=True)
    known = [(data.sets[p // len(names)], names[p % len(names)]) for p in pairs.tolist()]
    return Zones(place, [(zones, main_zone(zones, region)) for zones, region in known])


def main_zone(zones: Sequence[str], region: str) -> str:
    """The zone whose hours are a subscriber's own: the only one, else the region's, empty where none is known."""
    if len(zones) < 2:
        return zones[0] if zones else ""
    return MAIN_ZONES.get(region) or _SHARED_CODES.get(region) or zones[0]


class PrefixData(NamedTuple):
    """The library's prefixes: distinct ``sets`` of zones (the empty one first); by length ascending prefixes."""

    sets: list[tuple[str, ...]]
    by_length: dict[int, tuple[Ints, Ints]]


@lru_cache(maxsize=1)
def _prefix_data() -> PrefixData:
    sets: dict[tuple[str, ...], int] = {(): 0}
    by_length: dict[int, list[tuple[int, int]]] = {}
    for prefix, zones in TIMEZONE_DATA.items():
        place = sets.setdefault(_known(zones), len(sets))
        by_length.setdefault(len(prefix), []).append((int(prefix), place))
    ordered = {n: np.array(sorted(pairs), np.int64).T for n, pairs in by_length.items()}
    return PrefixData(list(sets), {n: (pairs[0], pairs[1]) for n, pairs in ordered.items()})


def _known(zones: Iterable[str]) -> tuple[str, ...]:
    return tuple(z for z in zones if z != UNKNOWN_TIMEZONE and _has_clock(z))


@cache
def _has_clock(zone: str) -> bool:
    """Whether this machine knows the hours of a zone: some keep no names that have been replaced."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def _of_region(codes: Ints, region: str, data: PrefixData) -> Ints:
    """Positions in ``data.sets`` of numbers of one region."""
    text = pl.Series(codes).cast(pl.String)
    calling = phonenumbers.country_code_for_region(region)
    kind, odd = _kinds(text.str.slice(len(str(calling))), region, calling)
    digits = text.str.len_bytes().to_numpy().astype(np.int64)
    place = np.where(kind == _PLACE, _longest_prefix(codes, digits, data), 0)
    country = np.full(1, calling)
    of_country = _longest_prefix(country, np.full(1, len(str(calling))), data)[0]
    place[kind == _COUNTRY] = of_country
    for row in np.flatnonzero(odd):
        place[row] = data.sets.index(_one_by_one(int(codes[row])))
    return place


def _longest_prefix(codes: Ints, digits: Ints, data: PrefixData) -> Ints:
    """Per number the set of the longest of the library's prefixes that it begins with; 0 for none."""
    place = np.zeros(len(codes), np.int64)
    for length in range(1, TIMEZONE_LONGEST_PREFIX + 1):
        prefixes, sets = data.by_length.get(length, (np.empty(0, np.int64), np.empty(0, np.int64)))
        position, there = find(prefixes, codes // 10 ** np.maximum(digits - length, 0))
        there &= digits >= length
        place[there] = sets[position[there]]
    return place


def _kinds(national: pl.Series, region: str, calling: int) -> tuple[NDArray[np.int8], Bools]:
    """Whether numbers belong to a place, to a country or to none; and which of them to ask one by one.

    These begin with what the library would take for a national prefix and strip off.
    """
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(calling, region)
    kind = np.full(len(national), _NOWHERE, np.int8)
    if metadata is None:
        return kind, np.zeros(len(national), np.bool_)
    valid = _matches(national, metadata.general_desc)
    if not metadata.same_mobile_and_fixed_line_pattern:
        place = phonenumbers.is_number_type_geographical(PhoneNumberType.MOBILE, calling)
        kind[_matches(national, metadata.mobile)] = _PLACE if place else _COUNTRY
    kind[_matches(national, metadata.fixed_line)] = _PLACE
    kind[_match_any(national, [getattr(metadata, name) for name in _NOT_GEOGRAPHIC])] = _COUNTRY
    kind[~valid] = _NOWHERE
    odd = kind == _NOWHERE
    if odd.any():
        prefix = metadata.national_prefix_for_parsing
        odd &= _contains(national, f"^(?:{prefix})") if prefix else np.bool_(False)
    return kind, odd


def _match_any(national: pl.Series, descs: Sequence[Any]) -> Bools:
    """Which numbers are of one of several kinds: a look for all of them at once leaves few to look at for each."""
    patterns = [d.national_number_pattern for d in descs if d is not None and d.national_number_pattern]
    found = np.zeros(len(national), np.bool_)
    if patterns:
        rows = np.flatnonzero(_contains(national, f"^(?:{'|'.join(patterns)})$"))
        some = national.gather(rows)
        found[rows] = np.logical_or.reduce([_matches(some, desc) for desc in descs])
    return found


def _matches(national: pl.Series, desc: Any) -> Bools:
    """Which numbers are of a kind, by length and pattern."""
    if desc is None or not desc.national_number_pattern:
        return np.zeros(len(national), np.bool_)
    found = _contains(national, f"^(?:{desc.national_number_pattern})$")
    if len(desc.possible_length):
        found &= np.isin(national.str.len_bytes().to_numpy(), desc.possible_length)
    return found


def _contains(texts: pl.Series, pattern: str) -> Bools:
    return texts.str.contains(pattern).to_numpy()


@lru_cache(maxsize=1 << 16)
def _one_by_one(code: int) -> tuple[str, ...]:
    try:
        return _known(time_zones_for_number(phonenumbers.parse(f"+{code}")))
    except phonenumbers.NumberParseException:
        return ()
