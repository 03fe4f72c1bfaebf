"""Counts per subscriber that grow record by record: T4 and T5 of a live shard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.accounts import Accounts
from transforms.columns.directory import BusinessTypes
from transforms.columns.keytable import KeyTable, grown
from transforms.columns.records import Records, concat, from_batches
from transforms.columns.regions import regions_of
from transforms.columns.subscribers import HOURS, SubscriberCounts, count_subscribers, group_by_caller
from transforms.columns.windows import Window, first_ending_window

_MATRICES: Final = ("types", "weekdays", "hours")
_SUMS: Final = ("calls", "answered", "messages", "duration", "charge", "international")
_MICROS: Final = 1_000_000
_NEVER: Final = np.iinfo(np.int64).min


class Callers:
    """All subscribers of a shard.

    Of each: interactions by hour over the whole run (for contact hours) and the last record; over a
    cumulative window also all other counts. Over other windows counts are made from the recent records when
    they are asked for.
    """

    def __init__(self, types: BusinessTypes, window: Window) -> None:
        self._types, self._window = types, window
        self._table = KeyTable()
        self._columns = self._empty_columns()
        self._text = np.empty(0, object)
        self._accounts = Accounts()
        self._changed: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._unsaved: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.population = np.zeros(HOURS, np.int64)

    def __len__(self) -> int:
        return len(self._table)

    def add(self, records: Records) -> None:
        """Counts distinct records."""
        if not len(records):
            return
        at = self._positions(records.caller)
        for name, values in self._measures(records).items():
            _add_up(self._columns[name], at, values.astype(np.int64))
        np.maximum.at(self._columns["last"], at, records.seconds)
        np.minimum.at(self._columns["first"], at, records.seconds)
        if "caller_text" in records.text:
            named = np.flatnonzero(records.caller < 0)
            self._text[at[named]] = records.text["caller_text"].gather(named).to_numpy()
        self._accounts.add(at, records)
        self._changed[at] = self._unsaved[at] = True
        self.population += np.bincount(records.hour, minlength=HOURS)

    def _measures(self, records: Records) -> dict[str, NDArray[Any]]:
        """Per record what it adds to each sum; of a matrix the column that it counts in."""
        if not self._window.cumulative:
            return {"hours": records.hour}
        kind = records.measure_class  # 0 a call not answered, 1 an answered one, 2 a message
        elsewhere = records.called_region != regions_of(records.caller)
        return {
            "types": records.called_type,
            "weekdays": records.weekday,
            "hours": records.hour,
            "calls": kind < 2,
            "answered": kind == 1,
            "messages": kind == 2,
            "duration": records.talk,
            "charge": records.charge,
            "international": elsewhere & (records.called_region != 0),
        }

    def _summed(self) -> tuple[str, ...]:
        return (*_MATRICES, *_SUMS) if self._window.cumulative else ("hours",)

    def _positions(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        at = self._table.find_or_add(codes.view(np.uint64))
        size = len(self._table)
        for name, column in self._columns.items():
            fill = {"last": _NEVER, "first": np.iinfo(np.int64).max}.get(name, 0)
            self._columns[name] = grown(column, size, fill)
        self._changed, self._unsaved = (grown(c, size) for c in (self._changed, self._unsaved))
        self._accounts.grow(size)
        self._text = _grown_objects(self._text, size)
        return at

    def _empty_columns(self) -> dict[str, NDArray[Any]]:
        widths = {"types": len(self._types.names), "weekdays": 7, "hours": HOURS}
        columns: dict[str, NDArray[Any]] = {
            "last": np.empty(0, np.int64),
            "first": np.empty(0, np.int64),
        }
        for name in self._summed():
            columns[name] = (
                np.zeros((0, widths[name]), np.uint32) if name in widths else np.zeros(0, np.int64)
            )
        return columns

    def changed(self) -> NDArray[np.int64]:
        """Positions of subscribers with records since `written` was last called."""
        return np.flatnonzero(self._changed[: len(self)])

    def everyone(self) -> NDArray[np.int64]:
        """Positions of all subscribers."""
        return np.arange(len(self))

    def written(self, at: NDArray[np.int64]) -> None:
        """These subscribers' rows are on their way to the store."""
        self._changed[at] = False

    def hours(self, at: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Interactions by hour over the whole run, len(at) x 24."""
        return self._columns["hours"][at]

    def window_starts(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start second of the window that each row is of."""
        return first_ending_window(self._columns["last"][at], self._window)

    def counts(self, at: NDArray[np.int64], recent: list[Records]) -> SubscriberCounts:
        """Counts of some subscribers, each over the first window to end after its last record.

        Args:
            at: positions.
            recent: records of the last windows; not looked at where the window is cumulative.
        """
        if self._window.cumulative:
            return self._cumulative(at)
        wanted = np.full(len(self) + 1, np.iinfo(np.int64).max)  # the last one is for unknown callers
        wanted[at] = self.window_starts(at)
        lowest = int(wanted[at].min()) if len(at) else 0
        parts = [from_batches([])]
        for records in recent:
            if len(records) and records.last_second >= lowest:
                position = self._table.find(records.caller.view(np.uint64))
                rows = np.flatnonzero(records.start // _MICROS >= wanted.take(position))
                parts.append(replace(records, text={}).take(rows))
        records = concat(parts)
        return self._with_texts(count_subscribers(records, group_by_caller(records), self._types))

    def _cumulative(self, at: NDArray[np.int64]) -> SubscriberCounts:
        columns = {n: self._columns[n][at] for n in (*self._summed(), "first", "last")}
        caller = self._table.keys[at].view(np.int64)
        return self._with_texts(SubscriberCounts(caller=caller, account=None, text=None, **columns))

    def _with_texts(self, counts: SubscriberCounts) -> SubscriberCounts:
        at = self._table.find(counts.caller.view(np.uint64))
        text = pl.Series(list(self._text[at]), dtype=pl.String)
        return replace(counts, text=text, account=self._accounts.texts(at)[0])

    def positions_of(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of party codes, -1 where one never called."""
        return self._table.find(codes.view(np.uint64))

    def saved(self, *, everything: bool = False) -> pa.Table:
        """Absolute values of the subscribers that changed since the last call (or of all)."""
        size = len(self)
        at = np.arange(size) if everything else np.flatnonzero(self._unsaved[:size])
        self._unsaved[at] = False
        columns: dict[str, pa.Array] = {"caller": pa.array(self._table.keys[at].view(np.int64))}
        for name, column in self._columns.items():
            values = pa.array(np.ascontiguousarray(column[at]).reshape(-1))
            columns[name] = (
                pa.FixedSizeListArray.from_arrays(values, column.shape[1]) if column.ndim > 1 else values
            )
        account, account_id = self._accounts.texts(at)
        columns["text"] = pa.array(list(self._text[at]), pa.large_string())
        columns["account"] = account.to_arrow().cast(pa.large_string())
        columns["account_id"] = account_id.to_arrow().cast(pa.large_string())
        columns["account_start"] = pa.array(self._accounts.start[at])
        return pa.table(columns)

    def restore(self, saved: pa.Table) -> None:
        """Sets subscribers to saved values; later tables overwrite earlier ones."""
        at = self._positions(saved.column("caller").to_numpy())
        for name, column in self._columns.items():
            values = saved.column(name).combine_chunks()
            flat = values.flatten() if column.ndim > 1 else values
            column[at] = flat.to_numpy().reshape(len(at), *column.shape[1:])
        self._text[at] = saved.column("text").to_numpy()
        texts = [
            pl.Series(pl.from_arrow(saved.column(n)), dtype=pl.String) for n in ("account", "account_id")
        ]
        self._accounts.restore(at, saved.column("account_start").to_numpy(), *texts)
        self._changed[at] = True
        hours = self._columns["hours"][: len(self)]
        self.population = hours.sum(axis=0, dtype=np.int64)


def _add_up(column: NDArray[Any], at: NDArray[np.int64], values: NDArray[np.int64]) -> None:
    """Adds values at positions; of a matrix they are the columns that grow by 1."""
    if column.ndim > 1:
        flat = column.reshape(-1)
        np.add.at(flat, at * column.shape[1] + values, flat.dtype.type(1))
    else:
        np.add.at(column, at, values)


def _grown_objects(array: NDArray[np.object_], size: int) -> NDArray[np.object_]:
    if size <= len(array):
        return array
    bigger = np.empty(max(size, 2 * len(array)), object)
    bigger[: len(array)] = array
    return bigger
