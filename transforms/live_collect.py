"""The last live step: sums over shards of what changed, on their way to the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl
import pyarrow as pa
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec

from transforms.columns.live_tables import LiveTables
from transforms.durable import next_version
from transforms.live_settings import LiveSettings
from transforms.packets import Packet, PacketCoder
from transforms.registry import LiveRun

_COMPACT_AFTER = 200
_REMEMBERED = ("cells", "promotions")


class CollectFn(beam.DoFn):
    """The last step: sums over shards, and passes rows on to be written."""

    STATE = BagStateSpec("tables", PacketCoder())
    VERSION = ReadModifyWriteStateSpec("version", VarIntCoder())

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(
        self,
        element: tuple[int, Packet],
        state: Any = beam.DoFn.StateParam(STATE),
        version: Any = beam.DoFn.StateParam(VERSION),
    ) -> Iterator[Packet]:
        """Takes in what a shard says, and gives the rows that follow from it."""
        packet, run = element[1], self._settings.run()
        tables = self._tables(run, state, version)
        before = tables.time
        outputs = collect(tables, packet)
        self._keep(tables, packet, state, version)
        yield from self._counted(run, self._timed(tables, before, outputs))

    def _tables(self, run: LiveRun, state: Any, version: Any) -> LiveTables:
        """This process's copy where its version is the one in the engine's state; else built again from there."""
        expected = version.read() or 0
        tables = run.tables
        if tables is None or tables.version != expected:
            tables = run.tables = self._settings.new_tables()
            for known in sorted(state.read(), key=lambda p: int(p.header["n"])):
                remember(tables, known, quiet=True)
                tables.entries += 1
            rulings = self._settings.rulings
            tables.decisions.catch_up(*((None, {}, None) if rulings is None else rulings.decided()))
            tables.version = expected
        return tables

    def _keep(self, tables: LiveTables, packet: Packet, state: Any, version: Any) -> None:
        """Adds to the engine's log of what shards said; now and then it is replaced by what it comes to."""
        tables.version = next_version(tables.version)
        version.write(tables.version)
        tables.entries += 1
        if tables.entries < _COMPACT_AFTER:
            entries = [Packet(packet.header, {n: t for n, t in packet.tables.items() if n in _REMEMBERED})]
        else:
            state.clear()
            entries = list(everything(tables))
            tables.entries = 0
        for entry in entries:
            state.add(Packet({**entry.header, "n": tables.version}, entry.tables))

    def _timed(self, tables: LiveTables, before: int | None, outputs: list[Packet]) -> list[Packet]:
        """The outputs with the watermark; where it moved and there are none, one for its sake."""
        if tables.time is None:
            return outputs
        if not outputs and tables.time != before:
            outputs = [result(tables, {})]
        return [Packet({**p.header, "watermark": tables.time}, p.tables) for p in outputs]

    def _counted(self, run: LiveRun, outputs: list[Packet]) -> Iterator[Packet]:
        run.flow.begin(len(outputs))
        run.flow.finish()
        yield from outputs


def everything(tables: LiveTables) -> Iterator[Packet]:
    """What `remember` makes the same tables of."""
    for shard in sorted(tables.counts):
        yield Packet(tables.header_of(shard), {"cells": tables.cells_of(shard)})
    for shard, split in sorted(tables.ends):
        yield Packet({"shard": shard, "end": split})
    yield Packet(*tables.decisions.saved())


def remember(tables: LiveTables, packet: Packet, *, quiet: bool = False) -> None:
    """Takes in what a shard says."""
    header = packet.header
    if "decisions" in header:
        tables.decisions.restore(header["decisions"], packet.tables.get("promotions"))
        return
    if "cells" in packet.tables:
        tables.put(header["shard"], packet.tables["cells"], quiet=quiet)
    if "counts" in header:
        tables.put_counts(header["shard"], dict(header["counts"]), header["population"])
    if header.get("time") is not None:
        tables.times[header["shard"]] = header["time"]
    tables.decisions.limits |= {(rule, version): most for rule, version, most in header.get("limits", ())}
    if header.get("decided") is not None:
        tables.decisions.put(header["shard"], header["decided"], packet.tables.get("promotions"))
    if header.get("end") is not None:
        tables.ends.add((header["shard"], header["end"]))


def collect(tables: LiveTables, packet: Packet) -> list[Packet]:
    """Rows of the result tables that follow from what one shard says."""
    return collect_all(tables, [packet])


def collect_all(tables: LiveTables, packets: list[Packet]) -> list[Packet]:
    """Rows of the result tables that follow from what some shards say, each row once."""
    for packet in packets:
        remember(tables, packet)
    out = {name: rows.to_arrow() for name, rows in tables.rows().items()}
    rejects = [p.tables["rejects"] for p in packets if "rejects" in p.tables]
    if rejects:
        out["rejects"] = pa.concat_tables(rejects)
    for packet in packets:
        if packet.header.get("watermark") is not None:  # only now: the rows above may need old panes
            tables.advance(packet.header["shard"], packet.header["watermark"])
    subscribers = [subscriber_rows(tables, p) for p in packets if "subscribers" in p.tables]
    if subscribers:
        out["subscribers"] = pa.concat_tables(subscribers, promote_options="permissive")
    promotions = tables.decisions.take()
    if promotions is not None:
        out["promotions"] = promotions
    ended = any(p.header.get("end") is not None for p in packets)
    return [result(tables, out)] if out or ended else []


def result(tables: LiveTables, rows: dict[str, pa.Table]) -> Packet:
    """Rows on their way to the store, with what counts until now."""
    header = {"counts": tables.total_counts(), "ended": tables.ended}
    if "promotions" in rows:
        header["decided"] = tables.decisions.floor
    return Packet(header, rows)


def subscriber_rows(tables: LiveTables, packet: Packet) -> pa.Table:
    """The rows of subscribers that a shard sent, with what depends on everybody."""
    rows = pl.DataFrame(pl.from_arrow(packet.tables["subscribers"]))
    hours = packet.tables["hours"].column("n").to_numpy().reshape(rows.height, -1)
    return tables.subscriber_rows(rows, hours).to_arrow()


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
