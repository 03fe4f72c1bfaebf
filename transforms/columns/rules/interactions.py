"""The interactions that rules look back on, as NumPy columns: 42 bytes each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.records import Records
from transforms.columns.rules.arrays import Bools, Ints, runs, sort_packed


@dataclass(frozen=True)
class Interactions:
    """Interactions column by column, all of one length, in any order.

    Attributes:
        caller, called: party codes.
        start: seconds since 1970 UTC, floored.
        called_type, called_region: positions in the lists of business types and regions.
        kind: call_type * 4 + call_result, see `transforms.schema.RECORDS`.
        hour, weekday: of the record's own local time; 0 = Monday.
        duration: seconds.
        charge: millionths.
    """

    caller: NDArray[np.int64]
    called: NDArray[np.int64]
    start: NDArray[np.int64]
    charge: NDArray[np.int64]
    duration: NDArray[np.int32]
    called_region: NDArray[np.uint16]
    called_type: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    hour: NDArray[np.uint8]
    weekday: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.caller)

    def take(self, rows: Ints | Bools | slice) -> Interactions:
        """The interactions of these rows (positions, a mask or a slice)."""
        return Interactions(*(getattr(self, f.name)[rows] for f in fields(self)))

    def append(self, more: Interactions) -> Interactions:
        """These interactions and then ``more``."""
        return concat([self, more])

    def drop_before(self, second: int) -> Interactions:
        """The interactions that start at ``second`` or later."""
        return self.take(self.start >= second)

    def by_caller(self) -> Interactions:
        """The same in order of caller and start, in which all that rules do is quickest."""
        same = self.caller[1:] == self.caller[:-1]
        if (same & (self.start[1:] >= self.start[:-1]) | (self.caller[1:] > self.caller[:-1])).all():
            return self
        least = int(self.caller.min())
        caller, order = sort_packed(self.caller - least, None, int(self.caller.max()) - least + 1)
        start = self.start if order is None else self.start[order]
        first, length = int(start.min()), int(start.max()) - int(start.min()) + 1
        people, person = runs(caller)
        order = sort_packed(person * length + start - first, order, len(people) * length)[1]
        return self if order is None else self.take(order)

    def to_arrow(self) -> pa.RecordBatch:
        """As an Arrow RecordBatch with a column per attribute."""
        columns = {f.name: pa.array(getattr(self, f.name)) for f in fields(self)}
        return pa.RecordBatch.from_pydict(columns)


def concat(parts: list[Interactions]) -> Interactions:
    """Several sets of interactions one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty()
    columns = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Interactions))
    return Interactions(*columns)


def empty() -> Interactions:
    """No interactions."""
    return from_arrow(pa.RecordBatch.from_pylist([], schema=SCHEMA))


def from_arrow(batch: pa.RecordBatch) -> Interactions:
    """Interactions from `Interactions.to_arrow`; other columns are left out."""
    names = [f.name for f in fields(Interactions)]
    return Interactions(
        *(batch.column(n).cast(SCHEMA.field(n).type).to_numpy(zero_copy_only=True) for n in names)
    )


def from_records(records: Records) -> Interactions:
    """The interactions of cleaned records."""
    return Interactions(
        caller=records.caller,
        called=records.called,
        start=records.seconds,
        charge=records.charge,
        duration=records.duration,
        called_region=records.called_region,
        called_type=records.called_type,
        kind=records.kind,
        hour=records.hour,
        weekday=records.weekday,
    )


SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in ("caller", "called", "start", "charge")),
        ("duration", pa.int32()),
        ("called_region", pa.uint16()),
        *((name, pa.uint8()) for name in ("called_type", "kind", "hour", "weekday")),
    ]
)
"""The Arrow shape of interactions."""
