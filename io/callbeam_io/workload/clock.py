"""The wall clock of a workload: a period cut into slots of local time, each with its offset from UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from callbeam_io.workload.mixing import I64
from transforms.errors import OptionError

_OFFSET: Final = re.compile(r"([+-])([01]\d|2[0-3]):?([0-5]\d)")
_EPOCH: Final = datetime(1970, 1, 1)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Slots:
    """Equal slots of a period in the order of time, one row each.

    ``start`` seconds since 1970 UTC; ``offset`` seconds to add for local time; ``weekday`` 0 = Monday and
    ``hour`` of local time; ``length`` in seconds.
    """

    start: I64
    offset: npt.NDArray[np.int32]
    weekday: I64
    hour: I64
    length: int


def zone_of(text: str) -> tzinfo:
    """A zone from ``UTC``, ``Europe/Paris``, ``+05:30`` or ``-0500``.

    Raises:
        OptionError: no such zone.
    """
    found = _OFFSET.fullmatch(text)
    if found:
        sign, hours, minutes = found.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(offset if sign == "+" else -offset)
    if text.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, LookupError) as error:
        raise OptionError(
            f"--zone {text}", "a zone such as Europe/Paris, or an offset such as +05:30"
        ) from error


def slots_of(start: datetime, hours: int, zone: tzinfo, length: int = 3600) -> Slots:
    """The slots of `hours` hours of wall clock from `start` (naive, a whole hour); `length` divides 3600.

    Hours in which the clocks are changed are left out.
    """
    walls = [start + i * _HOUR for i in range(hours)]
    whole = [(wall, ahead) for wall in walls if (ahead := _offset(wall, zone)) is not None]
    within = np.tile(np.arange(0, 3600, length, dtype=np.int64), len(whole))
    parts = 3600 // length
    wall = np.repeat(np.array([(w - _EPOCH) // _SECOND for w, _ in whole], dtype=np.int64), parts) + within
    offset = np.repeat(np.array([ahead for _, ahead in whole], dtype=np.int32), parts)
    return Slots(
        start=wall - offset,
        offset=offset,
        weekday=(wall // 86400 + 3) % 7,
        hour=wall // 3600 % 24,
        length=length,
    )


def _offset(wall: datetime, zone: tzinfo) -> int | None:
    """Seconds that local time is ahead of UTC in that hour; None where the hour is not whole."""
    first, last = wall.replace(tzinfo=zone), (wall + _HOUR - _SECOND).replace(tzinfo=zone)
    offset = first.utcoffset()
    for moment in (first, last):
        there = moment.astimezone(UTC).astimezone(zone)
        if moment.utcoffset() != offset or there.replace(tzinfo=None) != moment.replace(tzinfo=None):
            return None
    return None if offset is None or offset.microseconds else offset // _SECOND
