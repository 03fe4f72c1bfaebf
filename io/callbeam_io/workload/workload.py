"""A workload: everybody, and what they do in any stretch of time, from settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import polars as pl

from callbeam_io.workload.clock import zone_of
from callbeam_io.workload.dirt import add_dirt
from callbeam_io.workload.interactions import accounts, interactions, plus
from callbeam_io.workload.mixing import key_of, mix, unit
from callbeam_io.workload.plan import Plan
from callbeam_io.workload.population import NONE, Population, populate
from callbeam_io.workload.settings import WorkloadSettings
from transforms.schema import RECORD_FIELDS

_CONSENT: Final = 301
_WITHDRAWN: Final = 0.03
"""Share of those who agreed that take it back half-way through the period."""
_CHANGE: Final = timedelta(hours=1)
"""How far clocks are put forward or back."""


class Workload:
    """Everybody, and what they do in any stretch of time.

    The same settings give the same data, whatever is asked for first: all of a period (``days`` from
    ``start``) in order of time, or any slice of it. After the period, and before it, come others of the same
    length in which everybody makes as many interactions again, at other times.
    """

    def __init__(self, settings: WorkloadSettings) -> None:
        self.settings = settings.validate()
        self._plan = lru_cache(2)(self._make_plan)
        self._block = lru_cache(2)(self._make_block)

    @property
    def start(self) -> datetime:
        """Start of the period, UTC."""
        return self.settings.start.replace(tzinfo=zone_of(self.settings.zone)).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """End of the period (not in it), UTC."""
        end = self.settings.start + timedelta(hours=self.settings.hours)
        return end.replace(tzinfo=zone_of(self.settings.zone)).astimezone(UTC)

    @property
    def utc(self) -> bool:
        """Whether local time is UTC."""
        return zone_of(self.settings.zone) == UTC

    @property
    def total(self) -> int:
        """Good records in a period."""
        return self._plan(0).total

    def people(self) -> pl.DataFrame:
        """One row per person: number, account_id, interactions (in a period), and the habit that was planted:
        business_type, tag, weekday (0 = Monday), hour (of local time); null where there is none."""
        people, types = self._population.people, self.settings.business_types
        kind = pl.Series(people.habit_type)
        names = {i: name for i, (name, _) in enumerate(types)}
        tags = {i: tag for i, (_, tag) in enumerate(types)}
        return pl.DataFrame(
            {
                "number": plus(people.number),
                "account_id": accounts(np.arange(len(people.number))),
                "interactions": people.calls,
                "business_type": kind.replace_strict(names, default=None, return_dtype=pl.String),
                "tag": kind.replace_strict(tags, default=None, return_dtype=pl.String),
                "weekday": people.weekday,
                "hour": people.hour,
            }
        ).with_columns(pl.col("weekday", "hour").replace(NONE, None))

    def directory(self) -> pl.DataFrame:
        """The businesses: number, business_type; what is not in it is Private."""
        businesses = self._population.businesses
        names = pl.Series([name for name, _ in self.settings.business_types])
        return pl.DataFrame(
            {
                "number": plus(businesses.number),
                "business_type": names.gather(businesses.type.astype(np.int64)),
            }
        )

    def consent(self) -> pl.DataFrame:
        """Who agreed to offers: subscriber, opted_in, at (UTC), a row per answer, by subscriber and time.

        `consent_rate` of the people agreed before the period, some of them take it back in its middle; half
        of the others refused, the other half never answered.
        """
        people = self._population.people
        chance = unit(mix(np.arange(len(people.number)), key_of(self.settings.seed, _CONSENT)))
        agreed = self.settings.consent_rate
        answers = pl.DataFrame({"subscriber": plus(people.number), "chance": chance})
        first = answers.filter(pl.col("chance") < (1 + agreed) / 2).select(
            "subscriber", opted_in=pl.col("chance") < agreed, at=pl.lit(self.start - timedelta(days=1))
        )
        middle = self.start + (self.end - self.start) / 2
        later = answers.filter(pl.col("chance") < agreed * _WITHDRAWN)
        later = later.select("subscriber", opted_in=pl.lit(False), at=pl.lit(middle))
        return pl.concat([first, later]).sort("subscriber", "at")

    def records(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[pl.DataFrame]:
        """The good records of [start, end) in order of time (aware times; default: the period).

        Frames of some 100,000 rows with the columns of `RECORD_FIELDS`: start_time a UTC datetime (us),
        duration int32 seconds, charge float64, the others text; and ``offset``, int32 seconds of local time
        ahead of UTC.
        """
        for frame in self.frames(start, end):
            yield frame.filter(pl.col("dirt") == 0).select(*RECORD_FIELDS, "offset")

    def frames(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[pl.DataFrame]:
        """As `records`, with the dirt that is asked for and the column ``dirt`` that names it."""
        low, high = start or self.start, end or self.end
        for period in self._periods(low, high):
            plan = self._plan(period)
            for block in range(plan.blocks):
                first, last = (datetime.fromtimestamp(second, UTC) for second in plan.span(block))
                if first < high and last > low:
                    frame = self._block(period, block)
                    if first < low or last > high:
                        frame = frame.filter(pl.col("start_time").is_between(low, high, closed="left"))
                    yield frame

    def slice_of(self, start: datetime, end: datetime) -> pl.DataFrame:
        """The frames of [start, end) as one: what a live source sends for that time.

        Neighbouring slices have nothing in common and leave nothing out; nothing else is made for one but the
        blocks that it touches, of which the last are kept.
        """
        frames = list(self.frames(start, end))
        return pl.concat(frames) if frames else self._block(0, 0).clear()

    @cached_property
    def _population(self) -> Population:
        return populate(self.settings)

    def _periods(self, low: datetime, high: datetime) -> range:
        """The periods that may have something between these times."""
        zone, length = zone_of(self.settings.zone), timedelta(hours=self.settings.hours)
        first, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (low, high))
        change = timedelta(0) if zone.utcoffset(None) is not None else _CHANGE
        begin = self.settings.start
        return range((first - change - begin) // length, -((begin - last - change) // length))

    def _make_plan(self, period: int) -> Plan:
        return Plan(self._population, period)

    def _make_block(self, period: int, block: int) -> pl.DataFrame:
        drawn = self._plan(period).block(block)
        return add_dirt(self._population, drawn, interactions(self._population, drawn))
