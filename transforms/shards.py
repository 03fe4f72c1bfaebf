"""The templates over cleaned records in batch: shards by themselves, then the sums of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import apache_beam as beam
import polars as pl
import pyarrow as pa
from apache_beam.utils.windowed_value import WindowedValue

from transforms.columns.analysis import (
    COUNTS,
    Plan,
    analyse_shard,
    cluster_rows,
    merge_sums,
    table_rows,
)
from transforms.columns.dedup import Distinct, distinct_records
from transforms.columns.templates import Reference
from transforms.gather import GatherPackets
from transforms.hours import group_shards, hours_of, in_order, records_of
from transforms.packets import Packet
from transforms.threads import ThreadedDoFn

_READ = ("read", "rejected")
_ROWS = ("subscribers", "rejects")


class Writer(Protocol):
    """Takes rows beside the work that makes them; picklable, its methods run on any thread."""

    def put(self, packet: Packet) -> object:
        """Takes the tables of a packet, to be written soon."""

    def end_bundle(self) -> None:
        """Hears that a bundle ends: waits until all that this process put is written, if its engine needs that."""


@dataclass
class AnalyseShards(beam.PTransform):
    """``(shard, Packet)`` of cleaned records -> packets with rows of the result tables.

    One pass over each shard fills all templates, after a light one that counts everybody's hours. One packet
    holds the rows of T1, T2, T3 and the type graph and the run's counts (``counts`` in its header); the
    others hold rows of ``subscribers`` and ``rejects``.

    Attributes:
        plan: templates and windows.
        reference: gives types and directory; called on the worker, must cache.
        writer: where rows of ``subscribers`` and ``rejects`` go as soon as they are made, in place of being
            handed on: an engine that hands on whole bundles would write them only when all shards are done.
    """

    plan: Plan
    reference: Callable[[], Reference]
    writer: Writer | None = None

    def expand(self, pcoll: beam.PCollection[tuple[int, Packet]]) -> beam.PCollection[Packet]:
        """Group by shard, count hours, then `AnalyseGroups`."""
        return group_shards(pcoll) | "Analyse" >> AnalyseGroups(self.plan, self.reference, self.writer)


@dataclass
class AnalyseGroups(beam.PTransform):
    """`AnalyseShards` of records that are grouped by shard already, see `transforms.hours.group_shards`.

    Attributes:
        plan, reference, writer: as there.
    """

    plan: Plan
    reference: Callable[[], Reference]
    writer: Writer | None = None

    def expand(
        self, pcolls: tuple[beam.PCollection[tuple[int, Iterable[Packet]]], beam.PCollection[Packet]]
    ) -> beam.PCollection[Packet]:
        """Analyse, add up, finish."""
        groups, everybody = pcolls
        writer = None if self.plan.with_clusters else self.writer
        shards = groups | "AnalyseShard" >> beam.ParDo(
            _AnalyseFn(self.plan, self.reference, writer), beam.pvalue.AsSingleton(everybody)
        ).with_output_types(Packet)
        totals = shards | "AddUp" >> beam.CombineGlobally(SumPackets()).with_output_types(Packet)
        rows = totals | "MakeRows" >> beam.ParDo(_RowsFn(self.plan, self.reference)).with_output_types(Packet)
        if self.plan.with_clusters:
            shards = shards | "Gather" >> beam.CombineGlobally(_GatherFn()).with_output_types(Packet)
        people = shards | "KeepRows" >> beam.ParDo(_KeepRowsFn(self.reference)).with_output_types(Packet)
        return (people, rows) | "Results" >> beam.Flatten()


class _AnalyseFn(ThreadedDoFn):
    def __init__(self, plan: Plan, reference: Callable[[], Reference], writer: Writer | None) -> None:
        self._plan, self._reference, self._writer = plan, reference, writer

    def work(self, element: tuple[int, Iterable[Packet]], side: Packet) -> Iterator[Packet]:
        packet = analyse_packets(element[1], self._plan, self._reference(), side)
        if self._writer is not None:
            self._writer.put(Packet({}, {n: t for n, t in packet.tables.items() if n in _ROWS}))
            packet = Packet(packet.header, {n: t for n, t in packet.tables.items() if n not in _ROWS})
        yield packet

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield from super().finish_bundle()
        if self._writer is not None:
            self._writer.end_bundle()


def analyse_packets(packets: Iterable[Packet], plan: Plan, reference: Reference, everybody: Packet) -> Packet:
    """One shard's packets of records -> one packet with sums, rows and rejects.

    Args:
        packets: in any order.
        plan: templates and windows.
        reference: types and the directory.
        everybody: the hours of all shards' interactions, and how many duplicates there are.
    """
    packets = in_order(packets)
    records = records_of(packets)
    distinct = distinct_records(records) if everybody.header["duplicates"] else Distinct(records, 0, 0)
    result = analyse_shard(distinct, plan, reference, hours_of(everybody))
    counts = {name: sum(p.header.get(name, 0) for p in packets) for name in _READ}
    rejects = [p.tables["rejects"] for p in packets if "rejects" in p.tables]
    tables = {f"sums:{name}": frame.to_arrow() for name, frame in result.sums.items()}
    if result.subscribers is not None:
        tables["subscribers"] = result.subscribers.to_arrow()
    if result.types is not None:
        tables["types"] = pa.table({"n": pa.array(result.types.reshape(-1))})
    if rejects:
        tables["rejects"] = pa.concat_tables(rejects)
    return Packet({"counts": {**counts, **result.counts}}, tables)


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


class SumPackets(GatherPackets):
    """Adds up the sums and counts of shards; leaves rows of subscribers and rejects behind."""

    def kept(self, packet: Packet) -> Packet:
        """The sums and counts."""
        return Packet(packet.header, {n: t for n, t in packet.tables.items() if n.startswith("sums:")})

    def compact(self, accumulator: list[Packet]) -> list[Packet]:
        """The sum of what there is."""
        return [add_up(accumulator)]

    def together(self, packets: list[Packet]) -> Packet:
        """The sum of all."""
        return add_up(packets)


def add_up(packets: list[Packet]) -> Packet:
    """One packet with the sums and the counts of several."""
    parts = [{n: _frame(t) for n, t in p.tables.items() if n.startswith("sums:")} for p in packets]
    counts = {n: sum(p.header["counts"].get(n, 0) for p in packets) for n in (*_READ, *COUNTS)}
    return Packet({"counts": counts}, {name: frame.to_arrow() for name, frame in merge_sums(parts).items()})


class _RowsFn(beam.DoFn):
    """The sums of all shards -> rows of T1, T2, T3 and the type graph."""

    def __init__(self, plan: Plan, reference: Callable[[], Reference]) -> None:
        self._plan, self._reference = plan, reference

    def process(self, totals: Packet) -> Iterator[Packet]:
        sums = {n.removeprefix("sums:"): _frame(t) for n, t in totals.tables.items() if n.startswith("sums:")}
        rows = table_rows(sums, self._plan, self._reference())
        yield Packet(totals.header, {name: frame.to_arrow() for name, frame in rows.items()})


class _KeepRowsFn(beam.DoFn):
    """A packet's rows of ``subscribers``, with clusters where it has types, and of ``rejects``."""

    def __init__(self, reference: Callable[[], Reference]) -> None:
        self._reference = reference

    def process(self, packet: Packet) -> Iterator[Packet]:
        tables = {n: packet.tables[n] for n in _ROWS if n in packet.tables}
        if "types" in packet.tables:
            rows = _frame(packet.tables["subscribers"])
            types = packet.tables["types"].column("n").to_numpy().reshape(rows.height, -1)
            tables["subscribers"] = cluster_rows(rows, types, self._reference()).to_arrow()
        if tables:
            yield Packet({}, tables)


class _GatherFn(GatherPackets):
    """All shards in one packet, for what looks at all subscribers at once."""

    def together(self, packets: list[Packet]) -> Packet:
        names = {n for p in packets for n in p.tables if n in (*_ROWS, "types")}
        tables = {n: pa.concat_tables([p.tables[n] for p in packets if n in p.tables]) for n in sorted(names)}
        return Packet({"counts": {}}, tables)


@dataclass
class _OneTemplate(beam.PTransform):
    """One template by itself: ``(shard, Packet)`` of cleaned records -> packets with its rows.

    Attributes:
        plan: its windows; the templates named there are ignored.
        reference: gives types and directory; called on the worker, must cache.
    """

    plan: Plan
    reference: Callable[[], Reference]
    templates: ClassVar[tuple[str, ...]] = ()

    def expand(self, pcoll: beam.PCollection[tuple[int, Packet]]) -> beam.PCollection[Packet]:
        """`AnalyseShards` with this template only."""
        return pcoll | AnalyseShards(replace(self.plan, templates=self.templates), self.reference)


class SumHourlyDurations(_OneTemplate):
    """T1, the table ``duration_by_hour``: `transforms.columns.templates.hourly_durations` over all shards."""

    templates = ("duration_by_hour",)


class CountBusinessTypes(_OneTemplate):
    """T2, the table ``business_types``: `transforms.columns.templates.business_type_counts` over all shards."""

    templates = ("business_types",)


class CountRegions(_OneTemplate):
    """T3, the table ``regions``: `transforms.columns.templates.region_counts` over all shards."""

    templates = ("regions",)


class GraphTypes(_OneTemplate):
    """The table ``type_graph``: `transforms.columns.templates.type_graph` over all shards."""

    templates = ("type_graph",)


class ProfileSubscribers(_OneTemplate):
    """T4 and T5, the table ``subscribers``: `transforms.columns.subscribers` over all shards."""

    templates = ("subscribers",)


class ClusterSubscribers(_OneTemplate):
    """``ProfileSubscribers`` with the column ``cluster`` filled."""

    templates = ("subscribers", "clusters")


def template_transforms() -> dict[str, type[_OneTemplate]]:
    """The PTransform of each template by its name."""
    return {
        "duration_by_hour": SumHourlyDurations,
        "business_types": CountBusinessTypes,
        "regions": CountRegions,
        "subscribers": ProfileSubscribers,
        "type_graph": GraphTypes,
        "clusters": ClusterSubscribers,
    }
