"""Who is there: people with their habits, businesses with their types. All of it from hashes of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from callbeam_io.workload.clock import slots_of, zone_of
from callbeam_io.workload.mixing import I64, deal, key_of, mix, unit
from callbeam_io.workload.numbering import ABROAD, NumberPlan
from callbeam_io.workload.settings import WorkloadSettings
from callbeam_io.workload.shapes import F64, WEEKLY_CURVE, calls_per_person, hour_shares, pick, type_shares
from transforms.schema import PRIVATE

NONE: Final = -1
"""No habit."""
HOME, AWAY = 0, 1
_NUMBERS, _CALLS, _HABIT, _TYPE, _WEEKTIME, _REGION = range(1, 7)


@dataclass(frozen=True)
class People:
    """Per person E.164 digits, interactions in a period, planted type, weekday, hour (`NONE`: no habit)."""

    number: I64
    calls: I64
    habit_type: npt.NDArray[np.int16]
    weekday: npt.NDArray[np.int8]
    hour: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Businesses:
    """Per business, by type and there home before abroad: E.164 digits, type, interactions in a period.

    ``first[t, side]`` and ``count[t, side]`` say which rows are of type t at `HOME` or `AWAY`.
    """

    number: I64
    type: npt.NDArray[np.int16]
    calls: I64
    first: I64
    count: I64


@dataclass(frozen=True)
class Population:
    """Everybody, with what the drawing of their interactions needs.

    Callers are counted through: people first, then businesses. ``numbers`` and ``habits`` (types) are by
    caller; ``private`` is the position of that type; ``mark`` goes into the ids.
    """

    settings: WorkloadSettings
    people: People
    businesses: Businesses
    numbers: I64
    habits: npt.NDArray[np.int16]
    shares: F64
    private: int
    abroad: tuple[NumberPlan, ...]
    abroad_shares: F64
    mark: int


def populate(settings: WorkloadSettings) -> Population:
    """The population of these (validated) settings."""
    abroad = [(region, weight) for region, weight in ABROAD if region != settings.home_region]
    plans = tuple(NumberPlan.of(region) for region, _ in abroad)
    regions = np.array([weight for _, weight in abroad], dtype=np.float64)
    names = [name for name, _ in settings.business_types]
    shares = type_shares(settings)
    people_calls, business_calls = _calls(settings)
    people = _people(settings, shares, people_calls)
    businesses = _businesses(settings, plans, regions, business_calls)
    nothing = np.full(len(businesses.number), NONE, dtype=np.int16)
    return Population(
        settings=settings,
        people=people,
        businesses=businesses,
        numbers=np.concatenate([people.number, businesses.number]),
        habits=np.concatenate([people.habit_type, nothing]),
        shares=shares,
        private=names.index(PRIVATE),
        abroad=plans,
        abroad_shares=regions / regions.sum(),
        mark=settings.fingerprint() & 0xFF,
    )


def _calls(s: WorkloadSettings) -> tuple[I64, int]:
    """Interactions of each person, and of all businesses together, in a period."""
    calls = calls_per_person(s, unit(mix(np.arange(s.people), key_of(s.seed, _CALLS))))
    share = s.business_caller_rate if s.business_count else 0.0
    if s.records is None:
        return calls, round(int(calls.sum()) * share / (1 - share))
    business = round(s.records * share)
    return deal(calls, s.records - business), business


def _people(s: WorkloadSettings, shares: F64, calls: I64) -> People:
    index = np.arange(s.people)
    habit = unit(mix(index, key_of(s.seed, _HABIT))) < s.habit_rate
    planted = pick(shares, unit(mix(index, key_of(s.seed, _TYPE))))
    week = pick(_week_shares(s), unit(mix(index, key_of(s.seed, _WEEKTIME))))
    return People(
        number=NumberPlan.of(s.home_region).person(index, key_of(s.seed, _NUMBERS)),
        calls=calls,
        habit_type=np.where(habit, planted, NONE).astype(np.int16),
        weekday=np.where(habit, week // 24, NONE).astype(np.int8),
        hour=np.where(habit, week % 24, NONE).astype(np.int8),
    )


def _week_shares(s: WorkloadSettings) -> F64:
    """Weights of the hours of the week, Monday 0 h first; 0 of those that the period has not."""
    slots = slots_of(s.start, s.hours, zone_of(s.zone))
    weights = np.outer(WEEKLY_CURVE, hour_shares(s.time_of_day)).ravel()
    there = np.bincount(slots.weekday * 24 + slots.hour, minlength=168) > 0
    return weights * there


def _businesses(s: WorkloadSettings, plans: tuple[NumberPlan, ...], regions: F64, calls: int) -> Businesses:
    names = [name for name, _ in s.business_types]
    open_types = np.array([name != PRIVATE for name in names])
    per_type = deal(open_types.astype(np.int64), s.business_count)
    home = np.clip(np.rint(per_type * s.domestic_rate).astype(np.int64), 2, per_type - (s.domestic_rate < 1))
    count = np.stack([np.where(open_types, home, 0), np.where(open_types, per_type - home, 0)], axis=1)
    first = np.cumsum(count).reshape(count.shape) - count
    side = np.repeat(np.tile([HOME, AWAY], len(names)), count.ravel())
    own = deal((side == HOME).astype(np.int64), calls)
    return Businesses(
        number=_business_numbers(s, side, plans, regions),
        type=np.repeat(np.arange(len(names)), per_type * open_types).astype(np.int16),
        calls=own,
        first=first,
        count=count,
    )


def _business_numbers(s: WorkloadSettings, side: I64, plans: tuple[NumberPlan, ...], regions: F64) -> I64:
    where = pick(regions, unit(mix(np.arange(len(side)), key_of(s.seed, _REGION))))
    where[side == HOME] = len(plans)
    numbers = np.zeros(len(side), dtype=np.int64)
    for region, plan in enumerate((*plans, NumberPlan.of(s.home_region))):
        rows = np.flatnonzero(where == region)
        numbers[rows] = plan.business(np.arange(len(rows)), key_of(s.seed, _NUMBERS, region))
    return numbers
