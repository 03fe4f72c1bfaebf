"""The pump: batches that wait become one packet, ticks wait for the store, a pane's end brings one at once."""

from __future__ import annotations

import time
from typing import Any

import messy
import pytest
from list_feed import ListFeed
from record_sets import small_reference

from callbeam_io.sources.live import LiveReader
from callbeam_io.sources.reading import LiveFeed
from pipelines import pump as pump_module
from pipelines.freshness import Freshness
from pipelines.pump import Pump
from transforms.cleaning import Prepare
from transforms.columns.clean import CleanSettings
from transforms.packets import Packet
from transforms.registry import LiveRun


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make(text: str, chunk: int, **more: Any) -> tuple[Pump, Clock]:
    feed, clock = ListFeed(text, chunk=chunk, endless=True), Clock()
    prepare = Prepare(CleanSettings(), small_reference, None)
    reader = LiveReader([LiveFeed(feed, feed.lateness)], prepare, tick_every=1.0, clock=clock)
    reader.start()
    return Pump(reader, LiveRun(), lambda *_: None, 1e9, fresh=Freshness(clock), **more), clock


def polled(pump: Pump) -> Packet:
    """The next packet, worked off at once."""
    end = time.monotonic() + 10
    while (packet := pump.poll()) is None:
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.002)
    pump.run.flow.finish()
    return packet


def read_ahead(pump: Pump, batches: int) -> None:
    (split,) = pump.reader._splits
    end = time.monotonic() + 10
    while split.queue.qsize() < batches or not all(item[0].done() for item in split.queue.queue):
        assert time.monotonic() < end, "nothing was read ahead"
        time.sleep(0.002)


def test_batches_that_wait_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "MERGED_ROWS", 100)
    pump, _ = make(messy.csv_text(1000, seed=1, repeats=0), chunk=40)
    read_ahead(pump, 5)
    packet = polled(pump)
    assert packet.header["read"] == 120, "until there are a hundred or more"
    assert packet.header["read"] == packet.header["rejected"] + packet.tables["records"].num_rows
    assert packet.tables["rejects"].num_rows == packet.header["rejected"]
    assert packet.header["order"] == f"{3:012d}"
    pump.reader.close()


def test_a_tick_waits_for_the_rows_of_the_one_before_and_then_a_moment() -> None:
    pump, clock = make(messy.csv_text(40, seed=1), chunk=40)
    read_ahead(pump, 1)
    clock.now += 2
    tick = polled(pump)
    assert tick.header["tick"]
    assert "tick" not in polled(pump).header
    clock.now += 4
    assert pump.poll() is None
    pump.fresh.committed(tick.header["order"])
    clock.now += 0.9
    assert pump.poll() is None, "it rests for a second, as no record waits"
    clock.now += 0.2
    assert polled(pump).header["tick"]
    pump.reader.close()


def test_a_store_that_is_away_for_long_halts_reading() -> None:
    pump, clock = make(messy.csv_text(400, seed=1), chunk=40)
    read_ahead(pump, 5)
    clock.now += 2
    tick = polled(pump)
    clock.now += pump_module.STUCK + 1
    assert pump.poll() is None
    pump.fresh.committed(tick.header["order"])
    assert polled(pump).header["read"]
    pump.reader.close()


def test_the_end_of_a_pane_brings_a_tick() -> None:
    """The clock stands still, so that no other tick comes."""
    pump, _ = make(messy.csv_text(400, seed=1), chunk=40, pane=60)
    packets = [polled(pump)]
    while not packets[-1].header.get("tick"):
        packets.append(polled(pump))
    before, at = (p.header["watermark"] for p in (packets[0], packets[-1]))
    assert at // 60_000_000 > before // 60_000_000
    pump.reader.close()


def test_how_old_records_are_when_they_are_shown() -> None:
    clock = Clock()
    fresh = Freshness(clock)
    assert fresh.age(0.5) == [None]
    fresh.given(97.0, 90)
    fresh.given(90.0, 10)
    fresh.ticked("1")
    fresh.given(99.0, 5)
    clock.now = 101.0
    assert not fresh.free()
    fresh.committed("1")
    assert fresh.age(0.5, 0.9, 0.99) == [4.0, 4.0, 11.0]
    assert not fresh.free(), "it rests for as long as that took"
    clock.now = 102.5
    assert fresh.free()
    fresh.ticked("2")
    clock.now += 5
    fresh.committed("2")
    clock.now += 1.5
    assert fresh.free(idle=True) and not fresh.free(), "a second of rest is enough where no record waits"
    fresh.committed("no tick of its own")
    clock.now += 61
    assert fresh.age(0.5) == [None], "of the last minute only"
