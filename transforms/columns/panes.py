"""Sums per pane and key: the common shape of T1, T2, T3 and the type graph.

A pane frame has the columns ``pane`` (start second), ``key`` (a small whole number whose meaning is the
table's own) and the four `MEASURES`. Frames add up: sums of shards, of batches and of panes are sums.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.records import Records
from transforms.columns.windows import Window, pane_of, window_bounds_text, windows_of_panes

MEASURES: Final = ("calls", "answered", "messages", "duration_s")
_DENSE_CELLS: Final = 1 << 22  # above this many cells, counting by sorting is cheaper than by a dense array


def pane_sums(records: Records, keys: NDArray[np.int64], key_count: int, window: Window) -> pl.DataFrame:
    """Sums of the four measures per pane and key.

    Args:
        records: the records to sum.
        keys: per record a whole number in [0, key_count).
        window: whose panes to use.

    Returns:
        A pane frame with the rows that hold a record.
    """
    if not len(records):
        return empty_panes()
    starts, keys, sums = pane_arrays(records, keys, key_count, window)
    return _frame(starts, keys, list(sums.T))


def pane_arrays(
    records: Records, keys: NDArray[np.int64], key_count: int, window: Window
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`pane_sums` of at least one record as arrays: start seconds of panes, keys, and a column per measure."""
    panes = pane_of(records.seconds, window)
    low = int(panes.min())
    step = window.pane or 1
    cells = ((panes - low) // step) * key_count + keys
    size = (int(panes.max()) - low) // step * key_count + key_count
    if size > max(_DENSE_CELLS, 4 * len(records)):
        used, cells = np.unique(cells, return_inverse=True)
    else:
        used = np.arange(size)
    sums, any_record = _cell_sums(records, cells, len(used))
    rows = np.flatnonzero(any_record)
    used = used[rows]
    return used // key_count * step + low, used % key_count, np.stack([s[rows] for s in sums], axis=1)


def _cell_sums(
    records: Records, cells: NDArray[np.int64], size: int
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Sums of the measures per cell, and which cells hold a record."""
    by_kind = np.bincount(cells * 4 + records.measure_class, minlength=size * 4).reshape(size, 4)
    missed, answered, messages = by_kind[:, 0], by_kind[:, 1], by_kind[:, 2]
    talk = np.bincount(cells, weights=records.talk, minlength=size)
    sums = [missed + answered, answered, messages, np.rint(talk)]
    return [s.astype(np.int64) for s in sums], by_kind.sum(axis=1) > 0


def _frame(panes: NDArray[np.int64], keys: NDArray[np.int64], sums: list[NDArray[np.int64]]) -> pl.DataFrame:
    columns = {
        "pane": panes.astype(np.int64),
        "key": keys.astype(np.int64),
        **dict(zip(MEASURES, sums, strict=True)),
    }
    return pl.DataFrame(columns)


def empty_panes() -> pl.DataFrame:
    """A pane frame without rows."""
    none = np.empty(0, np.int64)
    return _frame(none, none, [none] * len(MEASURES))


def merge_panes(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The sum of pane frames, sorted by pane and key."""
    if not frames:
        return empty_panes()
    whole = pl.concat(frames)
    return whole.group_by("pane", "key").agg(pl.col(m).sum() for m in MEASURES).sort("pane", "key")


def window_sums(panes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Sums per window and key, from sums per pane and key.

    Returns:
        Columns ``start`` (second; 0 where the whole run is one window), ``key`` and the measures, sorted.
    """
    position, starts = windows_of_panes(panes["pane"].to_numpy(), window)
    spread = panes.select("key", *MEASURES)[position].with_columns(pl.Series("start", starts, dtype=pl.Int64))
    return spread.group_by("start", "key").agg(pl.col(m).sum() for m in MEASURES).sort("start", "key")


def with_window_columns(sums: pl.DataFrame, window: Window) -> pl.DataFrame:
    """The same rows with ``window_start`` and ``window_end`` as texts in place of ``start``."""
    starts, ends = window_bounds_text(sums["start"].to_numpy(), window)
    return sums.drop("start").with_columns(starts.alias("window_start"), ends.alias("window_end"))
