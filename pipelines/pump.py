"""What feeds an engine in this process: the live reader, held back where the pipeline is slower, and halted
for a moment whenever the state is saved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from callbeam_io.sources.live import LiveReader
from callbeam_io.sources.reading import Element
from pipelines.freshness import Freshness
from pipelines.snapshots import Positions
from transforms.packets import joined
from transforms.registry import LiveRun

MAX_UNDER_WAY: Final = 4
"""Packets between steps above which nothing more is read."""

MERGED_ROWS: Final = 150_000
"""Batches that wait are put together until there are so many records: each step has a price per packet."""

STUCK: Final = 10.0
"""Seconds that rows may wait for the store before nothing more is read."""


@dataclass
class Pump:
    """Elements for the engine, one at a time.

    Attributes:
        reader: of all feeds.
        run: this process's live state.
        save: called with positions and watermarks while nothing is under way.
        save_every: seconds between two calls.
        stop_rows: drain after so many records; None: never.
        pane: a tick follows as soon as the watermark passes a multiple of so many seconds; 0: none does.
        may_save: whether the state may be saved now; it may not while the last save is under way.
        before_tick: called with the watermark (microseconds) before an element is asked for: between two ticks.
        fresh: says when the next tick may come; hears of every batch and tick that is given.
    """

    reader: LiveReader
    run: LiveRun
    save: Callable[[Positions, dict[str, int]], None]
    save_every: float
    stop_rows: int | None = None
    pane: int = 0
    may_save: Callable[[], bool] = field(default=lambda: True)
    before_tick: Callable[[int | None], None] = field(default=lambda _: None)
    fresh: Freshness = field(default_factory=Freshness)

    def __post_init__(self) -> None:
        self._saved = time.monotonic()
        self._saving = False
        self._shown_pane: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> Any | None:
        """The next element; None when there is none, or the pipeline is busy, or a save waits for it."""
        with self._lock:
            return self._poll()

    def _poll(self) -> Any | None:
        while self.run.quiet_ticks:
            self.fresh.committed(self.run.quiet_ticks.popleft())
        under_way = self.run.flow.under_way
        if self._saving:
            if under_way:
                return None
            self.save(*self.reader.checkpoint())
            self._saving, self._saved = False, time.monotonic()
        if under_way > MAX_UNDER_WAY or self.fresh.waited > STUCK:
            return None
        if self._enough:
            self.reader.drain()
        self.before_tick(self.reader.watermark)
        due = time.monotonic() - self._saved >= self.save_every and self.may_save()
        if due and not self.reader.stopping:
            self._saving = True  # a tick first, so that the store shows all that the state holds
            return self._given(self.reader.tick())
        return self._next()

    @property
    def _enough(self) -> bool:
        return self.stop_rows is not None and self.reader.rows >= self.stop_rows

    def _next(self) -> Any | None:
        ticks = self.fresh.free(idle=not self.reader.ready(ticks=False))
        if ticks and self._pane_passed() and not self.reader.stopping:
            return self._given(self.reader.tick())
        element = self.reader.next(ticks=ticks)
        values, rows = [], 0
        while element is not None:
            values.append(element.value)
            rows += element.rows
            self._note(element)
            more = rows and rows < MERGED_ROWS and self.reader.ready(ticks=ticks) and not self._enough
            element = self.reader.next(ticks=ticks) if more else None
        return self._given(joined(values)) if values else None

    def _note(self, element: Element) -> None:
        if element.read_at is not None:
            self.fresh.given(element.read_at, element.rows)

    def _pane_passed(self) -> bool:
        """Whether the watermark has passed the end of a pane since the last tick."""
        if not self.pane or self.reader.watermark is None:
            return False
        now = self.reader.watermark // (1_000_000 * self.pane)
        self._shown_pane = now if self._shown_pane is None else self._shown_pane
        return now > self._shown_pane

    def _given(self, value: Any) -> Any:
        header = value.header
        if header.get("tick"):
            self.fresh.ticked(header["order"])
            if self.pane and self.reader.watermark is not None:
                self._shown_pane = self.reader.watermark // (1_000_000 * self.pane)
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
