"""Promotions in batch: every shard by itself, then what a rule may give away in all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl
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

_ROWS = 1 << 16  # promotions that are worth being put in order together
_SETTLED = "settled"  # a table of promotions that nothing changes any more


@dataclass
class DecidePromotions(beam.PTransform):
    """Records grouped by shard (`transforms.hours.group_shards`) -> one packet with the run's promotions.

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

    def expand(
        self, pcolls: tuple[beam.PCollection[tuple[int, Iterable[Packet]]], beam.PCollection[Packet]]
    ) -> beam.PCollection[Packet]:
        """Decide by shard, count what is given away."""
        groups, everybody = pcolls
        return (
            groups
            | "DecideShard"
            >> beam.ParDo(
                _DecideFn(self.book, self.settings, self.reference, self.writer),
                beam.pvalue.AsSingleton(everybody),
            ).with_output_types(Packet)
            | "Gather" >> beam.CombineGlobally(_GatherFn(self.book)).with_output_types(Packet)
        )


class _DecideFn(ThreadedDoFn):
    def __init__(
        self,
        book: Callable[[], RuleBook],
        settings: RuleSettings,
        reference: Callable[[], Reference],
        writer: Writer | None,
    ) -> None:
        self._book, self._settings, self._reference, self._writer = book, settings, reference, writer

    def work(self, element: tuple[int, Iterable[Packet]], side: Packet) -> Iterator[Packet]:
        """A shard's packets, and what is known of the whole input."""
        book, records = self._book(), records_of(in_order(element[1]))
        if side.header["duplicates"]:
            records = distinct_records(records).records
        rows = decide_batch(records, side.header["last"], book, self._settings, self._reference().types)
        if rows is None:
            return
        if self._writer is not None:
            settled, rows = by_total(rows, book)
            yield Packet({}, {_SETTLED: settled})
        if rows.num_rows:
            yield Packet({}, {"promotions": rows})

    def start_bundle(self) -> None:
        """Nothing waits to be written."""
        super().start_bundle()
        self._settled: list[pa.Table] = []

    def process(self, element: Any, side: Any = None) -> Iterator[Packet]:
        """Decides a shard; writes what is settled."""
        yield from (packet for packet in super().process(element, side) if not self._taken(packet))
        if sum(rows.num_rows for rows in self._settled) >= _ROWS:
            self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """The rest, and the writing of it."""
        yield from (found for found in super().finish_bundle() if not self._taken(found.value))
        self._write()
        if self._writer is not None:
            self._writer.end_bundle()

    def _taken(self, packet: Packet) -> bool:
        """Whether a packet is one of settled promotions, which wait to be written."""
        if _SETTLED in packet.tables:
            self._settled.append(packet.tables[_SETTLED])
        return _SETTLED in packet.tables

    def _write(self) -> None:
        """Hands on what waits, in an order in which a store's indexes grow page by page."""
        if self._writer is not None and self._settled:
            rows = pl.DataFrame(pl.from_arrow(pa.concat_tables(self._settled))).sort(
                "subscriber", maintain_order=True
            )
            self._writer.put(Packet({}, {"promotions": rows.to_arrow()}))
        self._settled = []


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
