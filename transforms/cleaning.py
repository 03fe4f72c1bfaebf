"""From what a source reads to cleaned records, spread over shards by subscriber."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.clean import Cleaned, CleanSettings, clean
from transforms.columns.hashing import shard_of
from transforms.columns.templates import Reference
from transforms.packets import Packet
from transforms.schema import RECORD_FIELDS, REJECTS, origin
from transforms.tally import tally_of
from transforms.threads import ThreadedDoFn


class Loader(Protocol):
    """How a source turns its elements into parsed batches; picklable, without state."""

    def load(self, element: Any) -> Iterable[pa.RecordBatch]:
        """Parsed batches of one element, in input order."""

    def lines(self, element: Any, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> list[str]:
        """Line numbers, offsets or message ids of some rows of a batch."""

    def size(self, element: Any) -> int:
        """Bytes of input that an element stands for (for progress)."""


@dataclass
class CleanRecords(beam.PTransform):
    """Elements of a source -> ``(shard, Packet)`` with cleaned records and rejects.

    Every packet's header holds ``order`` (sorts as the input order); one packet per parsed batch also holds
    ``read`` and ``rejected`` and the table ``rejects``. The packet's table ``records`` has the schema
    `transforms.schema.RECORDS`.

    Attributes:
        loader: how to read elements.
        settings: how to clean.
        reference: gives types and directory; called on the worker, must cache.
        run_id: whose tally to keep.
        shards: number of shards.
        max_bad_ratio: above this share of rejects the run fails; None: never.
    """

    loader: Loader
    settings: CleanSettings
    reference: Callable[[], Reference]
    run_id: str
    shards: int
    max_bad_ratio: float | None = None

    def expand(self, pcoll: beam.PCollection[Any]) -> beam.PCollection[tuple[int, Packet]]:
        """One step; the work runs on threads."""
        return pcoll | "CleanRecords" >> beam.ParDo(_CleanFn(self)).with_output_types(tuple[int, Packet])


class _CleanFn(ThreadedDoFn):
    def __init__(self, how: CleanRecords) -> None:
        self._how = _Settings(
            how.loader, how.settings, how.reference, how.run_id, how.shards, how.max_bad_ratio
        )

    def work(self, element: Any, side: None) -> Iterator[tuple[int, Packet]]:
        how = self._how
        tally = tally_of(how.run_id)
        size = how.loader.size(element)
        for batch in how.loader.load(element):
            if how.max_bad_ratio is not None:
                tally.judge(how.max_bad_ratio)
            cleaned = clean(batch, how.settings, how.reference().directory)
            rejects = rejects_of(batch, cleaned, partial(how.loader.lines, element, batch))
            tally.add(batch.num_rows, len(cleaned.bad_rows), size)
            size = 0
            header = {"order": origin(batch.schema).get("order", ""), "read": batch.num_rows}
            yield from spread(cleaned, rejects, header, how.shards)
        tally.add(0, 0, size)


@dataclass(frozen=True)
class _Settings:
    """`CleanRecords` without the transform: what the DoFn carries to the worker."""

    loader: Loader
    settings: CleanSettings
    reference: Callable[[], Reference]
    run_id: str
    shards: int
    max_bad_ratio: float | None


def spread(
    cleaned: Cleaned, rejects: pa.Table | None, header: dict[str, Any], shards: int
) -> Iterator[tuple[int, Packet]]:
    """Packets of a cleaned batch by shard; the first one also carries counts and rejects."""
    records = cleaned.records
    shard = shard_of(records.caller, shards)
    order = np.argsort(shard, kind="stable")
    batch = records.take(order).to_batch()
    bounds = np.concatenate([[0], np.cumsum(np.bincount(shard, minlength=shards))])
    used = np.flatnonzero(np.diff(bounds))
    place = {"order": header["order"]}
    counts = {**header, "rejected": len(cleaned.bad_rows)}
    if not len(used):
        yield 0, Packet(counts, {} if rejects is None else {"rejects": rejects})
    for k in used:
        part = batch.slice(bounds[k], bounds[k + 1] - bounds[k])
        tables = {"records": pa.Table.from_batches([part])}
        if k == used[0] and rejects is not None:
            tables["rejects"] = rejects
        yield int(k), Packet(counts if k == used[0] else place, tables)


def rejects_of(
    batch: pa.RecordBatch, cleaned: Cleaned, lines: Callable[[NDArray[np.int64]], list[str]]
) -> pa.Table | None:
    """The rejected rows of a parsed batch as a table of the schema `REJECTS`; None where there are none."""
    rows = cleaned.bad_rows
    if not len(rows):
        return None
    columns = [
        [origin(batch.schema).get("source", "")] * len(rows),
        lines(rows),
        cleaned.bad_fields,
        cleaned.bad_reasons,
        raw_texts(batch, rows),
    ]
    return pa.Table.from_arrays([pa.array(c, pa.large_string()) for c in columns], schema=REJECTS)


def raw_texts(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> list[str]:
    """Rows as they stood in the source; as JSON of their fields where the source has no lines."""
    if "raw" in batch.schema.names:
        raw = batch.column("raw")
        return [raw[row].as_py().decode("utf-8", "replace") for row in rows.tolist()]
    names = [n for n in RECORD_FIELDS if n in batch.schema.names]
    frame = pl.DataFrame(pl.from_arrow(batch.select(names)))[rows]
    return [json.dumps(row, default=str, ensure_ascii=False) for row in frame.to_dicts()]


@dataclass(frozen=True)
class Ready:
    """A parsed batch of a live source after cleaning, before its lateness is judged."""

    batch: pa.RecordBatch
    cleaned: Cleaned
    good_rows: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Records read."""
        return self.batch.num_rows

    @property
    def rejected(self) -> int:
        """Records that were not taken."""
        return len(self.cleaned.bad_rows)

    @property
    def greatest(self) -> int | None:
        """Greatest start in microseconds; None without a good record."""
        start = self.cleaned.records.start
        return int(start.max()) if len(start) else None


@dataclass(frozen=True)
class Prepare:
    """Cleans what a live source reads, in the source: it has to know start times to judge lateness.

    Attributes:
        settings: how to clean; ``latest`` is replaced by the clock's time plus ``max_ahead`` at each batch.
        reference: gives types and directory; called on the worker, must cache.
        max_ahead: seconds a stamp may be ahead of the clock; None: no limit.
        clock: seconds since 1970.
    """

    settings: CleanSettings
    reference: Callable[[], Reference]
    max_ahead: int | None
    clock: Callable[[], float] = time.time

    def clean(self, batch: pa.RecordBatch) -> Ready:
        """The heavy part; on any thread."""
        latest = None if self.max_ahead is None else int((self.clock() + self.max_ahead) * 1_000_000)
        cleaned = clean(batch, replace(self.settings, latest=latest), self.reference().directory)
        good = np.ones(batch.num_rows, np.bool_)
        good[cleaned.bad_rows] = False
        return Ready(batch, cleaned, np.flatnonzero(good))

    def finish(self, ready: Ready | None, horizon: int | None, header: dict[str, Any]) -> Packet:
        """The packet of a batch; records that started before ``horizon`` (microseconds) are late.

        The header also gets ``read``, ``rejected`` and ``late``. Without a batch only the header is packed.
        """
        if ready is None:
            return Packet(header)
        records, late = ready.cleaned.records, 0
        parts = [rejects_of(ready.batch, ready.cleaned, lambda rows: _line_texts(ready.batch, rows))]
        if horizon is not None and len(records) and int(records.start.min()) < horizon:
            behind = records.start < horizon
            late = int(behind.sum())
            rows = ready.good_rows[behind]
            judged = Cleaned(records, rows, ["start_time"] * late, ["late"] * late)
            parts.append(rejects_of(ready.batch, judged, lambda r: _line_texts(ready.batch, r)))
            records = records.take(~behind)
        tables = {"records": pa.Table.from_batches([records.to_batch()])}
        found = [p for p in parts if p is not None]
        if found:
            tables["rejects"] = pa.concat_tables(found)
        counts = {"read": ready.rows, "rejected": len(ready.cleaned.bad_rows), "late": late}
        return Packet({**header, **counts}, tables)


def _line_texts(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> list[str]:
    if "line" not in batch.schema.names:
        return [str(r + 1) for r in rows]
    line = batch.column("line")
    return [str(line[row].as_py()) for row in rows.tolist()]
