"""T4 and T5: what each subscriber does, as counts per subscriber that add up, and the rows from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns.directory import BusinessTypes
from transforms.columns.numbers import party_texts
from transforms.columns.records import Records
from transforms.columns.regions import regions_of
from transforms.columns.windows import Window, first_ending_window, time_text, window_bounds_text

WEEKDAYS: Final = 7
HOURS: Final = 24
_MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
_SUMS: Final = ("calls", "answered", "messages", "duration", "charge", "international")


@dataclass(frozen=True)
class SubscriberCounts:
    """Counts per subscriber: m rows in ascending order of ``caller``.

    Attributes:
        caller: party codes, distinct.
        types, weekdays, hours: interactions by business type of the called (m x types), by weekday (m x 7)
            and by hour (m x 24) of local time.
        calls, answered, messages, duration (seconds), charge (millionths), international: sums.
        first, last: seconds of the first and last record.
        newest, newest_id, account: start (microseconds) and id of the record greatest by both, and its
            account; None where no record has an account.
        text: of parties that are no numbers; None where all are.
    """

    caller: NDArray[np.int64]
    types: NDArray[np.uint32]
    weekdays: NDArray[np.uint32]
    hours: NDArray[np.uint32]
    calls: NDArray[np.int64]
    answered: NDArray[np.int64]
    messages: NDArray[np.int64]
    duration: NDArray[np.int64]
    charge: NDArray[np.int64]
    international: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    account: pl.Series | None
    text: pl.Series | None

    def __len__(self) -> int:
        return len(self.caller)

    def take(self, rows: NDArray[np.int64]) -> SubscriberCounts:
        """The subscribers at these positions."""
        taken: dict[str, Any] = {}
        for f in fields(self):
            column = getattr(self, f.name)
            taken[f.name] = (
                column.gather(rows)
                if isinstance(column, pl.Series)
                else column[rows]
                if column is not None
                else None
            )
        return SubscriberCounts(**taken)


@dataclass(frozen=True)
class Grouping:
    """Which subscriber each record belongs to: ``codes[group[i]]`` is the caller of record i."""

    codes: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def regions(self) -> NDArray[np.uint16]:
        """Region of each subscriber's own number."""
        return regions_of(self.codes)


def group_by_caller(records: Records) -> Grouping:
    """The distinct callers in ascending order, and the position of each record's."""
    if not len(records):
        return Grouping(np.empty(0, np.int64), np.empty(0, np.int64))
    order, codes = _by_hash(records.caller)
    new = np.concatenate([[True], codes[1:] != codes[:-1]])
    size = np.diff(np.flatnonzero(new), append=len(codes))
    codes = codes[new]
    ascending = np.argsort(codes)
    codes, place = codes[ascending], np.empty(len(codes), np.int64)
    if (codes[1:] == codes[:-1]).any():  # two callers with one hash, and their records mixed: hardly ever
        codes, group = np.unique(records.caller, return_inverse=True)
        return Grouping(codes, group.astype(np.int64))
    place[ascending] = np.arange(len(codes))
    group = np.empty(len(records), np.int64)
    group[order] = np.repeat(place, size)
    return Grouping(codes, group)


def _by_hash(callers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions that bring equal callers together (unless two have one hash), and the callers in that order.

    The first bits of a hash and the position in one number: that sorts several times faster than callers do.
    """
    places = np.uint64((1 << len(callers).bit_length()) - 1)
    keys = callers.view(np.uint64) * _MIX
    keys &= ~places
    keys |= np.arange(len(callers), dtype=np.uint64)
    keys.sort()
    order = (keys & places).view(np.int64)
    return order, callers[order]


def in_last_window(records: Records, grouping: Grouping, window: Window) -> NDArray[np.bool_]:
    """Which records are in the first window to end after the last record of their subscriber."""
    if window.cumulative:
        return np.ones(len(records), np.bool_)
    starts = first_ending_window(_last_seconds(records, grouping), window)
    return records.seconds >= starts[grouping.group]


def _last_seconds(records: Records, grouping: Grouping) -> NDArray[np.int64]:
    last = np.full(len(grouping), np.iinfo(np.int64).min)
    np.maximum.at(last, grouping.group, records.seconds)
    return last


def _matrix(group: NDArray[np.int64], column: NDArray[np.uint8], m: int, width: int) -> NDArray[np.uint32]:
    """Counts per subscriber and value, m x width, each value's counts beside each other in memory."""
    cells = column.astype(np.int64)
    cells *= m
    cells += group
    return np.bincount(cells, minlength=m * width).astype(np.uint32).reshape(width, m).T


def matrix_of_types(records: Records, grouping: Grouping, types: BusinessTypes) -> NDArray[np.uint32]:
    """Interactions by business type of the called, m x types."""
    return _matrix(grouping.group, records.called_type, len(grouping), len(types.names))


def is_international(records: Records, grouping: Grouping) -> NDArray[np.bool_]:
    """Which records reach a region that is neither the subscriber's own nor unknown."""
    return (records.called_region != grouping.regions[grouping.group]) & (records.called_region != 0)


def count_subscribers(records: Records, grouping: Grouping, types: BusinessTypes) -> SubscriberCounts:
    """Counts per subscriber of distinct records.

    Args:
        records: every one of them is counted, so they are those of the wanted window.
        grouping: of these records; every code of it must have a record.
        types: the list of business types.
    """
    g, m = grouping.group, len(grouping)
    by_class = np.bincount(g * 4 + records.measure_class, minlength=m * 4).reshape(m, 4)

    def total(weights: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.rint(np.bincount(g, weights=weights, minlength=m)).astype(np.int64)

    first = np.full(m, np.iinfo(np.int64).max)
    np.minimum.at(first, g, records.seconds)
    return SubscriberCounts(
        caller=grouping.codes,
        types=matrix_of_types(records, grouping, types),
        weekdays=_matrix(g, records.weekday, m, WEEKDAYS),
        hours=_matrix(g, records.hour, m, HOURS),
        calls=(by_class[:, 0] + by_class[:, 1]).astype(np.int64),
        answered=by_class[:, 1].astype(np.int64),
        messages=by_class[:, 2].astype(np.int64),
        duration=total(records.talk),
        charge=total(records.charge),
        international=total(is_international(records, grouping)),
        first=first,
        last=_last_seconds(records, grouping),
        account=_accounts(records, grouping),
        text=_caller_texts(records, grouping),
    )


def _accounts(records: Records, grouping: Grouping) -> pl.Series | None:
    """Account of each subscriber's record that is greatest by (start, id)."""
    if "account_id" not in records.text:
        return None
    return records.text["account_id"].gather(newest_rows(records, grouping))


def newest_rows(records: Records, grouping: Grouping) -> NDArray[np.int64]:
    """Row of each subscriber's record that is greatest by (start, id)."""
    start = np.full(len(grouping), np.iinfo(np.int64).min)
    np.maximum.at(start, grouping.group, records.start)
    rows = np.flatnonzero(records.start == start[grouping.group])
    newest = np.empty(len(grouping), np.int64)
    newest[grouping.group[rows]] = rows
    if len(rows) > len(grouping):  # some have several records at their last moment: the greatest id decides
        tied = rows[np.bincount(grouping.group[rows], minlength=len(grouping))[grouping.group[rows]] > 1]
        none = pl.repeat(None, len(records), dtype=pl.String, eager=True)
        ids = records.text.get("id", none).gather(tied).fill_null("")
        frame = pl.DataFrame(
            {"row": tied, "group": grouping.group[tied], "id": ids, "hash": records.id_hash[tied]}
        )
        best = frame.sort("group", "id", "hash").group_by("group", maintain_order=True).last()
        newest[best["group"].to_numpy()] = best["row"].to_numpy()
    return newest


def _caller_texts(records: Records, grouping: Grouping) -> pl.Series | None:
    """Texts of the subscribers that are no numbers."""
    if "caller_text" not in records.text or not (grouping.codes < 0).any():
        return None
    rows = np.empty(len(grouping), np.int64)
    rows[grouping.group[::-1]] = np.arange(len(records))[::-1]
    return records.text["caller_text"].gather(rows)


@dataclass(frozen=True)
class CallerFacts:
    """Of `SubscriberCounts` what is needed of every subscriber, whatever the window."""

    caller: NDArray[np.int64]
    hours: NDArray[np.uint32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    account: pl.Series | None
    text: pl.Series | None


def caller_facts(records: Records, grouping: Grouping) -> CallerFacts:
    """The facts of distinct records; every code of the grouping must have a record."""
    first = np.full(len(grouping), np.iinfo(np.int64).max)
    np.minimum.at(first, grouping.group, records.seconds)
    return CallerFacts(
        caller=grouping.codes,
        hours=_matrix(grouping.group, records.hour, len(grouping), HOURS),
        first=first,
        last=_last_seconds(records, grouping),
        account=_accounts(records, grouping),
        text=_caller_texts(records, grouping),
    )


def subscriber_rows(counts: SubscriberCounts, types: BusinessTypes, window: Window) -> pl.DataFrame:
    """Rows of the table ``subscribers`` but for the contact columns and the cluster.

    The business type is the one reached most, the tag the one whose types sum highest, weekday and hour the
    modes; ties go to the earlier in the list and the smaller number.
    """
    starts, ends = window_bounds_text(first_ending_window(counts.last, window), window)
    tags = types.tag_counts(counts.types)
    columns: dict[str, pl.Series] = {
        "subscriber": party_texts(counts.caller, counts.text),
        "account_id": counts.account if counts.account is not None else _nulls(len(counts), pl.String()),
        "window_start": starts,
        "window_end": ends,
        "calls": pl.Series(counts.calls),
        "answered": pl.Series(counts.answered),
        "messages": pl.Series(counts.messages),
        "duration_s": pl.Series(counts.duration),
        "charge": pl.Series(counts.charge / 1_000_000),
        "international": pl.Series(counts.international),
        "first_seen": time_text(counts.first),
        "last_seen": time_text(counts.last),
    }
    modes = (
        ("business_type", counts.types, types.names),
        ("tag", tags, types.tags),
        ("best_weekday", counts.weekdays, None),
        ("best_hour", counts.hours, None),
    )
    for name, matrix, names in modes:
        best, count = mode(matrix)
        columns[name] = pl.Series(best) if names is None else pl.Series(names, dtype=pl.String).gather(best)
        columns[f"{name}_count"] = pl.Series(count)
    return pl.DataFrame(columns)


def mode(matrix: NDArray[np.uint32] | NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per row the first column with the greatest count, and that count."""
    best, top = np.zeros(len(matrix), np.int64), matrix[:, 0].copy()
    for place in range(
        1, matrix.shape[1]
    ):  # whole columns: an argmax over short rows is several times slower
        column = matrix[:, place]
        np.copyto(best, place, where=column > top)
        np.maximum(top, column, out=top)
    return best, top.astype(np.int64)


def _nulls(n: int, dtype: pl.DataType) -> pl.Series:
    return pl.repeat(None, n, dtype=dtype, eager=True)
