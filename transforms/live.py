"""The templates over a live stream: spread over shards, one stateful step, one step that writes.

The graph is a line, on purpose: sibling stateful steps lose their state on some engines when a job is
submitted again. State is in the global window with panes of its own; the engine's timers say when panes end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from transforms.columns.decisions import RuleBook
from transforms.columns.hashing import shard_of
from transforms.columns.live import LiveShard
from transforms.columns.records import Records, from_batches
from transforms.durable import Bags, DurableCells
from transforms.live_collect import CollectFn
from transforms.live_settings import LiveSettings
from transforms.packets import COUNTED, Packet, PacketCoder

MICROS = 1_000_000


@dataclass
class AnalyseLive(beam.PTransform):
    """Packets of a live source -> packets with rows of the result tables, on engines that keep the state.

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
            | "CollectTables" >> beam.ParDo(CollectFn(self.settings)).with_output_types(Packet)
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
    counts = {n: packet.header[n] for n in COUNTED if n in packet.header}
    rest = {n: v for n, v in packet.header.items() if n not in COUNTED}
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
        yield (
            int(k),
            Packet({**rest, **counts} if first else rest, {**tables, **rejects} if first else tables),
        )


class _ShardFn(beam.DoFn):
    """The stateful step: keeps a shard, and says what changed at ticks, at ends of panes and at the end."""

    LOG = BagStateSpec("log", PacketCoder())
    KEPT = BagStateSpec("kept", PacketCoder())
    VERSION = ReadModifyWriteStateSpec("version", VarIntCoder())
    ARMED = ReadModifyWriteStateSpec("armed", VarIntCoder())
    PANE = TimerSpec("pane", TimeDomain.WATERMARK)

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(
        self,
        element: tuple[int, Packet],
        log: Any = beam.DoFn.StateParam(LOG),
        kept: Any = beam.DoFn.StateParam(KEPT),
        version: Any = beam.DoFn.StateParam(VERSION),
        armed: Any = beam.DoFn.StateParam(ARMED),
        timer: Any = beam.DoFn.TimerParam(PANE),
    ) -> Iterator[tuple[int, Packet]]:
        number, packet = element
        cells = self._cells(number, Bags(log, kept, version))
        outputs = list(take_packet(number, cells.shard, packet, self._settings.splits, self._book))
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
        log: Any = beam.DoFn.StateParam(LOG),
        kept: Any = beam.DoFn.StateParam(KEPT),
        version: Any = beam.DoFn.StateParam(VERSION),
        armed: Any = beam.DoFn.StateParam(ARMED),
        timer: Any = beam.DoFn.TimerParam(PANE),
    ) -> Iterator[tuple[int, Packet]]:
        """The watermark passed the end of a pane: its windows are shown as they are now."""
        cells = self._cells(number, Bags(log, kept, version))
        shard, pane = cells.shard, self._settings.live.plan.window.pane
        armed.clear()
        behind = max(int(end.micros) // MICROS, shard.watermark)
        if shard.greatest >= behind:
            following = behind // pane * pane + pane
            armed.write(following)
            timer.set(Timestamp(following))
        yield from self._counted([(0, cells_packet(number, shard))], done=0)

    def _cells(self, number: int, bags: Bags) -> DurableCells:
        """The shard: this process's copy, or built from the engine's state."""
        return DurableCells(self._settings.new_shard, bags, self._settings.run(), number)

    def _book(self, last: bool) -> RuleBook:
        """The rules as they are; ``last``: nothing will be decided after this."""
        rulings = self._settings.rulings
        if rulings is None:
            return self._settings.run().book
        return rulings.last_book() if last else rulings.book()

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


def take_packet(
    number: int,
    shard: LiveShard,
    packet: Packet,
    splits: int = 1,
    book: Callable[[bool], RuleBook] | None = None,
    records: Records | None = None,
) -> Iterator[tuple[int, Packet]]:
    """Feeds a packet to a shard, and gives what it has to say; ``records``: in place of those of the packet.

    Late corrections of panes that ended before are shown at the next tick; rules are decided at ticks, by the
    ``book`` that is asked for then (and told whether it is for the last time).
    """
    header = packet.header
    records = records_of(packet) if records is None else records
    shard.add(records, {n: header[n] for n in COUNTED if n in header})
    if "rejects" in packet.tables:
        yield 0, Packet({"shard": number}, {"rejects": packet.tables["rejects"]})
    mark = header.get("watermark")
    floor = header.get("floor")
    shard.heard(
        str(header.get("split")),
        None if mark is None else mark // MICROS,
        idle=bool(header.get("idle")),
        splits=splits,
        floor=None if floor is None else floor // MICROS,
    )
    if header.get("tick"):
        end = str(header.get("split")) if header.get("end") else None
        if end is not None:
            shard.ends[end] = None if mark is None else mark // MICROS
        yield 0, cells_packet(number, shard, end=end, subscribers=True, decision=decide(shard, splits, book))


def decide(shard: LiveShard, splits: int, book: Callable[[bool], RuleBook] | None) -> Decision:
    """What rules decide in a shard now."""
    if book is None or shard.live.rules is None:
        return Decision()
    last = shard.greatest_of_all(splits)
    rules = book(last is not None)
    return Decision(shard.decide(rules, last=last), rules.limits)


def records_of(packet: Packet) -> Records:
    """The records of a packet, none where it has no table of them."""
    table = packet.tables.get("records")
    return from_batches(table.to_batches() if table is not None else [])


@dataclass(frozen=True)
class Decision:
    """New promotions of a shard, and ``max_total`` by rule and version of the rules that were looked at."""

    promotions: pa.Table | None = None
    limits: Mapping[tuple[str, int], int | None] = field(default_factory=dict)

    @property
    def limit_rows(self) -> list[tuple[str, int, int]]:
        """The limits that there are, as JSON values."""
        return [(*rule, most) for rule, most in self.limits.items() if most is not None]


def cells_packet(
    number: int,
    shard: LiveShard,
    *,
    end: str | None = None,
    subscribers: bool = False,
    decision: Decision | None = None,
) -> Packet:
    """What changed in a shard since it was last asked, and its absolute counts.

    At the ``end`` of a split all subscribers are shown: their contact hours depend on everybody.
    """
    tables = {"cells": shard.changed_cells()}
    if decision is not None and decision.promotions is not None:
        tables["promotions"] = decision.promotions
    if subscribers and shard.live.plan.with_subscribers:
        rows, hours = shard.subscriber_changes(everyone=end is not None)
        if rows.height:
            tables["subscribers"] = rows.to_arrow()
            tables["hours"] = pa.table({"n": hours.reshape(-1)})
    header = {
        "shard": number,
        "end": end,
        "watermark": shard.floor,
        "counts": {**shard.counts, "decided_without": 0 if shard.decider is None else shard.decider.without},
        "decided": None if shard.decider is None else shard.decider.decided,
        "limits": [] if "promotions" not in tables or decision is None else decision.limit_rows,
        "time": shard.time,
        "population": shard.callers.population.tolist(),
    }
    return Packet(header, tables)
