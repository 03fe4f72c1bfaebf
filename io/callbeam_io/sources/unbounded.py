"""Live feeds as a Beam `UnboundedSource`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from callbeam_io.sources.feeds import Position
from callbeam_io.sources.live import LiveReader
from callbeam_io.sources.reading import LiveFeed, Preparer


class Pump(Protocol):
    """Elements for an engine in this process; whoever owns it also saves the state."""

    def poll(self) -> Any | None:
        """The next element; None when there is nothing to do right now."""

    @property
    def watermark(self) -> int | None:
        """In microseconds."""

    @property
    def ended(self) -> bool:
        """Whether the last element was given."""


PUMPS: Final[dict[str, Pump]] = {}
"""Pumps of this process by the id of their run."""


@dataclass
class ReaderPump:
    """A pump that only reads: on engines that save state and positions by themselves.

    Attributes:
        reader: of one split.
        drained: whether the run was told to drain; asked once a second.
    """

    reader: LiveReader
    drained: Callable[[], bool]
    asked: float = field(default_factory=time.monotonic)

    def poll(self) -> Any | None:
        """The next element of the reader."""
        if time.monotonic() - self.asked >= 1:
            self.asked = time.monotonic()
            if self.drained():
                self.reader.drain()
        element = self.reader.next()
        return None if element is None else element.value

    @property
    def watermark(self) -> int | None:
        """Of the reader."""
        return self.reader.watermark

    @property
    def ended(self) -> bool:
        """Whether the reader gave its last element."""
        return self.reader.ended


@dataclass(eq=False)
class _Open:
    """A reader of this process that lives on from bundle to bundle, and who holds it now."""

    name: str
    reader: LiveReader
    holder: UnboundedReader | None = None


_OPEN: Final[dict[str, _Open]] = {}
"""Open readers by the key of their source: to open one again at each bundle would read ahead each time anew."""
_GUARD: Final = threading.Lock()


def close_readers(run_id: str) -> None:
    """Closes the readers that this process has for a run."""
    with _GUARD:
        keys = [key for key in _OPEN if key.startswith(f"{run_id}/")]
        found = [_OPEN.pop(key) for key in keys]
    for one in found:
        one.reader.close()


@dataclass
class Mark(CheckpointMark):
    """Positions of the splits of one reader, and its feeds' watermarks (microseconds).

    ``key``, ``name`` and ``given`` say which reader it is of, and how many elements that one had given.
    """

    key: str = ""
    name: str = ""
    given: int = 0
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)

    def finalize_checkpoint(self) -> None:
        """The engine has everything before these positions: commit them, where the reader still lives."""
        found = _OPEN.get(self.key)
        if found is not None and found.name == self.name:
            found.reader.commit(self.positions)


class PumpReader(UnboundedReader):
    """A Beam reader over a pump."""

    def __init__(self, pump: Pump, mark: Callable[[], CheckpointMark]) -> None:
        self._pump, self._mark = pump, mark
        self._current: Any = None
        self._stamp = MIN_TIMESTAMP
        self._ended = False

    def start(self) -> bool:
        """The first element."""
        return self.advance()

    def advance(self) -> bool:
        """The next element; never waits."""
        before = self._watermark()
        if self._pump.ended:
            self._ended = True
            return False
        self._current = self._pump.poll()
        self._stamp = before
        return self._current is not None

    def _watermark(self) -> Timestamp:
        mark = self._pump.watermark
        return MIN_TIMESTAMP if mark is None else Timestamp(micros=mark)

    def get_current(self) -> Any:
        """The element."""
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        """The watermark before the element: none of its records counts as late to Beam."""
        return self._stamp

    def get_watermark(self) -> Timestamp:
        """The greatest start time read, the end of time after the last element."""
        return MAX_TIMESTAMP if self._ended else self._watermark()

    def get_checkpoint_mark(self) -> CheckpointMark:
        """Where to go on."""
        return self._mark()

    def close(self) -> None:
        """The pump lives on: another bundle may take it up."""


class PumpSource(UnboundedSource):
    """A pump of this process as a source; for engines that run in this process and keep state in memory."""

    def __init__(self, key: str, coder: coders.Coder) -> None:
        self.key, self._coder = key, coder

    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        """It cannot be split."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> UnboundedReader:
        """A reader over the pump, which knows by itself where it is."""
        return PumpReader(PUMPS[self.key], Mark)

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        """Of `Mark`."""
        return coders.PickleCoder()

    def default_output_coder(self) -> coders.Coder:
        """Of the elements."""
        return self._coder


class FeedSource(UnboundedSource):
    """Live feeds as a source on engines with durable state: positions are in the checkpoint marks."""

    def __init__(
        self,
        key: str,
        feeds: Sequence[LiveFeed],
        prepare: Preparer,
        coder: coders.Coder,
        tick_every: float,
        drained: Callable[[], bool],
    ) -> None:
        self.key, self.feeds, self.prepare = key, tuple(feeds), prepare
        self._coder, self._tick_every, self._drained = coder, tick_every, drained

    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        """One source per split of every feed."""
        parts = []
        for number, live in enumerate(self.feeds):
            for name in live.feed.splits():
                only = replace(live, feed=OneSplit(live.feed, name))
                key = f"{self.key}/{number}/{name}"
                parts.append(
                    FeedSource(key, [only], self.prepare, self._coder, self._tick_every, self._drained)
                )
        return parts

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> UnboundedReader:
        """A reader that goes on after the mark."""
        mark = checkpoint_mark if isinstance(checkpoint_mark, Mark) else Mark()
        with _GUARD:
            found = _OPEN.get(self.key)
            if found is None or (found.name, found.reader.given) != (mark.name, mark.given):
                if found is not None:
                    found.reader.close()
                found = _OPEN[self.key] = self._open(mark)
            holder = found.holder = _FeedReader(self.key, found, self._drained)
            return holder

    def _open(self, mark: Mark) -> _Open:
        reader = LiveReader(
            self.feeds, self.prepare, mark.positions, mark.watermarks, self._tick_every, key=self.key
        )
        reader.start()
        return _Open(f"{os.getpid()}-{time.monotonic_ns()}", reader)

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        """Of `Mark`."""
        return coders.PickleCoder()

    def default_output_coder(self) -> coders.Coder:
        """Of the elements."""
        return self._coder


class _FeedReader(PumpReader):
    """A Beam reader over an open reader of this process; the last one that took it up closes it."""

    def __init__(self, key: str, found: _Open, drained: Callable[[], bool]) -> None:
        reader = found.reader
        super().__init__(
            ReaderPump(reader, drained), lambda: Mark(key, found.name, reader.given, *reader.checkpoint())
        )
        self._key, self._found = key, found

    def close(self) -> None:
        """Lets go of connections, unless another bundle took them up."""
        found = self._found
        with _GUARD:
            mine = found.holder is self and _OPEN.get(self._key) == found
            if mine:
                del _OPEN[self._key]
        if mine:
            found.reader.close()


class OneSplit:
    """A feed reduced to one of its splits."""

    def __init__(self, feed: Any, split: str) -> None:
        self._feed, self._split = feed, split

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._feed, name)

    def splits(self) -> list[str]:
        """The one."""
        return [self._split]
