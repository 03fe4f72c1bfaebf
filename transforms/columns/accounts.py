"""Of each subscriber the account of its newest record; texts stay in the columns that they came in."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.keytable import grown
from transforms.columns.records import Records

_NEVER: Final = np.iinfo(np.int64).min
_MANY: Final = 32
_KNOWN: Final = 1 << 64  # greater than any hash: a known record gives way to a greater id only
_COLUMNS: Final = {"account": "account_id", "id": "id"}


class Accounts:
    """The account and the id of each subscriber's record that is greatest by (start, id).

    A subscriber has a row in a table of all texts that were added, which is never built: it begins with a null
    row, followed by those that were settled, and then by batches as they came. Now and then the rows that are
    still pointed at become the table.

    Attributes:
        start: microseconds of each subscriber's newest record.
    """

    def __init__(self) -> None:
        self.start: NDArray[np.int64] = np.empty(0, np.int64)
        self._row: NDArray[np.int64] = np.empty(0, np.int64)
        self._scratch: NDArray[np.int32] = np.empty(0, np.int32)
        self._tables = [_nulls(1)]
        self._rows = 1
        self._any = False

    def grow(self, size: int) -> None:
        """Makes room for so many subscribers; new ones have no record."""
        self.start = grown(self.start, size, _NEVER)
        self._row, self._scratch = grown(self._row, size), grown(self._scratch, size)

    def add(self, at: NDArray[np.int64], records: Records) -> None:
        """Takes distinct records of subscribers at positions in."""
        known = self.start[at]
        np.maximum.at(self.start, at, records.start)
        self._any |= "account_id" in records.text
        if not self._any:  # all have none
            return
        rows = np.flatnonzero(records.start == self.start[at])
        rows = self._greatest_ids(at[rows], rows, records.start[rows] == known[rows], records)
        none = _nulls(len(records))
        batch = {n: records.text.get(column, none[n]) for n, column in _COLUMNS.items()}
        self._append(at[rows], rows, pl.DataFrame(batch))

    def _append(self, at: NDArray[np.int64], rows: NDArray[np.int64], batch: pl.DataFrame) -> None:
        self._row[at] = self._rows + rows
        self._tables.append(batch)
        self._rows += batch.height
        if len(self._tables) > _MANY:
            settled = pl.concat([_nulls(1), self._texts(np.arange(len(self._row)))])
            self._tables, self._rows = [settled], settled.height
            self._row = np.arange(1, self._rows)

    def _greatest_ids(
        self, at: NDArray[np.int64], rows: NDArray[np.int64], equal: NDArray[np.bool_], records: Records
    ) -> NDArray[np.int64]:
        """One row per subscriber, none where the record that is known has a greater id.

        Args:
            at: of each row its subscriber.
            rows: the newest records of their subscribers: several of one where they start at one moment.
            equal: which of them start when the newest known record did.
            records: what rows are of.
        """
        order = np.arange(len(rows), dtype=np.int32)
        self._scratch[at] = order  # of several rows of a subscriber, the last one wins
        winner = self._scratch.take(at)
        tied = (winner != order) | equal
        tied[winner[tied]] = True
        alone, those = rows[~tied], np.flatnonzero(tied)
        if not len(those):
            return alone
        places = at[those[equal[those]]]
        known = self._texts(places)["id"].fill_null("") if len(places) else ()
        best = {place: (name, _KNOWN, -1) for place, name in zip(places.tolist(), known, strict=True)}
        ids = records.text.get("id", _nulls(len(records))["id"]).gather(rows[those]).fill_null("")
        for place, name, row in zip(at[those].tolist(), ids, rows[those].tolist(), strict=True):
            mine = (name, int(records.id_hash[row]), row)
            best[place] = max(best.get(place, mine), mine)
        return np.concatenate([alone, [row for *_, row in best.values() if row >= 0]]).astype(np.int64)

    def _texts(self, at: NDArray[np.int64]) -> pl.DataFrame:
        return pl.concat(self._tables)[self._row[at]]

    def texts(self, at: NDArray[np.int64]) -> tuple[pl.Series, pl.Series]:
        """Accounts and ids of the newest records of subscribers; null where there is none."""
        if not self._any:
            none = _nulls(len(at))
            return none["account"], none["id"]
        found = self._texts(at)
        return found["account"], found["id"]

    def restore(
        self, at: NDArray[np.int64], start: NDArray[np.int64], accounts: pl.Series, ids: pl.Series
    ) -> None:
        """Sets subscribers to what `start` and `texts` gave."""
        self.start[at] = start
        self._any |= accounts.null_count() + ids.null_count() < 2 * len(at)
        self._append(at, np.arange(len(at)), pl.DataFrame({"account": accounts, "id": ids}))


def _nulls(rows: int) -> pl.DataFrame:
    return pl.DataFrame({n: pl.repeat(None, rows, dtype=pl.String, eager=True) for n in _COLUMNS})
