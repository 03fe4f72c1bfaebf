"""Sums per pane and key that grow record by record: T1, T2, T3 and the type graph of a live shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.keytable import KeyTable, grown
from transforms.columns.panes import MEASURES
from transforms.columns.records import Records
from transforms.columns.templates import GROUP_TEMPLATES, Reference
from transforms.columns.windows import Window, windows_of_panes

_KEY_BITS = 20  # a cell is pane * 2^20 + key; panes are numbered in steps of the pane's length
_KEY_MASK = (1 << _KEY_BITS) - 1


@dataclass(frozen=True)
class Layout:
    """Where each template's keys lie in one common numbering.

    Attributes:
        window: of all of these templates.
        offsets: first number of each template's keys, by table.
        sizes: how many keys each has.
    """

    window: Window
    offsets: dict[str, int]
    sizes: dict[str, int]

    @classmethod
    def of(cls, tables: tuple[str, ...], reference: Reference, window: Window) -> Layout:
        """The layout for some templates."""
        sizes = {t: GROUP_TEMPLATES[t].size(reference) for t in tables}
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return cls(window, dict(zip(sizes, ends, strict=False)), sizes)

    @property
    def step(self) -> int:
        """Length of a pane in seconds; 1 where the whole run is one window."""
        return self.window.pane or 1

    def only(self, tables: Iterable[str]) -> Layout:
        """The same numbering for some of its templates."""
        kept = [t for t in tables if t in self.offsets]
        return Layout(self.window, {t: self.offsets[t] for t in kept}, {t: self.sizes[t] for t in kept})

    def sums(self, records: Records, reference: Reference) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells of all templates that hold one of these records, and their sums."""
        cells, sums = [], []
        for table, offset in self.offsets.items():
            panes, keys, found = GROUP_TEMPLATES[table].arrays(records, reference, self.window)
            cells.append((panes // self.step << _KEY_BITS) + (offset + keys))
            sums.append(found)
        return np.concatenate(cells), np.concatenate(sums)


class CellSums:
    """The four measures per cell; absolute values, with a note of what changed since it was last asked."""

    def __init__(self) -> None:
        self._table = KeyTable()
        self._sums: NDArray[np.int64] = np.zeros((1024, len(MEASURES)), np.int64)
        self._changed: NDArray[np.bool_] = np.zeros(1024, np.bool_)

    def __len__(self) -> int:
        return len(self._table)

    def add(self, records: Records, layout: Layout, reference: Reference) -> None:
        """Adds distinct records."""
        if not len(records) or not layout.offsets:
            return
        self._accumulate(*layout.sums(records, reference))

    def add_since(
        self, records: Records, layout: Layout, reference: Reference, since: Mapping[str, NDArray[np.bool_]]
    ) -> None:
        """Adds distinct records; ``since`` says which of them count in a table, all where it is not named."""
        self.add(records, layout.only(t for t in layout.offsets if t not in since), reference)
        for table, counted in since.items():
            self.add(records.take(counted), layout.only([table]), reference)

    def _accumulate(self, cells: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
        at = self._at(cells)
        self._sums[at] += sums
        self._changed[at] = True

    def _at(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        at = self._table.find_or_add(cells.view(np.uint64))
        self._sums = grown(self._sums, len(self._table))
        self._changed = grown(self._changed, len(self._table))
        return at

    def put(self, cells: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
        """Sets cells to absolute values."""
        at = self._at(cells)
        self._sums[at] = sums
        self._changed[at] = True

    def get(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sums of some cells, zeros where there are none."""
        at = self._table.find(cells.view(np.uint64))
        return np.where((at >= 0)[:, None], self._sums[np.maximum(at, 0)], 0)

    def take_changed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cells that changed since the last call, with their sums."""
        rows = np.flatnonzero(self._changed[: len(self._table)])
        self._changed[rows] = False
        return self._table.keys[rows].view(np.int64), self._sums[rows]

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All cells with their sums."""
        return self._table.keys.view(np.int64).copy(), self._sums[: len(self._table)].copy()

    def drop_before(self, pane: int) -> None:
        """Forgets the cells of panes numbered lower than ``pane`` once they are most of what there is.

        Those that changed since `take_changed` stay: the watermark may jump past them before they are shown.
        """
        cells, sums = self.all()
        keep = (cells >> _KEY_BITS >= pane) | self._changed[: len(cells)]
        if 2 * keep.sum() >= len(cells):
            return
        changed = self._changed[: len(cells)][keep]
        self._table = KeyTable(int(keep.sum()))
        self._sums, self._changed = sums[keep], changed
        self._table.find_or_add(cells[keep].view(np.uint64))


def cells_table(cells: NDArray[np.int64], sums: NDArray[np.int64]) -> pa.Table:
    """Cells and sums as Arrow columns ``cell`` and the measures."""
    return pa.table({"cell": cells, **{m: sums[:, i] for i, m in enumerate(MEASURES)}})


def from_cells_table(table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The inverse of `cells_table`."""
    columns = [table.column(m).to_numpy() for m in MEASURES]
    return table.column("cell").to_numpy(), np.stack(columns, axis=1) if columns else np.empty(
        (0, 4), np.int64
    )


def laid_anew(table: pa.Table, old: Layout, new: Layout) -> pa.Table:
    """A cells table in the numbering of another layout over the same window; templates that it lacks are left out."""
    cells, sums = from_cells_table(table)
    keys, parts = cells & _KEY_MASK, []
    for name, offset in new.offsets.items():
        before = old.offsets.get(name)
        if before is not None:
            rows = np.flatnonzero((keys >= before) & (keys < before + old.sizes[name]))
            parts.append((cells[rows] + (offset - before), sums[rows]))
    if not parts:
        return table.slice(0, 0)
    moved, kept = (np.concatenate(column) for column in zip(*parts, strict=True))
    return cells_table(moved, kept)


def windows_to_write(cells: NDArray[np.int64], layout: Layout) -> NDArray[np.int64]:
    """Cells of windows (start number in place of the pane's) that some cells of panes are part of."""
    panes, keys = cells >> _KEY_BITS, cells & _KEY_MASK
    position, starts = windows_of_panes(panes * layout.step, layout.window)
    return np.unique((starts // layout.step << _KEY_BITS) + keys[position])


def window_totals(window_cells: NDArray[np.int64], layout: Layout, shards: list[CellSums]) -> pl.DataFrame:
    """Sums per window and key over the panes of each window and over all shards.

    Returns:
        Columns ``start`` (second), ``key`` (of the common numbering) and the measures.
    """
    totals = np.zeros((len(window_cells), len(MEASURES)), np.int64)
    steps = 1 if layout.window.cumulative else layout.window.size // layout.step
    for k in range(steps):
        for shard in shards:
            totals += shard.get(window_cells + (k << _KEY_BITS))
    columns = {m: totals[:, i] for i, m in enumerate(MEASURES)}
    starts = (window_cells >> _KEY_BITS) * layout.step
    return pl.DataFrame({"start": starts, "key": window_cells & _KEY_MASK, **columns})


def template_rows(totals: pl.DataFrame, layout: Layout, reference: Reference) -> dict[str, pl.DataFrame]:
    """Rows per result table from totals of windows."""
    rows = {}
    for table, offset in layout.offsets.items():
        inside = pl.col("key").is_between(offset, offset + layout.sizes[table] - 1)
        mine = totals.filter(inside).with_columns(pl.col("key") - offset)
        if mine.height:
            rows[table] = GROUP_TEMPLATES[table].window_rows(mine, reference, layout.window)
    return rows
