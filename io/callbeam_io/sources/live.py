"""All live feeds of a run as one stream of elements: read ahead, watermarks, lateness."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from callbeam_io.sources.feeds import Chunk, Position
from callbeam_io.sources.reading import Element, LiveFeed, Preparer, Split
from callbeam_io.sources.recent import RecentRejects

IDLE_AFTER: Final = 10.0
READ_AHEAD: Final = 5
"""Batches per split that wait for the pipeline."""
CLEANERS: Final = 2
MICROS: Final = 1_000_000


@dataclass
class LiveReader:
    """Reads every split of every feed on a thread of its own, and gives elements one by one.

    Attributes:
        feeds: in the order of ``--input``.
        prepare: makes elements of parsed batches.
        positions: per (feed name, split) where to go on.
        watermarks: per feed name the watermark that it had, in microseconds.
        tick_every: seconds between elements without records, which let shards show what changed.
        rate: at most this many records per second; None: no limit.
        clock: seconds, never going back.
        key: tells this reader's elements apart from those of other readers of the run.
    """

    feeds: Sequence[LiveFeed]
    prepare: Preparer
    positions: Mapping[tuple[str, str], Position] = field(default_factory=dict)
    watermarks: Mapping[str, int] = field(default_factory=dict)
    tick_every: float = 2.0
    rate: float | None = None
    clock: Callable[[], float] = time.monotonic
    key: str = ""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._cleaning = ThreadPoolExecutor(CLEANERS, thread_name_prefix="clean")
        self._splits: list[Split] = []
        self._feed_marks = [self.watermarks.get(f.feed.name) for f in self.feeds]
        self._mark: int | None = None
        self._sequence = 0
        self._ticked = self._started = self.clock()
        self._ended = self._idle = self._closed = False
        self.rows = 0
        self._recent = RecentRejects()

    def start(self) -> None:
        """Opens the splits and begins to read."""
        now = self.clock()
        for number, live in enumerate(self.feeds):
            for name in live.feed.splits():
                position = self.positions.get((live.feed.name, name))
                reader = live.feed.open(name, position)
                split = Split(number, name, reader, position, queue.Queue(READ_AHEAD), heard=now)
                split.watermark = self.watermarks.get(live.feed.name)
                self._splits.append(split)
        for split in self._splits:
            thread = threading.Thread(
                target=self._read, args=(split,), name=f"read {split.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _read(self, split: Split) -> None:
        try:
            while not self._stop.is_set():
                chunk = split.reader.poll(0.2)
                if chunk is not None:
                    self._put(split, chunk, self.clock())
                elif split.reader.ended():
                    split.ended = True
                    return
        except BaseException as error:
            self._error = error

    def _put(self, split: Split, chunk: Chunk, read_at: float) -> None:
        item = (self._cleaning.submit(self.prepare.clean, chunk.batch), chunk.position, read_at)
        while not self._stop.is_set():
            try:
                split.queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def next(self, *, ticks: bool = True) -> Element | None:
        """The next element; None when there is nothing to do right now.

        Args:
            ticks: whether it may be one without records, but for the last one.

        Raises:
            Exception: what a reading thread met.
        """
        if self._error is not None:
            raise self._error
        now = self.clock()
        if self._ended or self._closed:
            return None
        if self._finished():
            self._ended = True
            return Element(self._bare({"tick": True, "end": True}), 0)
        if ticks and now - self._ticked >= self.tick_every:
            return Element(self.tick(), 0)
        if self._too_fast(now):
            return None
        split = self._choose()
        return None if split is None or not split.clean else self._take(split, now)

    def ready(self, *, ticks: bool = True) -> bool:
        """Whether `next` would give records."""
        now = self.clock()
        if self._error is not None or self._ended or self._closed or self._finished() or self._too_fast(now):
            return False
        if ticks and now - self._ticked >= self.tick_every:
            return False
        split = self._choose()
        return split is not None and split.clean

    def _too_fast(self, now: float) -> bool:
        return self.rate is not None and self.rows > self.rate * (now - self._started)

    def tick(self) -> Any:
        """An element without records, which lets shards show what changed."""
        self._ticked = self.clock()
        self._move_watermark(self._ticked)
        return self._bare({"tick": True})

    @property
    def given(self) -> int:
        """Elements given so far."""
        return self._sequence

    @property
    def stopping(self) -> bool:
        """Whether the next element is the last."""
        return self._finished()

    def _finished(self) -> bool:
        """Whether reading was stopped, or everything finite was read to its end."""
        if self._stop.is_set():
            return True
        return bool(self._splits) and all(s.ended and s.queue.empty() for s in self._splits)

    def _choose(self) -> Split | None:
        """Of the splits with records the one that is furthest behind, so that none makes another late."""
        waiting = [s for s in self._splits if not s.queue.empty()]
        return min(waiting, key=lambda s: -(1 << 62) if s.watermark is None else s.watermark, default=None)

    def _take(self, split: Split, now: float) -> Element:
        cleaned, position, read_at = split.queue.get_nowait()
        ready = cleaned.result()
        mark, lateness = self._feed_marks[split.feed], self.feeds[split.feed].lateness
        horizon = None if mark is None else mark - lateness * MICROS
        split.position, split.heard = position, now
        if ready.greatest is not None:
            split.watermark = max(split.watermark or ready.greatest, ready.greatest)
        split.rows += ready.rows
        self._recent.note(ready.rows, ready.rejected)
        self.rows += ready.rows
        self._move_watermark(now)
        return Element(self.prepare.finish(ready, horizon, self._header()), ready.rows, read_at)

    @property
    def bad_ratio(self) -> float:
        """Share of rejects among the last 10,000 records (or a batch more)."""
        return self._recent.ratio

    def _move_watermark(self, now: float) -> None:
        """Per feed the least over its partitions but the idle ones; over feeds likewise; never back."""
        marks: list[int | None] = []
        self._idle = True
        for number in range(len(self.feeds)):
            mine = [s for s in self._splits if s.feed == number]
            awake = [s for s in mine if not s.queue.empty() or (not s.ended and now - s.heard < IDLE_AFTER)]
            old = self._feed_marks[number]
            if awake and all(s.watermark is not None for s in awake):
                least = min(s.watermark for s in awake if s.watermark is not None)
                self._feed_marks[number] = least if old is None else max(old, least)
            if awake:
                self._idle = False
                marks.append(self._feed_marks[number])
        if marks and all(m is not None for m in marks):
            least = min(m for m in marks if m is not None)
            self._mark = least if self._mark is None else max(self._mark, least)

    def _header(self) -> dict[str, Any]:
        self._sequence += 1
        floor = min((m for m in self._feed_marks if m is not None), default=None)  # idle inputs among them
        place = {"order": f"{self._sequence:012d}", "split": self.key, "idle": self._idle}
        return {**place, "watermark": self._mark, "floor": floor}

    def _bare(self, flags: dict[str, Any]) -> Any:
        if flags.get("end"):
            known = [s.watermark for s in self._splits if s.watermark is not None]
            self._mark = max(known, default=self._mark)
        return self.prepare.finish(None, None, {**self._header(), **flags})

    @property
    def watermark(self) -> int | None:
        """In microseconds; None before anything is known."""
        return self._mark

    @property
    def ended(self) -> bool:
        """Whether the last element was given."""
        return self._ended

    def drain(self) -> None:
        """Reads no more; the next element is the last. What was read ahead is read again by the next run."""
        self._stop.set()

    def close(self) -> None:
        """Stops the threads and lets go of connections; nothing is given any more."""
        self._closed = True
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._cleaning.shutdown(wait=False, cancel_futures=True)
        for split in self._splits:
            split.reader.close()

    def checkpoint(self) -> tuple[dict[tuple[str, str], Position], dict[str, int]]:
        """Positions after the last element given, and the feeds' watermarks."""
        names = [f.feed.name for f in self.feeds]
        positions = {(names[s.feed], s.name): s.position for s in self._splits}
        marks = {n: m for n, m in zip(names, self._feed_marks, strict=True) if m is not None}
        return positions, marks

    def commit(self, positions: Mapping[tuple[str, str], Position]) -> None:
        """Everything before these positions is saved."""
        for split in self._splits:
            position = positions.get((self.feeds[split.feed].feed.name, split.name))
            if position is not None:
                split.reader.commit(position)

    def status(self) -> list[dict[str, Any]]:
        """Per split: feed, name, lag, watermark, trouble, rows."""
        names = [f.feed.name for f in self.feeds]
        return [
            {
                "feed": names[s.feed],
                "split": s.name,
                "lag": s.reader.lag(),
                "watermark": s.watermark,
                "trouble": s.reader.trouble(),
                "rows": s.rows,
            }
            for s in self._splits
        ]
