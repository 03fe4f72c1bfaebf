"""The cleaned records of one shard as NumPy columns, ready for counting."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.schema import CALL_RESULTS, CALL_TYPES, RECORDS

ANSWERED_VOICE: Final = CALL_TYPES.index("VOICE") * 4 + CALL_RESULTS.index("ANSWERED")
FIRST_SMS: Final = CALL_TYPES.index("SMS") * 4
_NUMERIC: Final = tuple(f.name for f in RECORDS if not pa.types.is_large_string(f.type))
_TEXT: Final = tuple(f.name for f in RECORDS if pa.types.is_large_string(f.type))
_SMALL: Final = 1 << 14
_MANY: Final = 64


@dataclass(frozen=True)
class Records:
    """Records column by column, all of one length; see `transforms.schema.RECORDS` for the units."""

    caller: NDArray[np.int64]
    called: NDArray[np.int64]
    id_hash: NDArray[np.uint64]
    start: NDArray[np.int64]
    offset: NDArray[np.int32]
    duration: NDArray[np.int32]
    charge: NDArray[np.int64]
    kind: NDArray[np.uint8]
    called_type: NDArray[np.uint8]
    called_region: NDArray[np.uint16]
    text: dict[str, pl.Series]
    """The text columns that are there: a subset of id, account_id, caller_text, called_text."""

    def __len__(self) -> int:
        return len(self.caller)

    @cached_property
    def seconds(self) -> NDArray[np.int64]:
        """Start in whole seconds since 1970 UTC (floored)."""
        return self.start // 1_000_000

    @cached_property
    def last_second(self) -> int:
        """Second of the last of at least one record."""
        return int(self.start.max()) // 1_000_000

    @cached_property
    def local_seconds(self) -> NDArray[np.int64]:
        """Start in whole seconds since 1970 of the record's own local time."""
        return self.seconds + self.offset

    @cached_property
    def hour(self) -> NDArray[np.uint8]:
        """Hour of the record's own local time, 0-23."""
        return (self.local_seconds // 3600 % 24).astype(np.uint8)

    @cached_property
    def weekday(self) -> NDArray[np.uint8]:
        """Weekday of the record's own local time, 0 = Monday (1970-01-01 was a Thursday)."""
        return ((self.local_seconds // 86400 + 3) % 7).astype(np.uint8)

    @cached_property
    def measure_class(self) -> NDArray[np.uint8]:
        """0 a call not answered, 1 an answered call, 2 a message."""
        classes = np.zeros(256, np.uint8)
        classes[ANSWERED_VOICE] = 1
        classes[FIRST_SMS:] = 2
        return classes[self.kind]

    @cached_property
    def talk(self) -> NDArray[np.float64]:
        """Seconds that count as talk time: those of answered calls, 0 elsewhere."""
        return np.where(self.kind == ANSWERED_VOICE, self.duration, 0).astype(np.float64)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Records:
        """The records of these rows (a mask or positions)."""
        numeric = {name: getattr(self, name)[rows] for name in _NUMERIC}
        position = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Records(**numeric, text={k: v.gather(position) for k, v in self.text.items()})

    def to_batch(self) -> pa.RecordBatch:
        """As an Arrow RecordBatch of the schema `RECORDS`; absent text columns are left out."""
        arrays = {name: pa.array(getattr(self, name)) for name in _NUMERIC}
        arrays |= {k: v.to_arrow().cast(pa.large_string()) for k, v in self.text.items()}
        fields = [RECORDS.field(name) for name in arrays]
        return pa.RecordBatch.from_arrays(list(arrays.values()), schema=pa.schema(fields))


def from_batches(batches: list[pa.RecordBatch], only: Collection[str] = _NUMERIC + _TEXT) -> Records:
    """The records of batches of the schema `RECORDS`, in the order of the batches.

    Columns that are not among ``only`` are left empty, for those who look at few (``caller`` must be one). A
    text column that some batches lack is null there; one that all lack stays absent.
    """
    if not batches:
        batches = [pa.RecordBatch.from_pylist([], schema=pa.schema([RECORDS.field(n) for n in _NUMERIC]))]
    numeric = {
        n: np.concatenate(
            [b.column(n).to_numpy(zero_copy_only=True)[: None if n in only else 0] for b in batches]
        )
        for n in _NUMERIC
    }
    present = [n for n in _TEXT if n in only and any(n in b.schema.names for b in batches)]
    return Records(**numeric, text={n: _text_column(batches, n) for n in present})


def _text_column(batches: list[pa.RecordBatch], name: str) -> pl.Series:
    def part(batch: pa.RecordBatch) -> pl.Series:
        if name in batch.schema.names:
            return pl.Series(pl.from_arrow(batch.column(name)), dtype=pl.String)
        return pl.Series([None], dtype=pl.String).new_from_index(0, batch.num_rows)

    return pl.concat([part(b) for b in batches]) if len(batches) > 1 else part(batches[0])


def concat(parts: list[Records]) -> Records:
    """Several sets of records one after the other."""
    return parts[0] if len(parts) == 1 else from_batches([p.to_batch() for p in parts])


def records_table(records: list[Records]) -> dict[str, pa.Table]:
    """Some records as the table ``records``; nothing for none."""
    tables = [pa.Table.from_batches([r.to_batch()]) for r in records if len(r)]
    return {"records": pa.concat_tables(tables, promote_options="default")} if tables else {}


def merge_small(chunks: list[Records]) -> list[Records]:
    """The same records; where there are many small chunks, these are one at the end."""
    small = [r for r in chunks if len(r) < _SMALL]
    return chunks if len(small) <= _MANY else [*(r for r in chunks if len(r) >= _SMALL), concat(small)]
