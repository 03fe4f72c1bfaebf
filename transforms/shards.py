"""The templates over cleaned records in batch: shards by themselves, then the sums of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa

from transforms.columns.analysis import (
    COUNTS,
    Plan,
    ShardResult,
    add_contact_columns,
    analyse_shard,
    cluster_rows,
    merge_sums,
    table_rows,
)
from transforms.columns.records import from_batches
from transforms.columns.subscribers import HOURS
from transforms.columns.templates import Reference
from transforms.packets import Packet
from transforms.threads import ThreadedDoFn

_READ = ("read", "rejected")
_PER_SUBSCRIBER = ("older", "newest", "types")


@dataclass
class AnalyseShards(beam.PTransform):
    """``(shard, Packet)`` of cleaned records -> packets with rows of the result tables.

    One pass over each shard fills all templates. The last packet to come holds the rows of T1, T2, T3 and the
    type graph and the run's counts (``counts`` in its header); the others hold rows of ``subscribers`` and
    ``rejects``.

    Attributes:
        plan: templates and windows.
        reference: gives types and directory; called on the worker, must cache.
    """

    plan: Plan
    reference: Callable[[], Reference]

    def expand(self, pcoll: beam.PCollection[tuple[int, Packet]]) -> beam.PCollection[Packet]:
        """Group by shard, analyse, add up, finish."""
        shards = (
            pcoll
            | "GroupByShard" >> beam.GroupByKey()
            | "AnalyseShard" >> beam.ParDo(_AnalyseFn(self.plan, self.reference)).with_output_types(Packet)
        )
        totals = shards | "AddUp" >> beam.CombineGlobally(SumPackets()).with_output_types(Packet)
        rows = totals | "MakeRows" >> beam.ParDo(_RowsFn(self.plan, self.reference)).with_output_types(Packet)
        if self.plan.with_clusters:
            shards = shards | "Gather" >> beam.CombineGlobally(_GatherFn()).with_output_types(Packet)
        subscribers = shards | "FinishSubscribers" >> beam.ParDo(
            _SubscribersFn(self.plan, self.reference), beam.pvalue.AsSingleton(totals)
        ).with_output_types(Packet)
        return (subscribers, rows) | "Results" >> beam.Flatten()


class _AnalyseFn(ThreadedDoFn):
    def __init__(self, plan: Plan, reference: Callable[[], Reference]) -> None:
        self._plan, self._reference = plan, reference

    def work(self, element: tuple[int, Iterable[Packet]]) -> Iterator[Packet]:
        _, packets = element
        yield analyse_packets(list(packets), self._plan, self._reference())


def analyse_packets(packets: list[Packet], plan: Plan, reference: Reference) -> Packet:
    """One shard's packets of records -> one packet with sums, rows and rejects.

    Packets come in any order: ``order`` in their headers says which was first in the input.
    """
    packets = sorted(packets, key=lambda p: str(p.header["order"]))
    batches = [b for p in packets if "records" in p.tables for b in p.tables["records"].to_batches()]
    result = analyse_shard(from_batches(batches), plan, reference)
    counts = {name: sum(p.header.get(name, 0) for p in packets) for name in _READ}
    rejects = [p.tables["rejects"] for p in packets if "rejects" in p.tables]
    packet = _packed(result)
    tables = {**packet.tables, **({"rejects": pa.concat_tables(rejects)} if rejects else {})}
    return Packet({"counts": {**counts, **packet.header["counts"]}}, tables)


def _packed(result: ShardResult) -> Packet:
    tables = {f"sums:{name}": frame.to_arrow() for name, frame in result.sums.items()}
    tables["population"] = pa.table({"n": result.population})
    if result.subscribers is not None:
        tables["subscribers"] = result.subscribers.to_arrow()
        for name in _PER_SUBSCRIBER:
            matrix = getattr(result, name)
            if matrix is not None:
                tables[name] = pa.table({"n": pa.array(matrix.reshape(-1))})
    return Packet({"counts": result.counts}, tables)


def _unpacked(packet: Packet) -> ShardResult:
    rows = _frame(packet.tables["subscribers"]) if "subscribers" in packet.tables else None
    height = rows.height if rows is not None else 0
    matrices = {
        name: packet.tables[name].column("n").to_numpy().reshape(height, -1)
        for name in _PER_SUBSCRIBER
        if name in packet.tables
    }
    return ShardResult(packet.header["counts"], {}, np.zeros(HOURS, np.int64), rows, **matrices)


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


class SumPackets(beam.CombineFn):
    """Adds up the sums, populations and counts of shards; leaves rows of subscribers and rejects behind."""

    def create_accumulator(self) -> list[Packet]:
        """Nothing yet."""
        return []

    def add_input(self, mutable_accumulator: list[Packet], element: Packet) -> list[Packet]:
        """One more shard."""
        kept = {n: t for n, t in element.tables.items() if n.startswith("sums:") or n == "population"}
        mutable_accumulator.append(Packet(element.header, kept))
        return mutable_accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Packet]]) -> list[Packet]:
        """Those of several workers."""
        return [packet for packets in accumulators for packet in packets]

    def compact(self, accumulator: list[Packet]) -> list[Packet]:
        """The sum of what there is."""
        return [add_up(accumulator)]

    def extract_output(self, accumulator: list[Packet]) -> Packet:
        """The sum of all."""
        return add_up(accumulator)


def add_up(packets: list[Packet]) -> Packet:
    """One packet with the sums, the population and the counts of several."""
    parts = [{n: _frame(t) for n, t in p.tables.items() if n.startswith("sums:")} for p in packets]
    population = np.zeros(HOURS, np.int64)
    for packet in packets:
        population += packet.tables["population"].column("n").to_numpy()
    counts = {n: sum(p.header["counts"].get(n, 0) for p in packets) for n in (*_READ, *COUNTS)}
    tables = {name: frame.to_arrow() for name, frame in merge_sums(parts).items()}
    return Packet({"counts": counts}, {**tables, "population": pa.table({"n": population})})


class _RowsFn(beam.DoFn):
    """The sums of all shards -> rows of T1, T2, T3 and the type graph."""

    def __init__(self, plan: Plan, reference: Callable[[], Reference]) -> None:
        self._plan, self._reference = plan, reference

    def process(self, totals: Packet) -> Iterator[Packet]:
        sums = {n.removeprefix("sums:"): _frame(t) for n, t in totals.tables.items() if n.startswith("sums:")}
        rows = table_rows(sums, self._plan, self._reference())
        yield Packet(totals.header, {name: frame.to_arrow() for name, frame in rows.items()})


class _SubscribersFn(beam.DoFn):
    """A shard's rows of subscribers -> the same with what depends on everybody."""

    def __init__(self, plan: Plan, reference: Callable[[], Reference]) -> None:
        self._plan, self._reference = plan, reference

    def process(self, shard: Packet, totals: Packet) -> Iterator[Packet]:
        tables = {n: shard.tables[n] for n in ("rejects",) if n in shard.tables}
        result = _unpacked(shard)
        if result.subscribers is not None:
            rows = add_contact_columns(result, totals.tables["population"].column("n").to_numpy())
            if self._plan.with_clusters and result.types is not None:
                order = result.subscribers["subscriber"].arg_sort().to_numpy()
                rows = cluster_rows(rows, result.types[order], self._reference())
            tables["subscribers"] = rows.to_arrow()
        if tables:
            yield Packet({}, tables)


class _GatherFn(beam.CombineFn):
    """All shards in one packet, for what looks at all subscribers at once."""

    def create_accumulator(self) -> list[Packet]:
        return []

    def add_input(self, mutable_accumulator: list[Packet], element: Packet) -> list[Packet]:
        mutable_accumulator.append(element)
        return mutable_accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Packet]]) -> list[Packet]:
        return [packet for packets in accumulators for packet in packets]

    def extract_output(self, accumulator: list[Packet]) -> Packet:
        names = {
            n for p in accumulator for n in p.tables if n in (*_PER_SUBSCRIBER, "subscribers", "rejects")
        }
        tables = {
            n: pa.concat_tables([p.tables[n] for p in accumulator if n in p.tables]) for n in sorted(names)
        }
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
