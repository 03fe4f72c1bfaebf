"""``--keep_records`` in batch: the good records as Parquet beside the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa

from callbeam_io.kept import KeptRecords
from transforms.columns.dedup import distinct_records
from transforms.hours import in_order, records_of
from transforms.packets import Packet
from transforms.threads import ThreadedDoFn

_MICROS = 1_000_000


@dataclass
class KeepRecords(beam.PTransform):
    """``(shard, Packet)`` of cleaned records -> packets with rows of ``record_files``; the files are written.

    Attributes:
        kept: the run's folder.
        since: second before which records are not kept.
    """

    kept: KeptRecords
    since: int

    def expand(self, pcoll: beam.PCollection[tuple[int, Packet]]) -> beam.PCollection[Packet]:
        """Group by shard, write."""
        return (
            pcoll
            | "GroupByShard" >> beam.GroupByKey()
            | "KeepShard" >> beam.ParDo(_KeepFn(self.kept, self.since)).with_output_types(Packet)
        )


class _KeepFn(ThreadedDoFn):
    def __init__(self, kept: KeptRecords, since: int) -> None:
        self._kept, self._since = kept, since

    def work(self, element: tuple[int, Iterable[Packet]], side: None) -> Iterator[Packet]:
        shard, packets = element
        records = distinct_records(records_of(in_order(packets))).records
        records = records.take(records.start >= self._since * _MICROS)
        if len(records):
            rows = self._kept.write(shard, 1, pa.Table.from_batches([records.to_batch()]))
            yield Packet({}, {"record_files": pa.Table.from_pylist(rows)})
