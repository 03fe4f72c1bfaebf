"""All feeds as one stream: watermarks, lateness, idle partitions, ticks, drain, and what goes wrong."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import messy
import pyarrow as pa
import pytest
from list_feed import ListFeed
from record_sets import small_reference

from callbeam_io.sources.feeds import Chunk, Position
from callbeam_io.sources.live import LiveReader
from callbeam_io.sources.reading import LiveFeed
from callbeam_io.sources.recent import RecentRejects
from transforms.cleaning import Prepare
from transforms.columns.clean import CleanSettings

MICROS = 1_000_000


@dataclass
class Clock:
    """Seconds that pass only when they are told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class HandFeed:
    """Splits that give what a test puts in, by name; a position is the number of chunks read."""

    names: tuple[str, ...] = ("a", "b")
    name: str = "hand:"
    lateness: int = 0
    accelerated: bool = False
    readers: dict[str, HandReader] = field(default_factory=dict)
    opened_at: dict[str, Position] = field(default_factory=dict)

    def check(self) -> None: ...

    def splits(self) -> tuple[str, ...]:
        return self.names

    def open(self, split: str, position: Position) -> HandReader:
        self.opened_at[split] = position
        return self.readers.setdefault(split, HandReader(position or 0))


@dataclass
class HandReader:
    at: int = 0
    waiting: queue.Queue[Any] = field(default_factory=queue.Queue)
    committed: list[Position] = field(default_factory=list)
    closed: bool = False
    over: bool = False

    def poll(self, timeout: float) -> Chunk | None:
        try:
            given = self.waiting.get(timeout=0.005)
        except queue.Empty:
            return None
        if isinstance(given, Exception):
            raise given
        self.at += 1
        return Chunk(pa.RecordBatch.from_pydict({"second": pa.array(given, pa.int64())}), self.at, 1)

    def commit(self, position: Position) -> None:
        self.committed.append(position)

    def lag(self) -> int | None:
        return self.waiting.qsize()

    def trouble(self) -> str | None:
        return None

    def ended(self) -> bool:
        return self.over and self.waiting.empty()

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Seconds:
    """Ready: a batch of bare seconds."""

    given: list[int]
    rejected: int = 0

    @property
    def rows(self) -> int:
        return len(self.given)

    @property
    def greatest(self) -> int | None:
        return max(self.given) * MICROS if self.given else None


class Plain:
    """Makes an element a triple of what was given, the horizon and the header, all in seconds."""

    def clean(self, batch: pa.RecordBatch) -> Seconds:
        return Seconds(batch.column("second").to_pylist())

    def finish(self, ready: Seconds | None, horizon: int | None, header: dict[str, Any]) -> Any:
        given = None if ready is None else ready.given
        return given, None if horizon is None else horizon / MICROS, header


@dataclass
class Hands:
    """A reader with the feeds behind it and the clock before it."""

    reader: LiveReader
    feeds: list[HandFeed]
    clock: Clock

    def put(self, split: str, *seconds: int, feed: int = 0) -> None:
        """Some seconds arrive, and were read ahead."""
        (mine,) = [s for s in self.reader._splits if s.feed == feed and s.name == split]
        before = mine.queue.qsize()
        self.feeds[feed].readers[split].waiting.put(list(seconds))
        until(lambda: mine.queue.qsize() > before)

    def next(self) -> Any:
        element = self.reader.next()
        return None if element is None else element.value

    def mark(self) -> float | None:
        return None if self.reader.watermark is None else self.reader.watermark / MICROS


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


@contextmanager
def hands(*feeds: HandFeed, **more: Any) -> Iterator[Hands]:
    feeds = feeds or (HandFeed(),)
    clock = Clock()
    live = [LiveFeed(f, f.lateness) for f in feeds]
    reader = LiveReader(live, Plain(), tick_every=more.pop("tick_every", 1e9), clock=clock, **more)
    reader.start()
    try:
        yield Hands(reader, list(feeds), clock)
    finally:
        reader.close()
    assert all(r.closed for f in feeds for r in f.readers.values())


def test_the_watermark_is_the_least_over_partitions() -> None:
    with hands() as h:
        h.put("a", 100, 90)
        assert h.next()[0] == [100, 90]
        assert h.mark() is None, "b may hold anything"
        h.put("b", 50)
        h.next()
        assert h.mark() == 50
        h.put("a", 300)
        h.put("b", 70)
        assert h.next()[0] == [70], "the one that is furthest behind comes first"
        assert h.mark() == 70
        h.next()
        assert h.mark() == 70


def test_idle_partitions_are_left_out_and_all_idle_stays() -> None:
    with hands() as h:
        h.put("a", 100)
        h.put("b", 50)
        h.next(), h.next()
        h.clock.now += 9
        h.put("a", 200)
        h.next()
        assert h.mark() == 50, "not yet idle"
        h.clock.now += 2
        assert h.reader.tick()[2]["watermark"] == 200 * MICROS
        h.clock.now += 100
        header = h.reader.tick()[2]
        assert (header["idle"], header["watermark"]) == (True, 200 * MICROS)
        h.put("b", 60)
        _, horizon, header = h.next()
        assert horizon == 200, "judged against the watermark of the feed before the batch"
        assert (header["idle"], h.mark()) == (False, 200)
        h.put("b", 500)
        h.next()
        assert h.mark() == 500


def test_a_partition_with_records_waiting_is_not_idle() -> None:
    """The pipeline was busy for long: what was read ahead must not become late by it."""
    with hands() as h:
        h.put("a", 100)
        h.put("b", 50)
        h.next(), h.next()
        h.put("a", 110)
        h.put("b", 60)
        h.put("b", 900)
        h.clock.now += 60
        assert h.next()[0] == [60]
        assert h.next()[0] == [900]
        assert h.mark() == 100, "a has records that were read ahead"
        _, horizon, _ = h.next()
        assert horizon == 100
        assert h.mark() == 110


def test_lateness_is_judged_against_the_watermark_before_the_batch() -> None:
    with hands(HandFeed(("a",), lateness=10)) as h:
        h.put("a", 100, 5)
        assert h.next()[:2] == ([100, 5], None)
        h.put("a", 89, 500, 90)
        assert h.next()[1] == 90
        h.put("a", 1)
        assert h.next()[1] == 490


def test_a_batch_without_a_good_record_moves_only_the_position() -> None:
    with hands(HandFeed(("a",))) as h:
        h.put("a")
        assert h.next()[0] == []
        assert h.mark() is None
        assert h.reader.checkpoint() == ({("hand:", "a"): 1}, {})


def test_ticks() -> None:
    with hands(HandFeed(("a",)), tick_every=2.0) as h:
        assert h.next() is None
        h.put("a", 1)
        h.clock.now += 2
        given, horizon, header = h.next()
        assert (given, horizon, header["tick"]) == (None, None, True)
        assert h.next()[0] == [1]
        assert h.next() is None


def test_the_rate() -> None:
    with hands(HandFeed(("a",)), rate=10.0) as h:
        for second in (1, 2):
            h.put("a", *[second] * 20)
        assert h.next()[0] == [1] * 20
        assert h.next() is None
        h.clock.now += 1.9
        assert h.next() is None
        h.clock.now += 0.2
        assert h.next()[0] == [2] * 20
        assert h.reader.rows == 40


def test_drain_leaves_what_was_read_ahead_for_the_next_run() -> None:
    feed = HandFeed(("a",))
    with hands(feed) as h:
        h.put("a", 10)
        h.put("a", 20)
        h.next()
        h.reader.drain()
        given, _, header = h.next()
        assert (given, header["tick"], header["end"]) == (None, True, True)
        assert header["watermark"] == 10 * MICROS
        assert h.reader.ended
        assert h.next() is None
        positions, marks = h.reader.checkpoint()
        assert positions == {("hand:", "a"): 1}
        assert marks == {"hand:": 10 * MICROS}
        h.reader.commit(positions)
        assert feed.readers["a"].committed == [1]
    again = HandFeed(("a",), lateness=5)
    with hands(again, positions=positions, watermarks=marks) as h:
        assert again.opened_at == {"a": 1}
        h.put("a", 12)
        assert h.next()[1] == 5, "lateness goes on where it was"


def test_finite_splits_end_by_themselves() -> None:
    feed = HandFeed()
    with hands(feed) as h:
        h.put("a", 100)
        h.put("b", 50)
        feed.readers["b"].over = True
        until(lambda: h.reader._splits[1].ended)
        h.next(), h.next()
        assert h.mark() == 100, "one that has ended holds nobody up"
        feed.readers["a"].over = True
        until(lambda: h.reader._splits[0].ended)
        assert h.reader.stopping
        assert h.next()[2]["end"]


def test_what_a_reading_thread_meets_is_raised() -> None:
    feed = HandFeed()
    with hands(feed) as h:
        feed.readers["b"].waiting.put(ValueError("the disk is gone"))
        until(lambda: h.reader._error is not None)
        with pytest.raises(ValueError, match="the disk is gone"):
            h.next()


def test_two_feeds() -> None:
    with hands(HandFeed(("a",), "one:"), HandFeed(("a",), "two:", lateness=100)) as h:
        h.put("a", 1000, feed=0)
        h.next()
        assert h.mark() is None, "the other feed may hold anything"
        h.put("a", 500, feed=1)
        h.next()
        assert h.mark() == 500
        h.put("a", 2000, feed=0)
        assert h.next()[1] == 1000, "each feed by its own watermark"
        h.put("a", 450, feed=1)
        assert h.next()[1] == 400
        h.clock.now += 11
        h.put("a", 3000, feed=0)
        h.next()
        assert h.mark() == 3000, "an idle feed is left out"
        positions, marks = h.reader.checkpoint()
        assert positions == {("one:", "a"): 3, ("two:", "a"): 2}
        assert marks == {"one:": 3000 * MICROS, "two:": 500 * MICROS}
        assert [(s["feed"], s["split"], s["rows"], s["lag"]) for s in h.reader.status()] == [
            ("one:", "a", 3, 0),
            ("two:", "a", 2, 0),
        ]


def test_a_list_of_lines_through_the_real_cleaning() -> None:
    text = messy.csv_text(300, seed=3)
    feed = ListFeed(text, chunk=50, split_count=3)
    prepare = Prepare(CleanSettings(), small_reference, None)
    reader = LiveReader([LiveFeed(feed, feed.lateness)], prepare, tick_every=1e9, clock=Clock())
    reader.start()
    packets, marks = [], []
    while not reader.ended:
        element = reader.next()
        if element is None:
            time.sleep(0.002)
            continue
        packets.append(element.value)
        marks.append(reader.watermark or 0)
    reader.close()
    assert sum(p.header.get("read", 0) for p in packets) == reader.rows == len(text.splitlines()) - 1
    assert marks == sorted(marks)
    assert [p.header["order"] for p in packets] == sorted(p.header["order"] for p in packets)
    positions, _ = reader.checkpoint()
    assert sum(positions.values()) == reader.rows


def test_the_share_of_rejects_is_that_of_the_newest_records() -> None:
    recent = RecentRejects()
    assert recent.ratio == 0
    recent.note(4000, 4000)
    assert recent.ratio == 1
    for _ in range(2):
        recent.note(4000, 0)
    assert recent.ratio == pytest.approx(1 / 3)
    recent.note(4000, 400)
    assert recent.ratio == pytest.approx(400 / 12_000)
