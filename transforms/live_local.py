"""The live steps where the engine runs in this process: one step that works all shards at once, on threads.

An engine's step works one shard after the other; NumPy, Polars and Arrow let go of the interpreter's lock, so that
shards on threads use all cores. What the shards say is collected once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from transforms.columns.hashing import shard_of
from transforms.columns.records import Records
from transforms.live import records_of, take_packet
from transforms.live_collect import collect_all
from transforms.live_settings import LiveSettings
from transforms.packets import COUNTED, Packet
from transforms.threads import together


@dataclass
class AnalyseHere(beam.PTransform):
    """Packets of a live source -> packets with rows of the result tables; the state is this process's own.

    Attributes:
        settings: of the live steps.
    """

    settings: LiveSettings

    def expand(self, pcoll: beam.PCollection[Packet]) -> beam.PCollection[Packet]:
        """One step."""
        return pcoll | "KeepShards" >> beam.ParDo(_LocalFn(self.settings)).with_output_types(Packet)


class _LocalFn(beam.DoFn):
    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def process(self, packet: Packet) -> Iterator[Packet]:
        """Feeds all shards, and collects what they say."""
        run = self._settings.run()
        outputs = work(packet, self._settings)
        if packet.header.get("tick") and not outputs:
            run.quiet_ticks.append(packet.header["order"])
        run.flow.begin(len(outputs))
        run.flow.finish()
        yield from outputs


def work(packet: Packet, settings: LiveSettings) -> list[Packet]:
    """What follows from a packet: rows of the result tables, if there is something to show.

    The header of rows that a tick brought has the tick's ``order`` as ``tick``.
    """
    run = settings.run()
    records = records_of(packet)
    shards = shard_of(records.caller, settings.shards)
    parts = [partial(_fed, packet, records, shards, k, settings) for k in range(settings.shards)]
    said = [saying for part in together(parts) for saying in part]
    if not said:
        return []
    outputs = collect_all(run.last(settings.new_tables), said)
    if not packet.header.get("tick"):
        return outputs
    return [Packet({**p.header, "tick": packet.header["order"]}, p.tables) for p in outputs]


def _fed(
    packet: Packet, records: Records, shards: NDArray[np.uint8], number: int, settings: LiveSettings
) -> list[Packet]:
    """What one shard says of its part of a packet; the first shard gets the counts and the rejects."""
    header, tables = packet.header, packet.tables
    if number:
        header, tables = {n: v for n, v in header.items() if n not in COUNTED}, {}
    run = settings.run()
    shard = run.shard(number, settings.new_shard)
    mine = records.take(np.flatnonzero(shards == number)) if len(records) else records
    said = take_packet(number, shard, Packet(header, tables), settings.splits, lambda _: run.book, mine)
    return [saying for _, saying in said]
