"""A workload as it happens: event time follows the clock, at its speed or faster, and settings may change."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from callbeam_io.workload.settings import WorkloadSettings, settings_from
from callbeam_io.workload.workload import Workload
from transforms.errors import OptionError

Texts = Mapping[str, Any]
"""Settings by name: those of `WorkloadSettings` and `LIVE`, as texts or numbers."""

LIVE: Final = {
    "speed": "seconds of event time per second; 1 is the live clock, 1440 a day a minute (1)",
    "rate": "records a second, on average (as many as the people make at this speed)",
    "paused": "true: nothing happens (false)",
}
"""Settings of live data only."""
SLICE: Final = 20_000
"""Records that are made at once, on average."""
_MOST_RECORDS: Final = 1_000_000_000  # of a period; with more, the period is made shorter
_MOST_SPEED: Final = 1_000_000
_REREAD: Final = 1.0


@dataclass(frozen=True)
class LiveSettings:
    """Checked settings.

    Attributes:
        workload: what happens.
        speed: seconds of event time per second.
        paused: nothing happens.
        on_clock: event time is the clock's.
    """

    workload: WorkloadSettings
    speed: float
    paused: bool
    on_clock: bool


def live_settings(texts: Texts, types: Sequence[tuple[str, str]] = ()) -> LiveSettings:
    """Settings from texts or numbers by name; those of value None count as not given.

    ``types`` are as of `settings_from`.

    Raises:
        OptionError: a name that is no setting, a value that cannot be.
    """
    given = {name: str(value) for name, value in texts.items() if value is not None}
    speed = _number(given.pop("speed", "1"), "speed", _MOST_SPEED)
    rate = given.pop("rate", None)
    paused = given.pop("paused", "false").lower()
    if paused not in ("true", "false"):
        raise OptionError(f"--paused {paused}", "true or false")
    workload = settings_from(given, types)
    if rate is not None:
        workload = _at_rate(workload, _number(rate, "rate", 10_000_000) / speed)
    return LiveSettings(workload, speed, paused == "true", speed == 1 and "start" not in given)


def _number(text: str, name: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise OptionError(f"--{name} {text}", f"a number more than 0, at most {most:,}")
    return value


def _at_rate(workload: WorkloadSettings, per_second: float) -> WorkloadSettings:
    """The workload with so many good records per second of event time."""
    hours = max(1, min(workload.hours, int(_MOST_RECORDS / (per_second * 3600))))
    records = max(1, round(per_second * hours * 3600))
    return replace(workload, days=hours / 24, records=records).validate()


class LiveStream:
    """What happens from a moment on, slice by slice as the clock comes to it.

    It is a function of settings and event time alone: going on from a stored position gives what comes next,
    cut into other slices perhaps. New settings hold from the next slice on.

    Args:
        texts: settings; see `Texts`.
        position: where to go on, see `position`; None: now, or at ``start`` where that is given or the speed
            is not 1.
        control: asked once a second for settings that go before those of ``texts``; None from it: none do.
        clock: seconds since 1970.

    Raises:
        OptionError: settings that cannot be.
    """

    def __init__(
        self,
        texts: Texts,
        position: Mapping[str, Any] | None = None,
        control: Callable[[], Texts | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._texts, self._control, self._clock = texts, control, clock
        self.trouble: str | None = None
        self._asked = 0.0
        now = clock()
        self._given: Texts = texts if position is None else position["settings"]
        if position is None:
            self._given = self._wanted() or texts
        self._settings = live_settings(self._given)
        self._workload = Workload(self._settings.workload)
        self._at = self._beginning(now) if position is None else int(position["at"])
        self._anchor = (now, max(now, self._at) if self._settings.on_clock else float(self._at))

    @property
    def position(self) -> dict[str, Any]:
        """What comes next, as JSON: the first second that is not taken yet, and the settings in force."""
        return {"at": self._at, "settings": dict(self._given)}

    @property
    def workload(self) -> Workload:
        """Who is there now."""
        return self._workload

    def refresh(self) -> None:
        """Asks for new settings, if a second has passed since they were asked for."""
        now = self._clock()
        if self._control is not None and abs(now - self._asked) >= _REREAD:
            self._asked = now
            self._change(now)

    def take(self) -> pl.DataFrame | None:
        """The records of the seconds that are over but not taken; some of them where they are many.

        A frame as `Workload.slice_of` gives it, in order of time and perhaps empty; None: no second is over.
        """
        self.refresh()
        due = int(self._event_time(self._clock()))
        if self._settings.paused or due <= self._at:
            return None
        start, self._at = self._at, min(due, self._at + max(1, int(SLICE / self._density)))
        return self._workload.slice_of(_moment(start), _moment(self._at))

    def behind(self) -> int:
        """About how many records are over but not taken."""
        seconds = max(0.0, self._event_time(self._clock()) - self._at - 1)
        return 0 if self._settings.paused else int(seconds * self._density)

    def wait(self) -> float:
        """Seconds until the next second of event time is over."""
        if self._settings.paused:
            return _REREAD
        return max(0.0, (self._at + 1 - self._event_time(self._clock())) / self._settings.speed)

    @property
    def _density(self) -> float:
        """Records per second of event time, on average."""
        settings = self._workload.settings
        return max(self._workload.total * settings.lines_per_record / (settings.hours * 3600), 1e-9)

    def _event_time(self, now: float) -> float:
        since, event = self._anchor
        return event + (now - since) * self._settings.speed

    def _beginning(self, now: float) -> int:
        return int(now) if self._settings.on_clock else int(self._workload.start.timestamp())

    def _wanted(self) -> Texts | None:
        """New settings; None where there are none, or they cannot be, which `trouble` explains."""
        self.trouble = None
        try:
            found = self._control() if self._control is not None else None
            wanted = {**self._texts, **(found or {})}
            if wanted == self._given:
                return None
            live_settings(wanted)
        except OptionError as error:
            self.trouble = f"settings stay as they were: {error}"
            return None
        return wanted

    def _change(self, now: float) -> None:
        """Takes new settings over; event time goes on from where it is, after a pause from the clock's."""
        wanted = self._wanted()
        if wanted is None:
            return
        before, event = self._settings, self._event_time(now)
        self._given, self._settings = wanted, live_settings(wanted)
        if before.paused:
            event = float(self._at)
            if self._settings.on_clock:
                event = max(event, now)
                self._at = int(event)
        self._anchor = (now, event)
        if self._settings.workload != before.workload:
            self._workload = Workload(self._settings.workload)


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
