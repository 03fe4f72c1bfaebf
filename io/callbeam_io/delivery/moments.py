"""Moments of deliveries: seconds since 1970, the store's texts, and quiet hours where a subscriber lives."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from callbeam_io.store.types import utc_text
from transforms.schema import TIME_FORMAT

QUARTER: Final = 900
"""Local hours begin at quarters of an hour UTC in every zone."""
_AHEAD: Final = 192
"""Quarters of two days: by then every local hour has come."""


def second_of(text: str) -> int:
    """Seconds since 1970 of a time of the store."""
    return calendar.timegm(time.strptime(text, TIME_FORMAT))


def text_of(second: float) -> str:
    """A moment as the store writes it, fractions cut off."""
    return utc_text(datetime.fromtimestamp(int(second), UTC))


def local_text(second: float, zones: str) -> str:
    """A moment on a clock where a subscriber lives, with its offset: ``2026-03-02 09:00:00+01:00``."""
    local = datetime.fromtimestamp(int(second), ZoneInfo(main_zone(zones)))
    return local.isoformat(sep=" ")


def main_zone(zones: str) -> str:
    """The zone whose hours are a subscriber's own."""
    return zones.partition("|")[0] or "UTC"


def free_from(at: int, zones: str, quiet: str) -> int:
    """The first moment at or after another that is outside quiet hours.

    Args:
        at: seconds since 1970.
        zones: the subscriber's main zone and, where a number tells several, all of them:
            ``America/New_York|America/Chicago,America/New_York``. It has to be outside quiet hours in all of
            them; where they leave no such moment within two days, in the main one.
        quiet: ``21-9``, local hours from the first until the second (excluded); empty: none.
    """
    if not quiet:
        return at
    main, _, several = zones.partition("|")
    for names in (several.split(",") if several else [main or "UTC"], [main or "UTC"]):
        quarter = at // QUARTER
        for ahead in range(_AHEAD):
            start = (quarter + ahead) * QUARTER
            if not any(_hour(name, start) in quiet_hours(quiet) for name in names):
                return max(at, start)
    return at


def _hour(zone: str, second: int) -> int:
    return datetime.fromtimestamp(second, ZoneInfo(zone)).hour


@lru_cache(maxsize=64)
def quiet_hours(quiet: str) -> frozenset[int]:
    """The hours that ``21-9`` names."""
    begin, end = (int(hour) for hour in quiet.split("-"))
    hours: Sequence[int] = range(begin, end) if begin <= end else (*range(begin, 24), *range(end))
    return frozenset(hours)
