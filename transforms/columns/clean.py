"""Cleaning: from parsed text to records, and what is wrong with the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns import amounts, stamps
from transforms.columns.directory import Directory
from transforms.columns.hashing import hash_columns, hash_text
from transforms.columns.numbers import Parties, party_codes
from transforms.columns.records import Records
from transforms.columns.regions import regions_of
from transforms.schema import CALL_RESULTS, CALL_TYPES, RECORD_FIELDS

_NO_ID = np.uint64(0x5BF0_3635_0C9B_1E4D)  # keeps hashes of whole records apart from hashes of ids


_NO_ACCOUNT = hash_text(pl.Series([None], dtype=pl.String))[0]


@dataclass(frozen=True)
class CleanSettings:
    """How to read what the source leaves open.

    Attributes:
        timezone: zone of stamps that carry none, and of the local time of epochs.
        default_region: region of numbers without ``+``; None: they are kept as they are.
        latest: microseconds since 1970 after which a stamp is from the future; None: no limit.
        keep_text: keep ids and texts of parties even where no result needs them.
    """

    timezone: str = "UTC"
    default_region: str | None = None
    latest: int | None = None
    keep_text: bool = False


@dataclass
class Faults:
    """The first fault of each row: a position in ``reasons``, 0 where there is none."""

    size: int
    reasons: list[tuple[str, str]] = field(default_factory=lambda: [("", "")])

    def __post_init__(self) -> None:
        self.code = np.zeros(self.size, np.int32)

    def add(self, rows: NDArray[np.bool_] | None, name: str, reason: str) -> None:
        """Marks rows (a mask) as bad unless they already are."""
        if rows is not None and rows.any():
            self.code[rows & (self.code == 0)] = len(self.reasons)
            self.reasons.append((name, reason))

    def add_texts(self, names: pl.Series, reasons: pl.Series) -> None:
        """Marks the rows with a reason, as the reader gave it."""
        rows = np.flatnonzero(reasons.is_not_null().to_numpy())
        for row in rows:
            self.code[row] = len(self.reasons)
            self.reasons.append((names[int(row)] or "", reasons[int(row)]))


@dataclass(frozen=True)
class Cleaned:
    """Records and rejects of one parsed batch.

    ``bad_rows`` are positions in the batch, ``bad_fields`` and ``bad_reasons`` say what is wrong there.
    """

    records: Records
    bad_rows: NDArray[np.int64]
    bad_fields: list[str]
    bad_reasons: list[str]


def clean(parsed: pa.RecordBatch, settings: CleanSettings, directory: Directory) -> Cleaned:
    """Checks every field of a parsed batch and turns the good rows into records.

    Args:
        parsed: a batch as `transforms.schema` describes; columns of `RECORD_FIELDS` that are missing count
            as empty.
        settings: zone, region and the limit of the future.
        directory: business types of numbers.

    Returns:
        The records in input order and the rejected rows with the first thing wrong with each.
    """
    frame = _frame(parsed)
    faults = Faults(frame.height)
    if "bad_reason" in frame.columns:
        faults.add_texts(frame["bad_field"], frame["bad_reason"])
    callers = _parties(frame["calling_number"], "calling_number", settings, faults)
    called = _parties(frame["called_number"], "called_number", settings, faults)
    when = stamps.parse_stamps(frame["start_time"], settings.timezone)
    faults.add(when.empty, "start_time", "empty")
    faults.add(when.bad, "start_time", "not a time with date, ISO 8601")
    if settings.latest is not None:
        faults.add(when.utc > settings.latest, "start_time", "future")
    duration = amounts.parse_seconds(frame["duration"])
    charge = amounts.parse_charge(frame["charge"])
    for name, amount in (("duration", duration), ("charge", charge)):
        for reason, rows in amount.faults.items():
            faults.add(rows, name, reason)
    kind = _kinds(frame, faults)
    records = _records(frame, callers, called, when, duration.value, charge.value, kind, directory, settings)
    return _split(records, faults)


def _frame(parsed: pa.RecordBatch) -> pl.DataFrame:
    """The batch as a frame with every record field; the raw line stays behind."""
    names = [n for n in parsed.schema.names if n not in ("raw", "line")]
    frame = pl.DataFrame(pl.from_arrow(parsed.select(names)))
    missing = [n for n in RECORD_FIELDS if n not in names]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(n) for n in missing)


def _parties(column: pl.Series, name: str, settings: CleanSettings, faults: Faults) -> Parties:
    text = column if column.dtype == pl.String else column.cast(pl.String)
    parties = party_codes(text, settings.default_region)
    faults.add(parties.code == 0, name, "empty")
    return parties


def _kinds(frame: pl.DataFrame, faults: Faults) -> NDArray[np.uint8]:
    """Positions of call type and result in one number, type * 4 + result."""
    kind = np.zeros(frame.height, np.uint8)
    for name, words, weight in (("call_type", CALL_TYPES, 4), ("call_result", CALL_RESULTS, 1)):
        column = frame[name].cast(pl.String)
        known = np.zeros(frame.height, np.bool_)
        for position, word in enumerate(words):
            hit = (column == word).fill_null(value=False).to_numpy()
            known |= hit
            if position:
                kind[hit] += position * weight
        if not known.all():
            _odd_words(column, ~known, words, weight, kind, name, faults)
    return kind


def _odd_words(
    column: pl.Series,
    rows: NDArray[np.bool_],
    words: tuple[str, ...],
    weight: int,
    kind: NDArray[np.uint8],
    name: str,
    faults: Faults,
) -> None:
    """The same for words in another case, and faults for the rest."""
    upper = column.filter(pl.Series(rows)).str.strip_chars().str.to_uppercase()
    positions = np.flatnonzero(rows)
    known = np.zeros(len(positions), np.bool_)
    for position, word in enumerate(words):
        hit = (upper == word).fill_null(value=False).to_numpy()
        known |= hit
        kind[positions[hit]] += position * weight
    empty = (upper.is_null() | (upper == "")).to_numpy()
    for reason, bad in (("empty", empty), (f"not one of {', '.join(words)}", ~known & ~empty)):
        mask = np.zeros(len(rows), np.bool_)
        mask[positions[bad]] = True
        faults.add(mask, name, reason)


def _records(
    frame: pl.DataFrame,
    callers: Parties,
    called: Parties,
    when: stamps.Stamps,
    duration: NDArray[np.int64],
    charge: NDArray[np.int64],
    kind: NDArray[np.uint8],
    directory: Directory,
    settings: CleanSettings,
) -> Records:
    accounts = _text(frame["account_id"])
    ids = _text(frame["id"])
    text: dict[str, pl.Series] = {}
    if accounts is not None:
        text["account_id"] = accounts
    if ids is not None and (accounts is not None or settings.keep_text):
        text["id"] = ids
    for name, parties in (("caller_text", callers), ("called_text", called)):
        if parties.text is not None and (name == "caller_text" or settings.keep_text):
            text[name] = parties.text
    whole = (callers.code, called.code, when.utc, when.offset, duration, charge, kind)
    return Records(
        caller=callers.code,
        called=called.code,
        id_hash=_id_hashes(ids, accounts, whole),
        start=when.utc,
        offset=when.offset,
        duration=duration.astype(np.int32),
        charge=charge,
        kind=kind,
        called_type=directory.types_of(called.code),
        called_region=regions_of(called.code),
        text=text,
    )


def _text(column: pl.Series) -> pl.Series | None:
    """The column as text, blank as null; None where nothing is in it."""
    if column.null_count() == len(column):
        return None
    text = column if column.dtype == pl.String else column.cast(pl.String)
    blank, spaced = text == "", text.str.starts_with(" ")
    if spaced.any():
        blank |= spaced & (text.str.strip_chars() == "")
    if blank.any():
        text = pl.select(pl.when(~blank).then(text)).to_series()
    return None if text.null_count() == len(text) else text


def _id_hashes(
    ids: pl.Series | None, accounts: pl.Series | None, whole: tuple[NDArray[np.generic], ...]
) -> NDArray[np.uint64]:
    """Hashes of the ids; of the whole record where there is none."""
    if ids is not None and ids.null_count() == 0:
        return hash_text(ids)
    # A missing account hashes like an empty one, so that a record's hash does not depend on its neighbours.
    account = hash_text(accounts) if accounts is not None else np.full(len(whole[0]), _NO_ACCOUNT)
    records = hash_columns(*[c.astype(np.int64) for c in whole], account.view(np.int64)) ^ _NO_ID
    if ids is None:
        return records
    return np.where(ids.is_null().to_numpy(), records, hash_text(ids))


def _split(records: Records, faults: Faults) -> Cleaned:
    bad = np.flatnonzero(faults.code)
    if not len(bad):
        return Cleaned(records, bad, [], [])
    found = [faults.reasons[code] for code in faults.code[bad]]
    return Cleaned(records.take(faults.code == 0), bad, [f for f, _ in found], [r for _, r in found])
