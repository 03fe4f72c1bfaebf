"""What is known of subscribers beyond the interactions that are kept: when they were first seen, older counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.directory import BusinessTypes
from transforms.columns.rules.arrays import Ints, find
from transforms.columns.rules.interactions import Interactions

_BY_VALUE: Final = {"called_type": "types", "hour": "hours", "weekday": "weekdays"}
HOURS: Final = 24
WEEKDAYS: Final = 7


@dataclass(frozen=True)
class Older:
    """Counts of the interactions that are no longer kept, n rows in ascending order of ``codes``.

    Attributes:
        codes: the subscribers that have such interactions.
        types, hours, weekdays: by business type of the called (n x types), by local hour (n x 24) and by
            weekday (n x 7) of the record.
        zone_hours: by hour in the subscriber's own zone (n x 24).
    """

    codes: Ints
    types: NDArray[np.uint32]
    hours: NDArray[np.uint32]
    weekdays: NDArray[np.uint32]
    zone_hours: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.codes)

    def counts(self, name: str, codes: Ints) -> NDArray[np.int64]:
        """Rows of the matrix ``name`` for these subscribers, zeros for those without a row."""
        matrix: NDArray[np.uint32] = getattr(self, name)
        if not len(self):
            return np.zeros((len(codes), matrix.shape[1]), np.int64)
        position, there = find(self.codes, codes)
        return np.where(there[:, None], matrix[position].astype(np.int64), 0)

    def by_value(self, column: str, codes: Ints) -> NDArray[np.int64]:
        """The counts for each value of an interaction's column: ``called_type``, ``hour`` or ``weekday``."""
        return self.counts(_BY_VALUE[column], codes)

    def plus(self, dropped: Interactions, zone_hour: NDArray[np.uint8]) -> Older:
        """These counts and those of interactions that are about to be dropped.

        Args:
            dropped: the interactions.
            zone_hour: their hours in their subscribers' own zones.
        """
        codes = np.union1d(self.codes, dropped.caller)
        row = np.searchsorted(codes, dropped.caller)

        def summed(name: str, column: NDArray[np.uint8]) -> NDArray[np.uint32]:
            old = self.counts(name, codes)
            width = old.shape[1]
            new = np.bincount(row * width + column, minlength=old.size).reshape(old.shape)
            return (old + new).astype(np.uint32)

        return Older(
            codes,
            summed("types", dropped.called_type),
            summed("hours", dropped.hour),
            summed("weekdays", dropped.weekday),
            summed("zone_hours", zone_hour),
        )

    def to_arrow(self) -> pa.RecordBatch:
        """As an Arrow RecordBatch, a fixed-size list per matrix."""
        columns = {"codes": pa.array(self.codes)}
        for name in _MATRICES:
            matrix: NDArray[np.uint32] = getattr(self, name)
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
        return pa.RecordBatch.from_pydict(columns)


_MATRICES: Final = ("types", "hours", "weekdays", "zone_hours")


def nothing_older(types: int) -> Older:
    """No older counts, for so many business types."""
    widths = (types, HOURS, WEEKDAYS, HOURS)
    return Older(np.empty(0, np.int64), *(np.empty((0, w), np.uint32) for w in widths))


def older_from_arrow(batch: pa.RecordBatch) -> Older:
    """Counts from `Older.to_arrow`."""
    matrices = [batch.column(n) for n in _MATRICES]
    wide = [m.flatten().to_numpy(zero_copy_only=True).reshape(len(m), m.type.list_size) for m in matrices]
    return Older(batch.column("codes").to_numpy(zero_copy_only=True), *wide)


@dataclass(frozen=True)
class People:
    """The subscribers that have been seen, in ascending order of ``codes``.

    Attributes:
        first: second of each one's first record.
        older: counts of interactions no longer kept, None where all are kept.
    """

    codes: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    first: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    older: Older | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def seeing(self, callers: Ints, starts: Ints) -> People:
        """The same subscribers and those of these records, with the earlier first second of each."""
        codes, row = np.unique(callers, return_inverse=True)
        earliest = np.full(len(codes), np.iinfo(np.int64).max)
        np.minimum.at(earliest, row, starts)
        position, there = find(self.codes, codes)
        known, place = position[there], np.searchsorted(self.codes, codes[~there])
        first = self.first
        if (earliest[there] < first[known]).any():
            first = first.copy()
            first[known] = np.minimum(first[known], earliest[there])
        elif len(known) == len(codes):
            return self
        everybody = np.insert(self.codes, place, codes[~there])
        return People(everybody, np.insert(first, place, earliest[~there]), self.older)

    def of(self, codes: Ints) -> People:
        """Only those of these ascending codes that have been seen."""
        position, there = find(self.codes, codes)
        rows = position[there]
        return People(self.codes[rows], self.first[rows], self.older)


@dataclass(frozen=True)
class Words:
    """The names that conditions speak of: business types with their tags, regions in the order of their codes."""

    types: BusinessTypes
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What rules need to know besides the interactions.

    Attributes:
        words: the names of business types, tags and regions.
        regions_of: region codes of party codes.
        people: the subscribers seen until the last decided pane end, where the interactions do not tell it
            all (some are no longer kept); None where they do.
    """

    words: Words
    regions_of: Callable[[Ints], NDArray[np.uint16]]
    people: People | None = None
