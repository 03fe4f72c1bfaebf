"""Which records were seen lately: duplicates by id in a live stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.dedup import keys_of
from transforms.columns.hashing import hash_columns, hash_text
from transforms.columns.keytable import KeyTable, grown
from transforms.columns.records import Records

_FIRST_SWEEP = 1 << 16
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


class SeenRecords:
    """Remembers (caller, id) of records for a while."""

    def __init__(self) -> None:
        self._table = KeyTable()
        self._content: NDArray[np.uint64] = np.empty(1024, np.uint64)
        self._second: NDArray[np.int64] = np.empty(1024, np.int64)
        self._sweep_at = _FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._table)

    def new(self, records: Records) -> tuple[NDArray[np.bool_], int]:
        """Which records are seen for the first time, the first of equal keys in the order given.

        Returns:
            (mask of new records, how many of the others differ in content from the one seen first).
        """
        keys, contents = keys_of(records), contents_of(records)
        before = len(self._table)
        at = self._table.find_or_add(keys)
        fresh = (at >= before) & pl.Series(keys).is_first_distinct().to_numpy()
        self._content = grown(self._content, len(self._table))
        self._second = grown(self._second, len(self._table))
        self._content[at[fresh]] = contents[fresh]
        self._second[at[fresh]] = records.seconds[fresh]
        conflicting = int((self._content[at[~fresh]] != contents[~fresh]).sum())
        return fresh, conflicting

    def forget_before(self, second: int) -> None:
        """Drops what started before ``second``, when there is enough to be worth a sweep."""
        if len(self._table) < self._sweep_at:
            return
        size = len(self._table)
        keep = self._second[:size] >= second
        keys, content, seconds = (
            self._table.keys[keep].copy(),
            self._content[:size][keep],
            self._second[:size][keep],
        )
        self._table = KeyTable(len(keys))
        self._table.find_or_add(keys)
        self._content, self._second = content.copy(), seconds.copy()
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(keys))
