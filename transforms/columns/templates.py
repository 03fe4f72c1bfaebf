"""T1, T2, T3 and the type graph: what each counts by, and its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns import panes
from transforms.columns.directory import BusinessTypes, Directory
from transforms.columns.records import Records
from transforms.columns.regions import REGIONS
from transforms.columns.windows import Window
from transforms.schema import TABLE_KEYS, TABLE_VALUES


@dataclass(frozen=True)
class Reference:
    """What templates need to know of the world: the types and tags, and which number has which."""

    types: BusinessTypes
    directory: Directory


@dataclass(frozen=True)
class GroupTemplate:
    """A template that sums the measures by one key.

    Attributes:
        table: name of the result table.
        keys: per record its key in [0, size).
        size: number of keys.
        labels: key columns of the table from keys.
    """

    table: str
    keys: Callable[[Records, Reference], NDArray[np.int64]]
    size: Callable[[Reference], int]
    labels: Callable[[NDArray[np.int64], Reference], dict[str, pl.Series]]

    def sums(self, records: Records, reference: Reference, window: Window) -> pl.DataFrame:
        """The pane frame of some distinct records; frames of several sets add up."""
        return panes.pane_sums(records, self.keys(records, reference), self.size(reference), window)

    def arrays(
        self, records: Records, reference: Reference, window: Window
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """`sums` of at least one record as arrays, see `panes.pane_arrays`."""
        return panes.pane_arrays(records, self.keys(records, reference), self.size(reference), window)

    def rows(self, sums: pl.DataFrame, reference: Reference, window: Window) -> pl.DataFrame:
        """Rows of the result table from the pane frame of all records."""
        return self.window_rows(panes.window_sums(sums, window), reference, window)

    def window_rows(self, sums: pl.DataFrame, reference: Reference, window: Window) -> pl.DataFrame:
        """Rows of the result table from sums per window."""
        labels = self.labels(sums["key"].to_numpy(), reference)
        rows = panes.with_window_columns(sums.drop("key"), window).with_columns(**labels)
        return rows.select(n for n, _ in (*TABLE_KEYS[self.table], *TABLE_VALUES[self.table]))


def _names(positions: NDArray[np.int64], names: tuple[str, ...]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(positions)


def hour_keys(records: Records, _: Reference) -> NDArray[np.int64]:
    """T1 counts by the hour of the record's own local time."""
    return records.hour.astype(np.int64)


def type_keys(records: Records, _: Reference) -> NDArray[np.int64]:
    """T2 counts by the business type of the called number."""
    return records.called_type.astype(np.int64)


def region_keys(records: Records, _: Reference) -> NDArray[np.int64]:
    """T3 counts by the region of the called number."""
    return records.called_region.astype(np.int64)


def graph_keys(records: Records, reference: Reference) -> NDArray[np.int64]:
    """The type graph counts by the types of both numbers."""
    caller = reference.directory.types_of(records.caller).astype(np.int64)
    return caller * len(reference.types.names) + records.called_type


def _type_labels(keys: NDArray[np.int64], reference: Reference) -> dict[str, pl.Series]:
    types = reference.types
    tags = np.asarray(types.tag_of, np.int64)[keys]
    return {"business_type": _names(keys, types.names), "tag": _names(tags, types.tags)}


def _graph_labels(keys: NDArray[np.int64], reference: Reference) -> dict[str, pl.Series]:
    names = reference.types.names
    return {
        "caller_type": _names(keys // len(names), names),
        "called_type": _names(keys % len(names), names),
    }


HOURLY_DURATIONS: Final = GroupTemplate(
    "duration_by_hour", hour_keys, lambda _: 24, lambda keys, _: {"hour": pl.Series(keys)}
)
BUSINESS_TYPES: Final = GroupTemplate("business_types", type_keys, lambda r: len(r.types.names), _type_labels)
REGION_COUNTS: Final = GroupTemplate(
    "regions", region_keys, lambda _: len(REGIONS), lambda keys, _: {"region": _names(keys, REGIONS)}
)
TYPE_GRAPH: Final = GroupTemplate("type_graph", graph_keys, lambda r: len(r.types.names) ** 2, _graph_labels)

GROUP_TEMPLATES: Final = {t.table: t for t in (HOURLY_DURATIONS, BUSINESS_TYPES, REGION_COUNTS, TYPE_GRAPH)}
"""The templates that sum by a key, by the name of their table."""


def hourly_durations(records: Records, reference: Reference, window: Window) -> pl.DataFrame:
    """T1: rows of ``duration_by_hour`` of some distinct records."""
    return HOURLY_DURATIONS.rows(HOURLY_DURATIONS.sums(records, reference, window), reference, window)


def business_type_counts(records: Records, reference: Reference, window: Window) -> pl.DataFrame:
    """T2: rows of ``business_types`` of some distinct records."""
    return BUSINESS_TYPES.rows(BUSINESS_TYPES.sums(records, reference, window), reference, window)


def region_counts(records: Records, reference: Reference, window: Window) -> pl.DataFrame:
    """T3: rows of ``regions`` of some distinct records."""
    return REGION_COUNTS.rows(REGION_COUNTS.sums(records, reference, window), reference, window)


def type_graph(records: Records, reference: Reference, window: Window) -> pl.DataFrame:
    """Rows of ``type_graph`` of some distinct records."""
    return TYPE_GRAPH.rows(TYPE_GRAPH.sums(records, reference, window), reference, window)
