"""Promotions in batch: every shard by itself, then what a rule may give away in all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa

from transforms.columns.decisions import RuleBook, RuleSettings, decide_batch
from transforms.columns.dedup import distinct_records
from transforms.columns.rules.promotions import apply_max_total
from transforms.columns.templates import Reference
from transforms.gather import GatherPackets
from transforms.hours import in_order, records_of
from transforms.packets import Packet
from transforms.threads import ThreadedDoFn

_MICROS = 1_000_000


@dataclass
class DecidePromotions(beam.PTransform):
    """``(shard, Packet)`` of cleaned records -> one packet with the run's promotions.

    Attributes:
        book: gives the rules and consents; called on the worker, must cache.
        settings: panes and the gate.
        reference: gives types and directory; called on the worker, must cache.
    """

    book: Callable[[], RuleBook]
    settings: RuleSettings
    reference: Callable[[], Reference]

    def expand(self, pcoll: beam.PCollection[tuple[int, Packet]]) -> beam.PCollection[Packet]:
        """Find the end of the input, decide by shard, count what is given away."""
        greatest = (
            pcoll
            | "LastStart" >> beam.Map(last_start).with_output_types(int)
            | "EndOfInput" >> beam.CombineGlobally(latest)
        )
        return (
            pcoll
            | "GroupByShard" >> beam.GroupByKey()
            | "DecideShard"
            >> beam.ParDo(
                _DecideFn(self.book, self.settings, self.reference), beam.pvalue.AsSingleton(greatest)
            ).with_output_types(Packet)
            | "Gather" >> beam.CombineGlobally(_GatherFn(self.book)).with_output_types(Packet)
        )


def last_start(element: tuple[int, Packet]) -> int:
    """Second of the last record of a packet; the least one where there is none."""
    records = element[1].tables.get("records")
    if records is None or not records.num_rows:
        return -(1 << 62)
    return int(records.column("start").to_numpy().max()) // _MICROS


def latest(seconds: Iterable[int]) -> int:
    """The greatest of some seconds."""
    return max(seconds, default=-(1 << 62))


class _DecideFn(ThreadedDoFn):
    def __init__(
        self, book: Callable[[], RuleBook], settings: RuleSettings, reference: Callable[[], Reference]
    ) -> None:
        self._book, self._settings, self._reference = book, settings, reference

    def work(self, element: tuple[int, Iterable[Packet]], side: int) -> Iterator[Packet]:
        """A shard's packets, and the second of the last record of the whole input."""
        records = distinct_records(records_of(in_order(element[1]))).records
        rows = decide_batch(records, side, self._book(), self._settings, self._reference().types)
        if rows is not None:
            yield Packet({}, {"promotions": rows})


class _GatherFn(GatherPackets):
    """All promotions together, those beyond a rule's total sold out."""

    def __init__(self, book: Callable[[], RuleBook]) -> None:
        self._book = book

    def together(self, packets: list[Packet]) -> Packet:
        tables = [packet.tables["promotions"] for packet in packets]
        if not tables:
            return Packet()
        rows, _ = apply_max_total(pa.concat_tables(tables), self._book().limits, {})
        return Packet({}, {"promotions": rows})
