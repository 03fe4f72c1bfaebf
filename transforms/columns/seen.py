"""Which records were seen lately: duplicates by id in a live stream."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.dedup import keys_of
from transforms.columns.hashing import hash_columns, hash_text
from transforms.columns.keytable import KeyTable, grown
from transforms.columns.records import Records

_WORTH_IT: Final = 1 << 16
"""Records below which nothing is forgotten."""
_SHARES: Final = 3
_NEVER: Final = np.iinfo(np.int64).min
_NO_ACCOUNT = hash_text(pl.Series([None], dtype=pl.String))[0]


def contents_of(records: Records) -> NDArray[np.uint64]:
    """64 bits of everything but the id: unequal records of one id differ in it."""
    parts: list[NDArray[Any]] = [
        records.called,
        records.start,
        records.offset,
        records.duration,
        records.charge,
        records.kind,
    ]
    account = records.text.get("account_id")
    accounts = hash_text(account) if account is not None else np.full(len(records), _NO_ACCOUNT)
    return hash_columns(*[p.astype(np.int64) for p in parts], accounts.view(np.int64))


class _Generation:
    """Records that were seen one after the other, and are forgotten together."""

    def __init__(self) -> None:
        self.table = KeyTable()
        self.content: NDArray[np.uint64] = np.empty(1024, np.uint64)
        self.greatest = _NEVER

    def add(self, keys: NDArray[np.uint64], contents: NDArray[np.uint64], seconds: NDArray[np.int64]) -> None:
        before = len(self.table)
        self.table.add(keys)
        self.content = grown(self.content, len(self.table))
        self.content[before : len(self.table)] = contents
        if len(seconds):
            self.greatest = max(self.greatest, int(seconds.max()))


class SeenRecords:
    """Remembers (caller, id) of records for a while.

    Records are kept in generations, and a generation is dropped when its newest record is too old: nothing is
    ever copied to forget. The newest generation is closed when the horizon has moved by a third of the time that
    records are remembered, so that there are about four.
    """

    def __init__(self) -> None:
        self._generations = [_Generation()]
        self._began = _NEVER  # the horizon when the newest generation was begun

    def __len__(self) -> int:
        return sum(len(g.table) for g in self._generations)

    def new(self, records: Records) -> tuple[NDArray[np.bool_], int]:
        """Which records are seen for the first time, the first of equal keys in the order given.

        Returns:
            (mask of new records, how many of the others differ in content from the one seen first).
        """
        keys, contents = keys_of(records), contents_of(records)
        fresh = pl.Series(keys).is_first_distinct().to_numpy().copy()
        for generation in self._generations:
            fresh &= generation.table.find(keys) < 0
        if fresh.all():
            self._generations[-1].add(keys, contents, records.seconds)
            return fresh, 0
        self._generations[-1].add(keys[fresh], contents[fresh], records.seconds[fresh])
        return fresh, self._conflicting(keys[~fresh], contents[~fresh])

    def _conflicting(self, keys: NDArray[np.uint64], contents: NDArray[np.uint64]) -> int:
        """How many of these repeats are not what was seen first."""
        different = np.zeros(len(keys), np.bool_)
        for generation in self._generations:
            at = generation.table.find(keys)
            different |= (at >= 0) & (generation.content[np.maximum(at, 0)] != contents)
        return int(different.sum())

    def forget_before(self, second: int) -> None:
        """Drops generations that started before ``second`` as a whole, where there is enough to be worth it."""
        self._began = second if self._began == _NEVER else self._began
        newest = self._generations[-1]
        if second - self._began >= (newest.greatest - second) // _SHARES and len(newest.table) >= _WORTH_IT:
            self._generations.append(_Generation())
            self._began = second
        if len(self._generations) > 1:
            *old, newest = self._generations
            self._generations = [*(g for g in old if g.greatest >= second), newest]
