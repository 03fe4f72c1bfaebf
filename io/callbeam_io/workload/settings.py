"""What the workload generator can be told: one frozen dataclass, its texts and its checks.

Every field is a flag of ``python -m pipelines.generate`` of the same name and a setting of a live
``generator:`` source; `settings_from` reads both.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from callbeam_io.workload import parsing
from callbeam_io.workload.checks import CALLS_DISTRIBUTIONS, DURATIONS, RATES, TIMES_OF_DAY, check
from transforms.errors import OptionError
from transforms.schema import BUSINESS_TYPES, PRIVATE

_START: Final = datetime(2025, 5, 5)  # a Monday, in a week in which few clocks are changed


def _setting(default: Any, group: str, text: str, parse: Callable[[str], Any] = str, **more: Any) -> Any:
    """A dataclass field that knows its flag: group and help for the command line, parser of its text."""
    metavars: dict[Callable[[str], Any], str] = {parsing.integer: "N", parsing.number: "X"}
    about = {"group": group, "help": text, "parse": parse, "metavar": metavars.get(parse)}
    return field(default=default, metadata=about | more)


@dataclass(frozen=True)
class WorkloadSettings:
    """All that a workload depends on: equal settings make equal data, on every machine.

    Shares and rates are between 0 and 1; times are wall clock times of ``zone``.
    """

    people: int = _setting(1000, "people", "how many people there are, at least 2", parsing.integer)
    calls_per_person: tuple[int, int] = _setting(
        (10, 50),
        "people",
        "least and most interactions of a person in the period",
        parsing.span,
        metavar="MIN-MAX",
    )
    calls_distribution: str = _setting(
        "uniform", "people", "how they spread between least and most", choices=CALLS_DISTRIBUTIONS
    )
    pareto_shape: float = _setting(1.16, "people", "shape of the pareto distribution", parsing.number)
    records: int | None = _setting(
        None,
        "people",
        "interactions in all: scales the calls per person",
        parsing.integer,
        shown="as they come",
    )
    home_region: str = _setting("US", "people", "ISO 3166 region of the people's numbers")
    domestic_rate: float = _setting(
        0.7, "people", "share of interactions with numbers at home", parsing.number
    )
    consent_rate: float = _setting(0.8, "people", "share of people who agree to offers", parsing.number)

    business_types: tuple[tuple[str, str], ...] = _setting(
        BUSINESS_TYPES,
        "businesses",
        "CSV business_type,tag",
        parsing.business_types,
        metavar="CSV",
        shown="the 16",
    )
    businesses: int | None = _setting(
        None,
        "businesses",
        "how many numbers the directory has",
        parsing.integer,
        shown="10 a type, or people / 50",
    )
    type_weights: tuple[tuple[str, float], ...] = _setting(
        (),
        "businesses",
        "weights of types, others weigh 1",
        parsing.weights,
        metavar="TYPE=W,…",
        shown="all 1",
    )
    favoured_type: str | None = _setting(None, "businesses", "a type that everybody favours", shown="none")
    favoured_rate: float = _setting(
        0.5,
        "businesses",
        "share of all interactions that it gets before the others share the rest",
        parsing.number,
    )
    business_caller_rate: float = _setting(
        0.1, "businesses", "share of interactions that businesses begin", parsing.number
    )

    start: datetime = _setting(  # noqa: RUF009 (a datetime is immutable)
        _START,
        "time",
        "first hour of the period, in --zone",
        parsing.moment,
        shown="2025-05-05",
    )
    days: float = _setting(7.0, "time", "length of the period in days; 0.25 is 6 hours", parsing.number)
    zone: str = _setting("UTC", "time", "zone (Europe/Paris) or offset (+05:30, =-05:00) of the stamps")
    time_of_day: str = _setting(
        "default", "time", "when people call: a daily curve, or 70%% in these six hours", choices=TIMES_OF_DAY
    )

    duration: str = _setting("default", "calls", "distribution of seconds talked", choices=DURATIONS)
    duration_mean: float = _setting(
        180.0, "calls", "mean in seconds: default (log-normal), exponential, poisson", parsing.number
    )
    duration_n: int = _setting(600, "calls", "trials of the binomial distribution", parsing.integer)
    duration_p: float = _setting(0.3, "calls", "probability of the binomial distribution", parsing.number)
    sms_share: float = _setting(0.2, "calls", "share of messages", parsing.number)
    answered_share: float = _setting(0.8, "calls", "share of ANSWERED", parsing.number)

    habit_rate: float = _setting(0.6, "habits", "share of people with planted habits", parsing.number)
    habit_strength: float = _setting(
        0.5, "habits", "share of their interactions that follow each of type, weekday, hour", parsing.number
    )

    duplicate_rate: float = _setting(0.0, "dirt", "repeated records per record", parsing.number)
    conflict_rate: float = _setting(
        0.0, "dirt", "repeated records with other values per record", parsing.number
    )
    reject_rate: float = _setting(0.0, "dirt", "bad records of nine kinds per record", parsing.number)

    seed: int = _setting(1, "data", "equal seeds and settings make equal data", parsing.integer)

    @property
    def hours(self) -> int:
        """Length of the period in hours."""
        return round(self.days * 24)

    @property
    def business_count(self) -> int:
        """Numbers in the directory: none where every type is Private."""
        types = sum(name != PRIVATE for name, _ in self.business_types)
        return 0 if not types else self.businesses or max(10 * types, self.people // 50)

    @property
    def lines_per_record(self) -> float:
        """Lines in all per good record, on average."""
        return 1 + self.duplicate_rate + self.conflict_rate + self.reject_rate

    def validate(self) -> WorkloadSettings:
        """These settings, if they can be.

        Raises:
            OptionError: naming flag, value, what was expected and what to do.
        """
        check(self)
        return self

    def fingerprint(self) -> int:
        """64 bits that differ between settings, on every machine alike; dirt makes no difference."""
        clean = {name: value for name, value in dataclasses.asdict(self).items() if name not in RATES}
        digest = hashlib.sha256(repr(clean).encode()).digest()
        return int.from_bytes(digest[:8], "big")


def settings_from(texts: Mapping[str, str], types: Sequence[tuple[str, str]] = ()) -> WorkloadSettings:
    """Validated settings from texts by name (``{"people": "500", "calls_per_person": "10-50"}``).

    Args:
        texts: the settings.
        types: the business types with their tags where the texts name no file of them; none: the usual ones.

    Raises:
        OptionError: a name that is no setting, a text that cannot be read, a value that cannot be.
    """
    fields = {f.name: f for f in dataclasses.fields(WorkloadSettings)}
    values: dict[str, Any] = {"business_types": tuple(types)} if types else {}
    for name, text in texts.items():
        if name not in fields:
            raise OptionError(f"--{name}", f"one of {', '.join(fields)}")
        try:
            values[name] = fields[name].metadata["parse"](text)
        except ValueError as error:
            raise OptionError(f"--{name} {text}", str(error)) from error
    return WorkloadSettings(**values).validate()
