"""The workload generator as a live feed: no broker, no file, the same records after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from callbeam_io.formats.payloads import message_parser
from callbeam_io.sources.feeds import Chunk, Position, SplitReader
from callbeam_io.workload import render
from callbeam_io.workload.control import SettingsFile
from callbeam_io.workload.live import SLICE, LiveStream, Texts, live_settings
from transforms.errors import InputError, OptionError

SOURCE: Final = "generator"
_GATHER: Final = 0.2
"""Seconds between chunks when event time runs fast."""
_FORMAT: Final = "callbeam"


@dataclass(frozen=True)
class GeneratorFeed:
    """The generator; see `callbeam_io.sources.feeds.Feed`.

    Attributes:
        name: the input as given.
        texts: settings by name.
        control: asked once a second for settings that go before ``texts`` (`LiveStream`); picklable.
    """

    name: str
    texts: Mapping[str, str]
    control: Callable[[], Texts | None] | None = field(default=None, compare=False)

    lateness = 3600

    @property
    def accelerated(self) -> bool:
        """Whether event time may run ahead of the clock."""
        return self.control is not None or not live_settings(self.texts).on_clock

    def check(self) -> None:
        """Nothing: settings were checked when the feed was made."""

    def splits(self) -> Sequence[str]:
        """One."""
        return ("records",)

    def open(self, split: str, position: Position) -> SplitReader:
        """Goes on; None: now, or at ``start``."""
        return GeneratorReader(self, position)


class GeneratorReader:
    """Makes records as their time comes; see `callbeam_io.sources.feeds.SplitReader`.

    A position is that of `LiveStream`: event time and the settings in force.
    """

    def __init__(self, feed: GeneratorFeed, position: Mapping[str, Any] | None) -> None:
        self._stream = LiveStream(feed.texts, position, feed.control)
        self._parser = message_parser(_FORMAT)
        self._took = 0.0

    def poll(self, timeout: float) -> Chunk | None:
        """The records of the seconds that are over."""
        end = time.monotonic() + timeout
        while True:
            self._stream.refresh()
            now = time.monotonic()
            wait = max(self._stream.wait(), self._took + _GATHER - now)
            if wait <= 0 or self._stream.behind() >= SLICE:
                chunk = self._take(now)
                if chunk is not None:
                    return chunk
            elif now >= end:
                return None
            else:
                time.sleep(min(end - now, wait))

    def commit(self, position: Position) -> None:
        """Nothing."""

    def lag(self) -> int | None:
        """About how many records are over but not read."""
        return self._stream.behind()

    def trouble(self) -> str | None:
        """What is wrong with new settings."""
        return self._stream.trouble

    def ended(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing."""

    def _take(self, now: float) -> Chunk | None:
        self._took = now
        second = self._stream.position["at"]
        frame = self._stream.take()
        if frame is None or not len(frame):
            return None
        lines = render(frame, _FORMAT)
        batch = self._parser.parse([lines], [second], source=SOURCE)
        return Chunk(batch, self._stream.position, len(lines))


def open_generator(text: str, timezone: str) -> GeneratorFeed:
    """The feed of ``generator:`` or ``generator:?people=500&speed=60&settings=FILE``.

    Args:
        text: settings as in `workload.live.Texts`; ``settings`` names a JSON file with more of them, which is
            read every second.
        timezone: zone of the records' local time, where ``zone`` is not given.

    Raises:
        InputError: a setting that cannot be.
    """
    path, _, query = text.removeprefix("generator:").partition("?")
    if path.strip("/"):
        raise InputError(f"--input {text}", "generator: or generator:?people=500&speed=60")
    texts = {"zone": timezone, **dict(parse_qsl(query, keep_blank_values=True))}
    file = texts.pop("settings", None)
    control = None if file is None else SettingsFile(file)
    try:
        live_settings({**texts, **((control() if control else None) or {})})
    except OptionError as error:
        raise InputError(f"--input {text}: {error}") from error
    return GeneratorFeed(text, texts, control)
