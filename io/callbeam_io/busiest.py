"""The busiest subscribers of a fresh run that this process writes, so that nobody has to search a million rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import pyarrow as pa

KEPT: Final = 10
_COLUMNS: Final = ("subscriber", "calls", "business_type", "tag", "best_weekday", "best_hour")
_lock: Final = threading.Lock()


@dataclass
class _Busiest:
    seen: int = 0
    top: pl.DataFrame = field(default_factory=pl.DataFrame)


_runs: Final[dict[str, _Busiest]] = {}


def note_subscribers(run_id: str, rows: pa.Table) -> None:
    """Takes rows of the table ``subscribers``, each subscriber of the run once; on any thread."""
    frame = pl.DataFrame(pl.from_arrow(rows.select(_COLUMNS)))
    least = frame["calls"].top_k(KEPT).min()
    frame = frame.filter(pl.col("calls") >= least)
    with _lock:
        kept = _runs.setdefault(run_id, _Busiest())
        kept.seen += rows.num_rows
        top = pl.concat([kept.top, frame]) if kept.top.width else frame
        kept.top = top.sort("calls", "subscriber", descending=[True, False]).head(KEPT)


def busiest(run_id: str, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many subscribers were noted, and those with the most calls (at most `KEPT`), ties by number."""
    with _lock:
        found = _runs.get(run_id, _Busiest())
        return found.seen, found.top.head(limit).to_dicts()
