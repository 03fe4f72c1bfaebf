"""All templates over the records of one shard in a single pass, and the sums over shards."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns import clusters, contact, panes
from transforms.columns import subscribers as subs
from transforms.columns.dedup import Distinct
from transforms.columns.records import Records
from transforms.columns.templates import GROUP_TEMPLATES, Reference
from transforms.columns.windows import Window
from transforms.schema import EXTRA_TEMPLATES, TABLE_KEYS, TABLE_VALUES, TEMPLATES

COUNTS = ("good", "duplicate", "conflicting")


@dataclass(frozen=True)
class Plan:
    """Which templates to fill, over which windows."""

    templates: tuple[str, ...] = TEMPLATES
    window: Window = field(default_factory=Window)

    @property
    def groups(self) -> tuple[str, ...]:
        """The templates that sum by a key."""
        return tuple(t for t in self.templates if t in GROUP_TEMPLATES)

    @property
    def with_subscribers(self) -> bool:
        """Whether the table of subscribers is wanted."""
        return "subscribers" in self.templates

    @property
    def with_clusters(self) -> bool:
        """Whether subscribers are to be clustered."""
        return EXTRA_TEMPLATES[0] in self.templates


@dataclass(frozen=True)
class ShardResult:
    """What one shard says of its records.

    Attributes:
        counts: records by fate, see `COUNTS`.
        sums: pane frame per template that sums by a key.
        subscribers: rows of the table, but for the clusters; None where not wanted.
        types: m x types in the order of the rows, for clusters.
    """

    counts: dict[str, int]
    sums: dict[str, pl.DataFrame]
    subscribers: pl.DataFrame | None = None
    types: NDArray[np.uint32] | None = None


def analyse_shard(
    distinct: Distinct, plan: Plan, reference: Reference, population: NDArray[np.int64]
) -> ShardResult:
    """All that a batch run wants to know of one shard.

    Args:
        distinct: the records of the shard's subscribers without duplicates, in input order.
        plan: templates and windows.
        reference: types and the directory.
        population: interactions by hour over all shards, 24.
    """
    records = distinct.records
    counts = dict(zip(COUNTS, (len(records), distinct.duplicates, distinct.conflicting), strict=True))
    sums = {t: GROUP_TEMPLATES[t].sums(records, reference, plan.window) for t in plan.groups}
    if not plan.with_subscribers or not len(records):
        return ShardResult(counts, sums)
    grouping = subs.group_by_caller(records)
    counted = _counts_of_window(records, grouping, plan, reference)
    rows = subs.subscriber_rows(counted, reference.types, plan.window)
    contacts = contact.contact_columns(*contact.halves_by_hour(records, grouping), population)
    cluster = pl.repeat(None, rows.height, dtype=pl.Int64, eager=True).alias("cluster")
    rows = rows.hstack(contacts).with_columns(cluster).select(_SUBSCRIBER_COLUMNS)
    types = subs.matrix_of_types(records, grouping, reference.types) if plan.with_clusters else None
    return ShardResult(counts, sums, rows, types)


def _counts_of_window(
    records: Records, grouping: subs.Grouping, plan: Plan, reference: Reference
) -> subs.SubscriberCounts:
    if plan.window.cumulative:
        return subs.count_subscribers(records, grouping, reference.types)
    inside = subs.in_last_window(records, grouping, plan.window)
    kept = subs.Grouping(grouping.codes, grouping.group[inside])
    return subs.count_subscribers(records.take(inside), kept, reference.types)


_SUBSCRIBER_COLUMNS = [n for n, _ in (*TABLE_KEYS["subscribers"], *TABLE_VALUES["subscribers"])]


def empty_subscribers() -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema=dict.fromkeys(_SUBSCRIBER_COLUMNS, pl.String))


def cluster_rows(rows: pl.DataFrame, types: NDArray[np.uint32], reference: Reference) -> pl.DataFrame:
    """Rows of all subscribers with their clusters.

    Args:
        rows: of all shards together.
        types: interactions by type, in the order of ``rows``.
        reference: the types.
    """
    order = rows["subscriber"].arg_sort().to_numpy()
    labels = clusters.cluster_subscribers(types[order], reference.types)
    return rows[order].with_columns(pl.Series("cluster", labels))


def table_rows(sums: dict[str, pl.DataFrame], plan: Plan, reference: Reference) -> dict[str, pl.DataFrame]:
    """Rows per table from the pane frames of all shards."""
    return {t: GROUP_TEMPLATES[t].rows(s, reference, plan.window) for t, s in sums.items()}


def merge_sums(parts: list[dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """Pane frames added up, template by template."""
    names = {name: None for part in parts for name in part}
    return {name: panes.merge_panes([part[name] for part in parts if name in part]) for name in names}
