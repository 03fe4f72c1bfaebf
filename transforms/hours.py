"""Everybody's hours over all shards: a light pass before those that look at each shard by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.dedup import distinct_hours
from transforms.columns.records import Records, from_batches
from transforms.columns.subscribers import HOURS
from transforms.packets import Packet
from transforms.threads import ThreadedDoFn

_NEEDED = ("caller", "id_hash", "start", "offset")
_BEFORE_ALL = -(1 << 62)


class CountHours(beam.PTransform):
    """``(shard, packets of records)`` -> one packet: interactions by hour, and in its header the number of
    ``duplicates`` and the second of the last record, ``last``."""

    def expand(self, pcoll: beam.PCollection[tuple[int, Iterable[Packet]]]) -> beam.PCollection[Packet]:
        """By shard, then the sum."""
        hours = pcoll | "CountByShard" >> beam.ParDo(_HoursFn()).with_output_types(Packet)
        return hours | "AddUp" >> beam.CombineGlobally(_SumHours()).with_output_types(Packet)


def group_shards(
    pcoll: beam.PCollection[tuple[int, Packet]],
) -> tuple[beam.PCollection[tuple[int, Iterable[Packet]]], beam.PCollection[Packet]]:
    """``(shard, Packet)`` -> all packets of each shard, and what `CountHours` tells of all shards."""
    groups = pcoll | "GroupByShard" >> beam.GroupByKey()
    return groups, groups | "CountHours" >> CountHours()


def hours_of(packet: Packet) -> NDArray[np.int64]:
    """Interactions by hour, 24, of a packet of `CountHours`."""
    hours: NDArray[np.int64] = packet.tables["hours"].column("n").to_numpy()
    return hours


def in_order(packets: Iterable[Packet]) -> list[Packet]:
    """Packets in the input order, which ``order`` in their headers gives."""
    return sorted(packets, key=lambda p: str(p.header["order"]))


def records_of(packets: Iterable[Packet]) -> Records:
    """The records of packets, one after the other."""
    return from_batches(_batches(packets))


def _batches(packets: Iterable[Packet]) -> list[pa.RecordBatch]:
    return [b for p in packets if "records" in p.tables for b in p.tables["records"].to_batches()]


class _HoursFn(ThreadedDoFn):
    def work(self, element: tuple[int, Iterable[Packet]], side: None) -> Iterator[Packet]:
        records = from_batches(_batches(in_order(element[1])), _NEEDED)
        yield _packed(*distinct_hours(records), records.last_second if len(records) else _BEFORE_ALL)


class _SumHours(beam.CombineFn):
    def create_accumulator(self) -> Packet:
        return _packed(np.zeros(HOURS, np.int64), 0, _BEFORE_ALL)

    def add_input(self, mutable_accumulator: Packet, element: Packet) -> Packet:
        return self.merge_accumulators([mutable_accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[Packet]) -> Packet:
        parts = list(accumulators)
        hours = np.sum([hours_of(p) for p in parts], axis=0)
        duplicates = sum(p.header["duplicates"] for p in parts)
        return _packed(hours, duplicates, max(p.header["last"] for p in parts))

    def extract_output(self, accumulator: Packet) -> Packet:
        return accumulator


def _packed(hours: NDArray[np.int64], duplicates: int, last: int) -> Packet:
    return Packet({"duplicates": duplicates, "last": last}, {"hours": pa.table({"n": hours})})
