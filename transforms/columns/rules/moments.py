"""When a promotion may reach its subscriber: outside quiet hours, inside the hours that they are most active in.

Local hours change at quarters of an hour UTC (every zone in use is whole quarters away from it), so all is
worked out for quarters: moments of one quarter share their local hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from transforms.columns.contact import MIN_INTERACTIONS, SPAN, span_sums
from transforms.columns.rules.arrays import Bools, Ints, expand
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import HOURS, Older
from transforms.columns.rules.zones import Zones

QUARTER: Final = 900
_DAY: Final = 86400
_QUARTERS: Final = _DAY // QUARTER
_AHEAD: Final = 2 * _QUARTERS
"""Within two days every local hour comes, even if clocks are put forward over it."""
_DAYS: Final = 32
"""Days worked on are whole numbers of so many, so that what was found for some moments serves for others."""


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
    first = int(seconds.min()) // _DAY
    quarter = seconds // QUARTER - first * _QUARTERS
    there = np.flatnonzero(np.bincount(quarter // _QUARTERS))
    table = np.zeros((len(zones), int(there[-1]) + 1, _QUARTERS), np.uint8)
    for k, zone in enumerate(zones):
        for d in there.tolist():
            table[k, d] = _hours_of_day(zone, first + d)
    return table.reshape(-1)[place * table[0].size + quarter]


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
        counts = counts + older.counts("zone_hours", codes[order])
    best = np.empty(len(codes), np.int64)
    enough = counts.sum(axis=1) >= MIN_INTERACTIONS
    best[order] = np.where(enough, span_sums(counts).argmax(axis=1), -1)
    return best


def _counts_before(person: Ints, at: Ints, owner: Ints, start: Ints, hour: NDArray[np.uint8]) -> NDArray[Any]:
    """Interactions by hour before each moment, n x 24; both ascend by person and time."""
    if not len(start):
        return np.zeros((len(at), HOURS), np.int64)
    begin = min(int(at.min()), int(start.min()))
    length = max(int(at.max()), int(start.max())) - begin + 1
    before = np.searchsorted(owner * length + (start - begin), person * length + (at - begin))
    following = np.cumsum(np.bincount(before, minlength=len(start)))[
        : len(start)
    ]  # the first moment after each
    known = np.flatnonzero(np.append(person, -1)[following] == owner)
    cells = following[known] * HOURS + hour[known]
    new = np.bincount(cells, minlength=len(at) * HOURS).reshape(-1, HOURS).astype(np.int32)
    total = np.cumsum(new, axis=0, dtype=np.int32)
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
    if not len(at):
        return at
    wanted = np.full(len(at), -1) if contact_from is None else contact_from
    case = zones.place * (HOURS + 1) + wanted + 1
    there = np.flatnonzero(np.bincount(case))
    first_day = int(at.min()) // _DAY // _DAYS * _DAYS
    last_day = (int(at.max()) // _DAY + 3) // _DAYS * _DAYS + _DAYS - 1
    waits = np.empty((len(there), (last_day - first_day + 1) * _QUARTERS), np.uint8)
    for row, (place, hour) in enumerate(zip(*np.divmod(there, HOURS + 1), strict=True)):
        names, main = zones.sets[place]
        of = _Reached(names or (default_zone,), main or default_zone, quiet, int(hour) - 1)
        waits[row] = _waits(of, first_day, last_day)
    quarter = at // QUARTER
    wait = waits[np.searchsorted(there, case), quarter - first_day * _QUARTERS]
    return np.where(wait > 0, (quarter + wait) * QUARTER, at)


class _Reached(NamedTuple):
    """When some subscribers may be reached; see `contact_times`."""

    zones: tuple[str, ...]
    main: str
    quiet: Quiet | None
    wanted: int


@lru_cache(maxsize=1 << 11)
def _waits(of: _Reached, first_day: int, last_day: int) -> NDArray[np.uint8]:
    """Per quarter of some UTC days how many quarters there are until one in which subscribers may be reached."""
    quiet_hours = of.quiet.hours() if of.quiet else np.zeros(HOURS, np.bool_)
    hours = local_hours(of.main, first_day, last_day).astype(np.int64)
    free = ~quiet_hours[hours]
    everywhere = np.logical_and.reduce([~quiet_hours[local_hours(z, first_day, last_day)] for z in of.zones])
    inside = (hours - of.wanted) % HOURS < SPAN
    wait = _until(free)
    for better in (everywhere, everywhere & inside) if of.wanted >= 0 else (everywhere,):
        until = _until(better)
        wait = np.where(until < _AHEAD, until, wait)
    return np.where(wait < _AHEAD, wait, 0).astype(np.uint8)


def _until(allowed: Bools) -> Ints:
    """Per quarter how many there are until an allowed one; `_AHEAD` and more where none follows."""
    quarter = np.arange(len(allowed))
    places = np.where(allowed, quarter, len(allowed) + _AHEAD)
    return np.minimum.accumulate(places[::-1])[::-1] - quarter
