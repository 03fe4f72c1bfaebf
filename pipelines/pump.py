"""What feeds an engine in this process: the live reader, held back where the pipeline is slower, and halted
for a moment whenever the state is saved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from callbeam_io.sources.live import LiveReader
from pipelines.snapshots import Positions
from transforms.registry import LiveRun

MAX_UNDER_WAY: Final = 32
"""Packets between steps above which nothing more is read."""


@dataclass
class Pump:
    """Elements for the engine, one at a time.

    Attributes:
        reader: of all feeds.
        run: this process's live state.
        save: called with positions and watermarks while nothing is under way.
        save_every: seconds between two calls.
        stop_rows: drain after so many records; None: never.
        may_save: whether the state may be saved now; it may not while the last save is under way.
        before_tick: called with the watermark (microseconds) before an element is asked for: between two ticks.
    """

    reader: LiveReader
    run: LiveRun
    save: Callable[[Positions, dict[str, int]], None]
    save_every: float
    stop_rows: int | None = None
    may_save: Callable[[], bool] = field(default=lambda: True)
    before_tick: Callable[[int | None], None] = field(default=lambda _: None)

    def __post_init__(self) -> None:
        self._saved = time.monotonic()
        self._saving = False
        self._lock = threading.Lock()

    def poll(self) -> Any | None:
        """The next element; None when there is none, or the pipeline is busy, or a save waits for it."""
        with self._lock:
            return self._poll()

    def _poll(self) -> Any | None:
        under_way = self.run.flow.under_way
        if self._saving:
            if under_way:
                return None
            self.save(*self.reader.checkpoint())
            self._saving, self._saved = False, time.monotonic()
        if under_way > MAX_UNDER_WAY:
            return None
        if self.stop_rows is not None and self.reader.rows >= self.stop_rows:
            self.reader.drain()
        self.before_tick(self.reader.watermark)
        due = time.monotonic() - self._saved >= self.save_every and self.may_save()
        if due and not self.reader.stopping:
            self._saving = True  # a tick first, so that the store shows all that the state holds
            return self._given(self.reader.tick())
        element = self.reader.next()
        if self.reader.watermark is not None:
            self.run.watermark = self.reader.watermark // 1_000_000
        return None if element is None else self._given(element.value)

    def _given(self, value: Any) -> Any:
        self.run.flow.begin()
        return value

    @property
    def watermark(self) -> int | None:
        """In microseconds."""
        return self.reader.watermark

    @property
    def ended(self) -> bool:
        """Whether the last element was given."""
        return self.reader.ended
