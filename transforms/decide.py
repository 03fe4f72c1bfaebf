"""Promotions in batch: every shard by itself, then what a rule may give away in all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.windowed_value import WindowedValue

from transforms.columns.decisions import RuleBook, RuleSettings, decide_batch
from transforms.columns.dedup import distinct_records
from transforms.columns.rules.promotions import apply_max_total
from transforms.columns.templates import Reference
from transforms.gather import GatherPackets
from transforms.hours import in_order, records_of
from transforms.packets import Packet
from transforms.shards import Writer
from transforms.threads import ThreadedDoFn

_MICROS = 1_000_000


@dataclass
class DecidePromotions(beam.PTransform):
    """``(shard, Packet)`` of cleaned records -> one packet with the run's promotions.

    Attributes:
        book: gives the rules and consents; called on the worker, must cache.
        settings: panes and the gate.
        reference: gives types and directory; called on the worker, must cache.
        writer: where promotions of rules without ``max_total`` go as soon as they are made, in place of being
            gathered: nothing that other shards find changes them.
    """

    book: Callable[[], RuleBook]
    settings: RuleSettings
    reference: Callable[[], Reference]
    writer: Writer | None = None

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
                _DecideFn(self.book, self.settings, self.reference, self.writer),
                beam.pvalue.AsSingleton(greatest),
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
        self,
        book: Callable[[], RuleBook],
        settings: RuleSettings,
        reference: Callable[[], Reference],
        writer: Writer | None,
    ) -> None:
        self._book, self._settings, self._reference, self._writer = book, settings, reference, writer

    def work(self, element: tuple[int, Iterable[Packet]], side: int) -> Iterator[Packet]:
        """A shard's packets, and the second of the last record of the whole input."""
        book = self._book()
        records = distinct_records(records_of(in_order(element[1]))).records
        rows = decide_batch(records, side, book, self._settings, self._reference().types)
        if rows is not None and self._writer is not None:
            settled, rows = by_total(rows, book)
            self._writer.put(Packet({}, {"promotions": settled}))
        if rows is not None and rows.num_rows:
            yield Packet({}, {"promotions": rows})

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """The rest, and all of it written."""
        yield from super().finish_bundle()
        if self._writer is not None:
            self._writer.flush()


def by_total(rows: pa.Table, book: RuleBook) -> tuple[pa.Table, pa.Table]:
    """Promotions of rules without ``max_total``, and those of rules with one."""
    limited = {rule_id for (rule_id, _), most in book.limits.items() if most is not None}
    mask = pc.is_in(rows.column("rule_id"), pa.array(sorted(limited), pa.string()))
    return rows.filter(pc.invert(mask)), rows.filter(mask)


class _GatherFn(GatherPackets):
    """All promotions together, those beyond a rule's total sold out."""

    def __init__(self, book: Callable[[], RuleBook]) -> None:
        self._book = book

    def together(self, packets: list[Packet]) -> Packet:
        tables = [packet.tables["promotions"] for packet in packets]
        if not tables:
            return Packet()
        book = self._book()
        rows, _ = apply_max_total(pa.concat_tables(tables), book.limits, book.offered)
        return Packet({}, {"promotions": rows})
