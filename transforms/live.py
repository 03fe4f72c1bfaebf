"""The templates over a live stream: spread over shards, one stateful step, one step that writes.

The graph is a line, on purpose: sibling stateful steps lose their state on some engines when a job is
submitted again. State is in the global window with panes of its own; the engine's timers say when panes end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from transforms.columns.hashing import shard_of
from transforms.columns.live import LivePlan, LiveShard
from transforms.columns.live_tables import LiveTables
from transforms.columns.records import Records, from_batches
from transforms.columns.templates import Reference
from transforms.durable import DurableCells
from transforms.packets import Packet, PacketCoder
from transforms.registry import LiveRun, live_run

MICROS = 1_000_000
_COMPACT_AFTER = 200
_COUNTED = ("read", "rejected", "late")


@dataclass(frozen=True)
class LiveSettings:
    """What the live steps need; picklable.

    Attributes:
        run_id: of the run.
        live: templates, windows, lateness.
        reference: gives types and directory; called on the worker, must cache.
        shards: number of shards.
        splits: number of readers that send elements.
        durable: the engine keeps state: put all of it into Beam's state. Else it stays in this process and
            the run saves it.
    """

    run_id: str
    live: LivePlan
    reference: Callable[[], Reference]
    shards: int
    splits: int
    durable: bool

    def new_shard(self) -> LiveShard:
        """An empty shard."""
        return LiveShard(self.live, self.reference())

    def new_tables(self) -> LiveTables:
        """The last step's memory, empty."""
        return LiveTables(self.live, self.reference(), self.shards, self.splits)

    def run(self) -> LiveRun:
        """This process's state of the run."""
        return live_run(self.run_id)


@dataclass
class AnalyseLive(beam.PTransform):
    """Packets of a live source -> packets with rows of the result tables.

    Attributes:
        settings: of the live steps.
    """

    settings: LiveSettings

    def expand(self, pcoll: beam.PCollection[Packet]) -> beam.PCollection[Packet]:
        """Spread, keep, collect."""
        keyed = tuple[int, Packet]
        return (
            pcoll
            | "SpreadOverShards" >> beam.ParDo(_SpreadFn(self.settings)).with_output_types(keyed)
            | "KeepShards" >> beam.ParDo(_ShardFn(self.settings)).with_output_types(keyed)
            | "CollectTables" >> beam.ParDo(_CollectFn(self.settings)).with_output_types(Packet)
        )


class _SpreadFn(beam.DoFn):
    """A packet of the source -> a packet per shard with records; those without records go to all shards."""

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(self, packet: Packet) -> Iterator[tuple[int, Packet]]:
        flow = self._settings.run().flow
        parts = list(spread_live(packet, self._settings.shards))
        flow.begin(len(parts))
        flow.finish()
        yield from parts


def spread_live(packet: Packet, shards: int) -> Iterator[tuple[int, Packet]]:
    """The packet's records by shard; counts and rejects go with the first part."""
    counts = {n: packet.header[n] for n in _COUNTED if n in packet.header}
    rest = {n: v for n, v in packet.header.items() if n not in _COUNTED}
    rejects = {n: t for n, t in packet.tables.items() if n == "rejects"}
    table = packet.tables.get("records")
    if table is None:
        yield from ((k, Packet({**rest, **(counts if k == 0 else {})})) for k in range(shards))
        return
    records = from_batches(table.to_batches())
    shard = shard_of(records.caller, shards)
    batch = records.take(np.argsort(shard, kind="stable")).to_batch()
    ends = np.cumsum(np.bincount(shard, minlength=shards))
    used = np.flatnonzero(np.diff(ends, prepend=0)) if len(records) else np.array([0])
    for k in used:
        start = ends[k - 1] if k else 0
        tables = {"records": pa.Table.from_batches([batch.slice(start, ends[k] - start)])}
        first = k == used[0]
        yield int(k), Packet({**rest, **counts} if first else rest, {**tables, **rejects} if first else tables)


class _ShardFn(beam.DoFn):
    """The one stateful step: keeps a shard, and says what changed at ticks, at ends of panes and at the end."""

    STATE = BagStateSpec("state", PacketCoder())
    VERSION = ReadModifyWriteStateSpec("version", VarIntCoder())
    ARMED = ReadModifyWriteStateSpec("armed", VarIntCoder())
    PANE = TimerSpec("pane", TimeDomain.WATERMARK)

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(
        self,
        element: tuple[int, Packet],
        state: Any = beam.DoFn.StateParam(STATE),
        version: Any = beam.DoFn.StateParam(VERSION),
        armed: Any = beam.DoFn.StateParam(ARMED),
        timer: Any = beam.DoFn.TimerParam(PANE),
    ) -> Iterator[tuple[int, Packet]]:
        number, packet = element
        cells = self._cells(number, state, version)
        outputs = list(take_packet(number, cells.shard, packet, self._settings.splits))
        pane = self._settings.live.plan.window.pane
        if pane and "records" in packet.tables:
            end = _first_pane_end(packet.tables["records"], cells.shard, pane)
            if end is not None and (not armed.read() or end < armed.read()):
                armed.write(end)
                timer.set(Timestamp(end))
        cells.save(packet)
        yield from self._counted(outputs)

    @on_timer(PANE)
    def pane_ended(
        self,
        number: int = beam.DoFn.KeyParam,
        end: Timestamp = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(STATE),
        version: Any = beam.DoFn.StateParam(VERSION),
        armed: Any = beam.DoFn.StateParam(ARMED),
        timer: Any = beam.DoFn.TimerParam(PANE),
    ) -> Iterator[tuple[int, Packet]]:
        """The watermark passed the end of a pane: its windows are shown as they are now."""
        cells = self._cells(number, state, version)
        shard, pane = cells.shard, self._settings.live.plan.window.pane
        armed.clear()
        behind = max(int(end.micros) // MICROS, shard.watermark, self._settings.run().watermark)
        if shard.greatest >= behind:
            following = behind // pane * pane + pane
            armed.write(following)
            timer.set(Timestamp(following))
        yield from self._counted([(0, cells_packet(number, shard))], done=0)

    def _cells(self, number: int, state: Any, version: Any) -> DurableCells:
        """The shard: this process's own, or built from the engine's state."""
        settings = self._settings
        return DurableCells(
            f"{settings.run_id}/{number}",
            settings.new_shard,
            state if settings.durable else None,
            version,
            settings.run(),
            number,
        )

    def _counted(self, outputs: list[tuple[int, Packet]], done: int = 1) -> Iterator[tuple[int, Packet]]:
        flow = self._settings.run().flow
        flow.begin(len(outputs))
        flow.finish(done)
        yield from outputs


def _first_pane_end(records: pa.Table, shard: LiveShard, pane: int) -> int | None:
    """End of the first pane with one of these records that the watermark has not passed."""
    seconds = records.column("start").to_numpy() // MICROS
    ahead = seconds[seconds // pane * pane + pane > shard.watermark]
    return int(ahead.min()) // pane * pane + pane if len(ahead) else None


def take_packet(number: int, shard: LiveShard, packet: Packet, splits: int = 1) -> Iterator[tuple[int, Packet]]:
    """Feeds a packet to a shard, and gives what it has to say.

    Late corrections of panes that ended before are shown at the next tick.
    """
    header = packet.header
    records = _records(packet)
    shard.add(records, {n: header[n] for n in _COUNTED if n in header})
    if "rejects" in packet.tables:
        yield 0, Packet({"shard": number}, {"rejects": packet.tables["rejects"]})
    mark = header.get("watermark")
    idle = bool(header.get("idle"))
    shard.heard(str(header.get("split")), None if mark is None else mark // MICROS, idle=idle, splits=splits)
    if header.get("tick"):
        end = str(header.get("split")) if header.get("end") else None
        yield 0, cells_packet(number, shard, end=end, subscribers=True)


def _records(packet: Packet) -> Records:
    table = packet.tables.get("records")
    return from_batches(table.to_batches() if table is not None else [])


def cells_packet(number: int, shard: LiveShard, *, end: str | None = None, subscribers: bool = False) -> Packet:
    """What changed in a shard since it was last asked, and its absolute counts.

    At the ``end`` of a split all subscribers are shown: their contact hours depend on everybody.
    """
    tables = {"cells": shard.changed_cells()}
    if subscribers and shard.live.plan.with_subscribers:
        rows, hours = shard.subscriber_changes(everyone=end is not None)
        if rows.height:
            tables["subscribers"] = rows.to_arrow()
            tables["hours"] = pa.table({"n": hours.reshape(-1)})
    header = {
        "shard": number,
        "end": end,
        "watermark": shard.watermark,
        "counts": shard.counts,
        "population": shard.callers.population.tolist(),
    }
    return Packet(header, tables)


class _CollectFn(beam.DoFn):
    """The last step: sums over shards, and passes rows on to be written."""

    STATE = BagStateSpec("tables", PacketCoder())

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(
        self, element: tuple[int, Packet], state: Any = beam.DoFn.StateParam(STATE)
    ) -> Iterator[Packet]:
        packet = element[1]
        run = self._settings.run()
        tables = self._tables(run, state, packet)
        yield from self._counted(run, collect(tables, packet))

    def _tables(self, run: LiveRun, state: Any, packet: Packet) -> LiveTables:
        fresh = run.tables is None
        tables = run.last(self._settings.new_tables)
        if self._settings.durable:
            if fresh:
                for known in state.read():
                    remember(tables, known, quiet=True)
            self._keep(tables, state, packet)
        return tables

    def _keep(self, tables: LiveTables, state: Any, packet: Packet) -> None:
        """Adds to the engine's log of what shards said; now and then it is replaced by what it comes to."""
        tables.entries += 1
        state.add(Packet(packet.header, {n: t for n, t in packet.tables.items() if n == "cells"}))
        if tables.entries >= _COMPACT_AFTER:
            remember(tables, packet)
            state.clear()
            for shard in sorted(tables.counts):
                state.add(Packet(tables.header_of(shard), {"cells": tables.cells_of(shard)}))
            tables.entries = 0

    def _counted(self, run: LiveRun, outputs: list[Packet]) -> Iterator[Packet]:
        run.flow.begin(len(outputs))
        run.flow.finish()
        yield from outputs


def remember(tables: LiveTables, packet: Packet, *, quiet: bool = False) -> None:
    """Takes in what a shard says."""
    header = packet.header
    if "cells" in packet.tables:
        tables.put(header["shard"], packet.tables["cells"], quiet=quiet)
    if "counts" in header:
        tables.put_counts(header["shard"], dict(header["counts"]), header["population"])
    if header.get("watermark"):
        tables.advance(header["watermark"])
    if header.get("end") is not None:
        tables.ends.add((header["shard"], header["end"]))


def collect(tables: LiveTables, packet: Packet) -> list[Packet]:
    """Rows of the result tables that follow from what one shard says."""
    remember(tables, packet)
    out = {n: t for n, t in packet.tables.items() if n == "rejects"}
    out |= {name: rows.to_arrow() for name, rows in tables.rows().items()}
    if "subscribers" in packet.tables:
        rows = pl.DataFrame(pl.from_arrow(packet.tables["subscribers"]))
        hours = packet.tables["hours"].column("n").to_numpy().reshape(rows.height, -1)
        out["subscribers"] = tables.subscriber_rows(rows, hours).to_arrow()
    if not out and packet.header.get("end") is None:
        return []
    return [Packet({"counts": tables.total_counts(), "ended": tables.ended}, out)]


@dataclass
class CountWritten(beam.PTransform):
    """What the sink gives for each packet -> nothing; the packets count as worked off.

    Attributes:
        settings: of the live steps.
    """

    settings: LiveSettings

    def expand(self, pcoll: beam.PCollection[int]) -> beam.PCollection[int]:
        """One step."""
        return pcoll | "CountWritten" >> beam.ParDo(_WrittenFn(self.settings)).with_output_types(int)


class _WrittenFn(beam.DoFn):
    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(self, rows: int) -> None:
        self._settings.run().flow.finish()
