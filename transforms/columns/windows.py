"""Windows over event time: parsing of ``--window``, panes, and the rows of windows from sums of panes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.errors import OptionError
from transforms.schema import ALL_END, ALL_START, TIME_FORMAT

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+)([smhd])")
_MAX_SECONDS: Final = 10_000 * 86400
_MOST_DAYS: Final = 2_932_897  # until the year 10000


def parse_duration(text: str, flag: str = "duration") -> int:
    """Seconds of ``90s``, ``15m``, ``2h`` or ``1d``.

    Raises:
        OptionError: for anything else, naming ``flag``.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = int(match[1]) * UNITS[match[2]] if match else -1
    if not 0 <= seconds <= _MAX_SECONDS:
        raise OptionError(f"{flag} {text!r}", "a whole number with a unit s, m, h or d, such as 90s or 2h")
    return seconds


@dataclass(frozen=True)
class Window:
    """A kind of window: ``all`` (size 0), fixed (slide == size) or sliding. Lengths in seconds."""

    size: int = 0
    slide: int = 0

    @property
    def cumulative(self) -> bool:
        """Whether the whole run is one window."""
        return self.size == 0

    @property
    def pane(self) -> int:
        """Length of the largest steps that every window is made of (0: the whole run is one)."""
        return math.gcd(self.size, self.slide)

    def __str__(self) -> str:
        if self.cumulative:
            return "all"
        if self.size == self.slide:
            return f"fixed:{self.size}s"
        return f"sliding:{self.size}s/{self.slide}s"


def parse_window(text: str, flag: str = "--window") -> Window:
    """The window of ``all``, ``fixed:1d`` or ``sliding:60s/5s``.

    Raises:
        OptionError: for anything else, a length of 0, or a slide longer than the window (records would fall
            between windows).
    """
    expected = "all, fixed:LENGTH or sliding:LENGTH/SLIDE, such as fixed:1d or sliding:60s/5s"
    kind, _, lengths = text.strip().partition(":")
    if kind == "all" and not lengths:
        return Window()
    parts = lengths.split("/")
    if (kind, len(parts)) not in (("fixed", 1), ("sliding", 2)):
        raise OptionError(f"{flag} {text!r}", expected)
    seconds = [_window_length(part, text, flag, expected) for part in parts]
    if seconds[-1] > seconds[0]:
        raise OptionError(
            f"{flag} {text!r}", "a slide not longer than the window", "records would be in no window"
        )
    return Window(seconds[0], seconds[-1])


def _window_length(part: str, text: str, flag: str, expected: str) -> int:
    match = _DURATION.fullmatch(part)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= _MAX_SECONDS:
        raise OptionError(f"{flag} {text!r}", expected)
    return seconds


def pane_of(seconds: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """Start second of the pane that each second is in (0 where the whole run is one window)."""
    if window.cumulative:
        return np.zeros(len(seconds), np.int64)
    return seconds - seconds % window.pane


def first_ending_window(last: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """Start second of the first window to end after each ``last`` second (cumulative: the least int64).

    Windows start at k * slide and last ``size``; the one wanted is the least k with k * slide + size > last.
    """
    if window.cumulative:
        return np.full(len(last), np.iinfo(np.int64).min)
    return ((last - window.size) // window.slide + 1) * window.slide


def time_text(seconds: NDArray[np.int64]) -> pl.Series:
    """Seconds since 1970 as ``YYYY-MM-DD HH:MM:SS`` (UTC)."""
    if len(seconds) and int(seconds.min()) >= 0 and int(seconds.max()) < _MOST_DAYS * 86400:
        days, clock = np.divmod(seconds, 86400)
        low = int(days.min())
        if int(days.max()) - low <= len(seconds) // 8:  # else dates are the greater part of the work
            return _joined_text(days - low, _dates(low, int(days.max())), clock)
    distinct, inverse = np.unique(seconds, return_inverse=True)
    stamps = pl.Series(distinct.astype(np.int64) * 1_000_000).cast(pl.Datetime("us"))
    return stamps.dt.strftime(TIME_FORMAT).gather(inverse)


def _dates(first: int, last: int) -> pl.Series:
    """``YYYY-MM-DD`` and a blank of days since 1970, one after the other."""
    days = pl.Series(np.arange(first, last + 1, dtype=np.int32)).cast(pl.Date)
    return days.dt.strftime("%Y-%m-%d ")


@cache
def _clock_texts() -> NDArray[np.bytes_]:
    """``HH:MM:SS`` of every second of a day."""
    seconds = pl.Series(np.arange(86400, dtype=np.int64) * 1_000_000).cast(pl.Datetime("us"))
    return seconds.dt.strftime("%H:%M:%S").to_numpy().astype("S8")


def _joined_text(day: NDArray[np.int64], dates: pl.Series, clock: NDArray[np.int64]) -> pl.Series:
    """Texts of dates and times of day, put together byte by byte: that is ten times faster than to format each."""
    bytes_ = np.empty(len(day), [("date", "S11"), ("clock", "S8")])
    bytes_["date"] = dates.to_numpy().astype("S11")[day]
    bytes_["clock"] = _clock_texts()[clock]
    ends = pa.py_buffer(np.arange(0, 19 * len(day) + 1, 19, dtype=np.int64))
    array = pa.Array.from_buffers(pa.large_string(), len(day), [None, ends, pa.py_buffer(bytes_)])
    return pl.Series(pl.from_arrow(array))


def _repeat(text: str, n: int) -> pl.Series:
    return pl.repeat(text, n, dtype=pl.String, eager=True)


def window_bounds_text(starts: NDArray[np.int64], window: Window) -> tuple[pl.Series, pl.Series]:
    """Texts of window starts and ends, for start seconds (ignored where the whole run is one window)."""
    if window.cumulative:
        return _repeat(ALL_START, len(starts)), _repeat(ALL_END, len(starts))
    return time_text(starts), time_text(starts + window.size)


def windows_of_panes(panes: NDArray[np.int64], window: Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which windows each pane is part of.

    Args:
        panes: start seconds of panes.

    Returns:
        (positions in ``panes``, start seconds of windows), one pair per membership.
    """
    if window.cumulative or window.size == window.slide:
        return np.arange(len(panes)), panes
    per_pane = -(-window.size // window.slide)
    first = ((panes - window.size) // window.slide + 1) * window.slide  # least start with start + size > pane
    starts = first[:, None] + np.arange(per_pane) * window.slide
    inside = (starts <= panes[:, None]) & (starts + window.size > panes[:, None])
    position, step = np.nonzero(inside)
    return position, starts[position, step]
