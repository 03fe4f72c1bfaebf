"""The last live step: sums over shards of what changed, on their way to the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.transforms.userstate import BagStateSpec

from transforms.columns.decisions import RuleBook
from transforms.columns.live_tables import LiveTables
from transforms.live_settings import LiveSettings
from transforms.packets import Packet, PacketCoder
from transforms.registry import LiveRun

_COMPACT_AFTER = 200


class CollectFn(beam.DoFn):
    """The last step: sums over shards, and passes rows on to be written."""

    STATE = BagStateSpec("tables", PacketCoder())

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(
        self, element: tuple[int, Packet], state: Any = beam.DoFn.StateParam(STATE)
    ) -> Iterator[Packet]:
        """Takes in what a shard says, and gives the rows that follow from it."""
        packet = element[1]
        run = self._settings.run()
        tables = self._tables(run, state, packet)
        yield from self._counted(run, collect(tables, packet, run.book))

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
            for shard, split in sorted(tables.ends):
                state.add(Packet({"shard": shard, "end": split}))
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
    if header.get("decided") is not None:
        tables.decisions.put(header["shard"], header["decided"], packet.tables.get("promotions"))
    if header.get("end") is not None:
        tables.ends.add((header["shard"], header["end"]))


def collect(tables: LiveTables, packet: Packet, book: RuleBook) -> list[Packet]:
    """Rows of the result tables that follow from what one shard says."""
    remember(tables, packet)
    out = {n: t for n, t in packet.tables.items() if n == "rejects"}
    out |= {name: rows.to_arrow() for name, rows in tables.rows().items()}
    if packet.header.get("watermark") is not None:  # only now: the rows above may need old panes
        tables.advance(packet.header["shard"], packet.header["watermark"])
    if "subscribers" in packet.tables:
        rows = pl.DataFrame(pl.from_arrow(packet.tables["subscribers"]))
        hours = packet.tables["hours"].column("n").to_numpy().reshape(rows.height, -1)
        out["subscribers"] = tables.subscriber_rows(rows, hours).to_arrow()
    promotions = tables.decisions.take(book.limits)
    if promotions is not None:
        out["promotions"] = promotions
    if not out and packet.header.get("end") is None:
        return []
    header = {"counts": tables.total_counts(), "ended": tables.ended}
    if promotions is not None:
        header["decided"] = tables.decisions.floor
    return [Packet(header, out)]


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
