"""What settings of a workload can be: every check names the flag, its value and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from callbeam_io.workload.clock import slots_of, zone_of
from callbeam_io.workload.numbering import NumberPlan, is_home
from transforms.errors import OptionError
from transforms.schema import PRIVATE

if TYPE_CHECKING:
    from callbeam_io.workload.settings import WorkloadSettings

CALLS_DISTRIBUTIONS: Final = ("uniform", "poisson", "pareto")
DURATIONS: Final = ("default", "exponential", "poisson", "binomial")
TIMES_OF_DAY: Final = ("default", "midnight", "morning", "afternoon", "evening")
LEAST_BUSINESSES: Final = 4
"""Businesses that every type needs: two at home, so that none has to call itself, and some abroad."""
_MOST_RECORDS: Final = 2_000_000_000
_SHARES: Final = (
    "domestic_rate",
    "business_caller_rate",
    "favoured_rate",
    "sms_share",
    "answered_share",
    "habit_rate",
    "habit_strength",
    "consent_rate",
)
RATES: Final = ("duplicate_rate", "conflict_rate", "reject_rate")


def check(settings: WorkloadSettings) -> None:
    """Raises OptionError for the first setting that cannot be."""
    _check_shares(settings)
    _check_numbers(settings)
    _check_time(settings)
    _check_types(settings)
    _check_room(settings)


def _need(right: bool, flag: str, value: object, expected: str, todo: str = "") -> None:
    if not right:
        raise OptionError(f"--{flag} {value}", expected, todo)


def _check_shares(s: WorkloadSettings) -> None:
    for name in _SHARES:
        _need(0 <= getattr(s, name) <= 1, name, getattr(s, name), "a share between 0 and 1")
    for name in RATES:
        _need(0 <= getattr(s, name) <= 10, name, getattr(s, name), "a rate between 0 and 10 per record")
    _need(
        s.business_caller_rate < 1,
        "business_caller_rate",
        s.business_caller_rate,
        "less than 1",
        "People call too",
    )


def _check_numbers(s: WorkloadSettings) -> None:
    least, most = s.calls_per_person
    _need(2 <= s.people <= 50_000_000, "people", s.people, "2 to 50,000,000", "They call each other")
    _need(0 <= least <= most, "calls_per_person", f"{least}-{most}", "least-most, such as 10-50")
    _need(0 < most <= 1_000_000, "calls_per_person", f"{least}-{most}", "a most of 1 to 1,000,000")
    _need(
        s.calls_distribution in CALLS_DISTRIBUTIONS,
        "calls_distribution",
        s.calls_distribution,
        _one(CALLS_DISTRIBUTIONS),
    )
    pareto = s.calls_distribution == "pareto"
    _need(not pareto or least > 0, "calls_per_person", f"{least}-{most}", "a least of 1 or more with pareto")
    _need(0 < s.pareto_shape <= 100, "pareto_shape", s.pareto_shape, "more than 0, at most 100")
    total = s.records if s.records is not None else s.people * most
    _need(1 <= total <= _MOST_RECORDS, "records", total, f"1 to {_MOST_RECORDS:,}", "Ask for less at once")
    _need(s.duration in DURATIONS, "duration", s.duration, _one(DURATIONS))
    _need(
        0 < s.duration_mean <= 86400, "duration_mean", s.duration_mean, "seconds, more than 0, at most 86400"
    )
    _need(1 <= s.duration_n <= 86400, "duration_n", s.duration_n, "1 to 86400")
    _need(0 <= s.duration_p <= 1, "duration_p", s.duration_p, "a probability between 0 and 1")
    _need(0 <= s.seed < 2**63, "seed", s.seed, "a whole number from 0")


def _check_time(s: WorkloadSettings) -> None:
    whole = s.start == s.start.replace(minute=0, second=0, microsecond=0)
    _need(
        whole and s.start.tzinfo is None,
        "start",
        s.start,
        "a whole hour without an offset (2025-05-05T06:00)",
    )
    _need(1980 <= s.start.year <= 2099, "start", s.start, "a year from 1980 to 2099")
    right = 1 <= s.hours <= 24 * 3660 and abs(s.days * 24 - s.hours) < 1e-6
    _need(right, "days", s.days, "whole hours, up to ten years", "0.5 is half a day")
    _need(s.time_of_day in TIMES_OF_DAY, "time_of_day", s.time_of_day, _one(TIMES_OF_DAY))
    some = len(slots_of(s.start, s.hours, zone_of(s.zone)).start)
    _need(some > 0, "start", s.start, "a period with an hour in which the clocks are not changed")


def _check_types(s: WorkloadSettings) -> None:
    names = [name for name, _ in s.business_types]
    _need(0 < len(names) <= 64, "business_types", f"of {len(names)} types", "1 to 64 types")
    _need(len(set(names)) == len(names), "business_types", ",".join(names), "each type once")
    _need(PRIVATE in names, "business_types", ",".join(names), f"{PRIVATE} among them: the type of people")
    for name, weight in s.type_weights:
        _need(name in names, "type_weights", name, _one(names))
        _need(0 <= weight < 1e9, "type_weights", f"{name}={weight:g}", "a weight of 0 or more")
    _need(
        len({n for n, _ in s.type_weights}) == len(s.type_weights),
        "type_weights",
        s.type_weights,
        "each type once",
    )
    weights = dict.fromkeys(names, 1.0) | dict(s.type_weights)
    _need(sum(weights.values()) > 0, "type_weights", "of 0 for every type", "a type that weighs more than 0")
    favoured = s.favoured_type
    _need(favoured is None or favoured in names, "favoured_type", favoured, _one(names))
    least = LEAST_BUSINESSES * sum(name != PRIVATE for name in names)
    enough = s.businesses is None or least <= s.businesses <= 10_000_000
    _need(
        enough,
        "businesses",
        s.businesses,
        f"{least} to 10,000,000 ({LEAST_BUSINESSES} or more for every type)",
    )


def _check_room(s: WorkloadSettings) -> None:
    _need(is_home(s.home_region), "home_region", s.home_region, "an ISO 3166 region such as US or DE")
    plan = NumberPlan.of(s.home_region)
    there = f"with --home_region {s.home_region}, which has no more numbers"
    _need(s.people <= plan.people, "people", s.people, f"at most {plan.people:,} {there}")
    room = plan.capacity - plan.people
    _need(s.business_count <= room, "businesses", s.business_count, f"at most {room:,} {there}")


def _one(names: tuple[str, ...] | list[str]) -> str:
    return "one of " + ", ".join(names)
