"""Cleaning: from parsed text to records, and what is wrong with the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns import amounts, stamps
from transforms.columns.cut_values import word_positions
from transforms.columns.cuts import Cut, cuts_of
from transforms.columns.directory import Directory
from transforms.columns.hashing import hash_columns, hash_cut, hash_text
from transforms.columns.numbers import Parties, party_codes
from transforms.columns.records import Records
from transforms.columns.regions import regions_of
from transforms.schema import CALL_RESULTS, CALL_TYPES, RECORD_FIELDS

Column: TypeAlias = "pl.Series | Cut"

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
    frame = _columns(parsed)
    faults = Faults(parsed.num_rows)
    if "bad_reason" in parsed.schema.names:
        bad = pl.DataFrame(pl.from_arrow(parsed.select(["bad_field", "bad_reason"])))
        faults.add_texts(bad["bad_field"], bad["bad_reason"])
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


def _columns(parsed: pa.RecordBatch) -> dict[str, Column]:
    """The batch's record fields by name, empty ones in place of those that it lacks."""
    found: dict[str, Column] = dict(cuts_of(parsed) or {})
    names = [n for n in RECORD_FIELDS if n in parsed.schema.names]
    if names:
        found |= pl.DataFrame(pl.from_arrow(parsed.select(names))).to_dict()
    missing = [n for n in RECORD_FIELDS if n not in found]
    return found | dict.fromkeys(missing, pl.repeat(None, parsed.num_rows, dtype=pl.String, eager=True))


def _parties(column: Column, name: str, settings: CleanSettings, faults: Faults) -> Parties:
    parties = party_codes(column, settings.default_region)
    faults.add(parties.code == 0, name, "empty")
    return parties


def _kinds(frame: dict[str, Column], faults: Faults) -> NDArray[np.uint8]:
    """Positions of call type and result in one number, type * 4 + result."""
    kind = np.zeros(faults.size, np.uint8)
    for name, words, weight in (("call_type", CALL_TYPES, 4), ("call_result", CALL_RESULTS, 1)):
        column = frame[name]
        position, known = _positions(column, words)
        rows = np.flatnonzero(~known)
        if len(rows):
            odd = column.take(rows).texts() if isinstance(column, Cut) else column.gather(rows)
            position[rows] = _odd_words(odd.cast(pl.String), rows, words, name, faults)
        kind += position * np.uint8(weight)
    return kind


def _positions(column: Column, words: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Positions of words in just this case, and which ones are."""
    if isinstance(column, Cut):
        return word_positions(column, words)
    position, known = np.zeros(len(column), np.uint8), np.zeros(len(column), np.bool_)
    text = column.cast(pl.String)
    for number, word in enumerate(words):
        hit = (text == word).fill_null(value=False).to_numpy()
        known |= hit
        if number:
            position[hit] = number
    return position, known


def _odd_words(
    odd: pl.Series, rows: NDArray[np.int64], words: tuple[str, ...], name: str, faults: Faults
) -> NDArray[np.uint8]:
    """Positions of words in another case, and faults for the rest."""
    upper = odd.str.strip_chars().str.to_uppercase()
    position, known = _positions(upper, words)
    empty = (upper.is_null() | (upper == "")).to_numpy()
    for reason, bad in (("empty", empty), (f"not one of {', '.join(words)}", ~known & ~empty)):
        mask = np.zeros(faults.size, np.bool_)
        mask[rows[bad]] = True
        faults.add(mask, name, reason)
    return position


def _records(
    frame: dict[str, Column],
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
    ids = _ids(frame["id"], as_text=accounts is not None or settings.keep_text)
    text: dict[str, pl.Series] = {}
    if accounts is not None:
        text["account_id"] = accounts
    if isinstance(ids, pl.Series) and (accounts is not None or settings.keep_text):
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


def _ids(column: Column, *, as_text: bool) -> Column | None:
    """The ids as text with blank ones as null, or as they are where none is blank; None where there are none."""
    if isinstance(column, Cut) and not as_text and column.size.all():
        first = column.data[column.at]
        if not (first == ord(" ")).any():
            return column
    return _text(column)


def _text(column: Column) -> pl.Series | None:
    """The column as text, blank as null; None where nothing is in it."""
    if isinstance(column, Cut):
        column = column.texts()
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
    ids: Column | None, accounts: pl.Series | None, whole: tuple[NDArray[np.generic], ...]
) -> NDArray[np.uint64]:
    """Hashes of the ids; of the whole record where there is none."""
    if isinstance(ids, Cut):
        return hash_cut(ids)
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
