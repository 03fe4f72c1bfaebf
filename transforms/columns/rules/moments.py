"""When a promotion may reach its subscriber: outside quiet hours, inside the hours that they are most active in.

Local hours change at quarters of an hour UTC (every zone in use is whole quarters away from it), so all is
worked out for quarters: moments of one quarter share their local hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from transforms.columns.contact import MIN_INTERACTIONS, SPAN, span_sums
from transforms.columns.rules.arrays import Bools, Ints, distinct, expand
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import HOURS, Older
from transforms.columns.rules.zones import Zones

QUARTER: Final = 900
_DAY: Final = 86400
_QUARTERS: Final = _DAY // QUARTER
_AHEAD: Final = (
    2 * _QUARTERS
)  # within two days every local hour comes, even if clocks are put forward over it


@dataclass(frozen=True)
class Quiet:
    """Local hours in which nobody is to be reached: from ``begin`` until ``end`` (excluded), over midnight."""

    begin: int = 21
    end: int = 9

    def hours(self) -> Bools:
        """Which of the 24 hours are quiet; none where both ends are one."""
        hour = np.arange(HOURS)
        if self.begin <= self.end:
            return (hour >= self.begin) & (hour < self.end)
        return (hour >= self.begin) | (hour < self.end)


@lru_cache(maxsize=1 << 14)
def _hours_of_day(zone: str, day: int) -> NDArray[np.uint8]:
    """Local hour at the beginning of each quarter of a UTC day (days since 1970)."""
    begin = day * _DAY
    edges = [_offset(zone, begin), _offset(zone, begin + _DAY - 1)]
    seconds = begin + np.arange(_QUARTERS) * QUARTER
    offsets = edges[0] if edges[0] == edges[1] else np.array([_offset(zone, int(s)) for s in seconds])
    return ((seconds + offsets) // 3600 % HOURS).astype(np.uint8)


def _offset(zone: str, second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def local_hours(zone: str, first_day: int, last_day: int) -> NDArray[np.uint8]:
    """Local hour of every quarter from one UTC day to another, both included."""
    return np.concatenate([_hours_of_day(zone, day) for day in range(first_day, last_day + 1)])


def hours_in(zones: Sequence[str], place: Ints, seconds: Ints) -> NDArray[np.uint8]:
    """Local hours of moments.

    Args:
        zones: names of zones.
        place: per moment the position of its zone.
        seconds: the moments, since 1970 UTC.
    """
    if not len(seconds):
        return np.empty(0, np.uint8)
    day = seconds // _DAY
    first = int(day.min())
    there = np.flatnonzero(np.bincount(day - first))
    table = np.zeros((len(zones), int(there[-1]) + 1, _QUARTERS), np.uint8)
    for k, zone in enumerate(zones):
        for d in there.tolist():
            table[k, d] = _hours_of_day(zone, first + d)
    return table[place, day - first, seconds % _DAY // QUARTER]


def contact_hours(
    codes: Ints, at: Ints, rows: Interactions, zones: Zones, default_zone: str, older: Older | None = None
) -> Ints:
    """First of the three hours in which subscribers have been most active before some moments.

    Args:
        codes: per moment the subscriber.
        at: the moments, seconds.
        rows: interactions of these subscribers, of others, too, if need be.
        zones: of ``codes``.
        default_zone: of numbers whose zone is not known.
        older: counts of interactions no longer kept.

    Returns:
        Hours 0-23, the earliest on ties; -1 with fewer than 8 interactions.
    """
    order = np.lexsort((at, codes))
    people, first = np.unique(codes[order], return_index=True)
    person = np.searchsorted(people, codes[order])
    names = [main or default_zone for _, main in zones.sets]
    rows = rows.by_caller()
    begin = np.searchsorted(rows.caller, people)
    owner, mine = expand(begin, np.searchsorted(rows.caller, people, "right") - begin)
    hour = hours_in(names, zones.place[order][first][owner], rows.start[mine])
    counts = _counts_before(person, at[order], owner, rows.start[mine], hour)
    if older is not None:
        counts += older.counts("zone_hours", codes[order])
    best = np.empty(len(codes), np.int64)
    enough = counts.sum(axis=1) >= MIN_INTERACTIONS
    best[order] = np.where(enough, span_sums(counts).argmax(axis=1), -1)
    return best


def _counts_before(person: Ints, at: Ints, owner: Ints, start: Ints, hour: NDArray[np.uint8]) -> Ints:
    """Interactions by hour before each moment, n x 24; moments ascend by person and time."""
    times = distinct(at)
    moment = person * (len(times) + 1) + np.searchsorted(times, at)
    row = owner * (len(times) + 1) + np.searchsorted(times, start, "right")
    place = np.searchsorted(moment, row)  # the first moment after the interaction
    known = np.flatnonzero(np.append(person, -1)[place] == owner)
    new = np.bincount(place[known] * HOURS + hour[known], minlength=len(at) * HOURS).reshape(-1, HOURS)
    total = np.cumsum(new, axis=0)
    first = np.flatnonzero(np.diff(person, prepend=-1))
    return total - (total - new)[np.repeat(first, np.diff(np.append(first, len(at))))]


def contact_times(
    at: Ints, zones: Zones, default_zone: str, quiet: Quiet | None, contact_from: Ints | None = None
) -> Ints:
    """The first moments at or after others at which their subscribers may be reached.

    Args:
        at: moments, seconds.
        zones: of the subscribers. With several zones it has to be outside quiet hours in all of them; where they
            leave no such hour, in the main one.
        default_zone: of numbers whose zone is not known.
        quiet: local hours to avoid, None for no such.
        contact_from: first of three local hours to keep to, -1 for any hour. Where quiet hours cover them, they
            are not kept to.
    """
    wanted = np.full(len(at), -1) if contact_from is None else contact_from
    result = np.empty(len(at), np.int64)
    order = np.argsort(zones.place, kind="stable")
    edges = np.searchsorted(zones.place[order], np.arange(len(zones.sets) + 1))
    for k, (names, main) in enumerate(zones.sets):
        mine = order[edges[k] : edges[k + 1]]
        if len(mine):
            result[mine] = _in_zones(
                at[mine], names or (default_zone,), main or default_zone, quiet, wanted[mine]
            )
    return result


def _in_zones(at: Ints, zones: Sequence[str], main: str, quiet: Quiet | None, wanted: Ints) -> Ints:
    first_day, last_day = int(at.min()) // _DAY, int(at.max()) // _DAY + 3
    quiet_hours = quiet.hours() if quiet else np.zeros(HOURS, np.bool_)
    hours = local_hours(main, first_day, last_day).astype(np.int64)
    free = ~quiet_hours[hours]
    free_everywhere = np.logical_and.reduce(
        [~quiet_hours[local_hours(z, first_day, last_day)] for z in zones]
    )
    begin = first_day * _DAY
    result, found = at.copy(), np.zeros(len(at), np.bool_)
    for start in np.flatnonzero(np.bincount(wanted[wanted >= 0])).tolist():
        mine = np.flatnonzero(wanted == start)
        inside = (hours - start) % HOURS < SPAN
        result[mine], found[mine] = _next(free_everywhere & inside, at[mine], begin)
    for allowed in (free_everywhere, free):  # without contact hours, and at last by the main zone alone
        rest = np.flatnonzero(~found)
        if len(rest):
            result[rest], found[rest] = _next(allowed, at[rest], begin)
    return result


def _next(allowed: Bools, at: Ints, begin: int) -> tuple[Ints, Bools]:
    """The first moments at or after some in an allowed quarter, and whether there is one within two days.

    Args:
        allowed: per quarter, from second ``begin`` on.
        at: moments; they stay what they are where there is none.
    """
    quarter = (at - begin) // QUARTER
    places = np.where(allowed, np.arange(len(allowed)), len(allowed) + _AHEAD)
    following = np.minimum.accumulate(places[::-1])[::-1][quarter]
    found = following - quarter < _AHEAD
    return np.where(found, np.maximum(at, begin + following * QUARTER), at), found
