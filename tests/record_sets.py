"""Small sets of records for tests: columns for the code under test, CSV for the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import messy
import numpy as np
import polars as pl
import pyarrow as pa
from cdr_oracle import Expected, expect
from hypothesis import strategies as st

from transforms.columns.directory import BusinessTypes, Directory
from transforms.columns.hashing import hash_columns, hash_text
from transforms.columns.numbers import party_codes
from transforms.columns.records import Records
from transforms.columns.regions import regions_of
from transforms.columns.templates import Reference
from transforms.schema import CALL_RESULTS, CALL_TYPES, TABLE_KEYS

TYPES = (("Bank", "Money"), ("Broker", "Money"), ("School", "Learning"), ("Private", "Private"))
CALLERS = ("+12025550123", "+442079460018", "sip:alice", "100")
LISTED = {"+12025550101": "Bank", "+12025550102": "Broker", "+33123456789": "School", "100": "Bank"}
CALLED = (*LISTED, "+5511987654321", "+18095550111", "bob")
BEGIN = 1_767_571_200  # Monday, 2026-01-05 00:00 UTC
DAY = 86_400


def small_reference() -> Reference:
    """The types and the directory of this small world."""
    types = BusinessTypes.of(TYPES, "Private")
    codes = party_codes(pl.Series(list(LISTED))).code
    positions = np.array([types.names.index(t) for t in LISTED.values()], np.uint8)
    return Reference(types, Directory(codes, positions, types.private))


@dataclass(frozen=True)
class One:
    """One record; times in seconds, charge in millionths."""

    caller: str = CALLERS[0]
    called: str = CALLED[0]
    second: int = BEGIN
    offset: int = 0
    duration: int = 60
    charge: int = 0
    kind: int = 0
    id: str = ""
    account: str = ""

    def line(self) -> str:
        zone = timezone(timedelta(seconds=self.offset))
        stamp = datetime.fromtimestamp(self.second, UTC).astimezone(zone).isoformat()
        amounts = f"{self.duration},{CALL_TYPES[self.kind // 4]},{self.charge / 1_000_000:.6f}"
        result = CALL_RESULTS[self.kind % 4]
        return f"{self.id},{self.caller},{self.called},{stamp},{amounts},{result},{self.account}"


def ones(most: int = 40, days: int = 3, *, ids: bool = True) -> st.SearchStrategy[list[One]]:
    """Lists of records with many ties, repeats (equal and not) and records at the very edges of panes."""
    seconds = st.integers(0, days * 24).map(lambda h: BEGIN + h * 3600) | st.integers(
        BEGIN, BEGIN + days * DAY
    )
    one = st.builds(
        One,
        caller=st.sampled_from(CALLERS),
        called=st.sampled_from(CALLED),
        second=seconds,
        offset=st.sampled_from([0, 19_800, -28_800]),
        duration=st.sampled_from([0, 1, 59, 3600]),
        charge=st.sampled_from([0, 1, 250_000]),
        kind=st.integers(0, 7),
        id=st.sampled_from(["", "a", "b"]) if ids else st.just(""),
        account=st.sampled_from(["", "A1", "A2"]),
    )
    return st.lists(one, max_size=most)


def csv_of(records: Sequence[One]) -> str:
    return "\n".join([messy.HEADER + ",account_id", *[r.line() for r in records], ""])


def expected(records: Sequence[One], window: tuple[int, int] = (0, 0)) -> Expected:
    """What the oracle says of them."""
    return expect(csv_of(records), LISTED, window, types=TYPES)


def records_of(records: Sequence[One]) -> Records:
    """Them as columns, in the same order."""

    def column(name: str, dtype: Any) -> Any:
        return np.array([getattr(r, name) for r in records], dtype)

    def text(name: str) -> pl.Series:
        return pl.Series([getattr(r, name) or None for r in records], dtype=pl.String)

    callers, called = party_codes(text("caller")), party_codes(text("called"))
    start = column("second", np.int64) * 1_000_000
    offset, duration, charge, kind = (column(n, np.int64) for n in ("offset", "duration", "charge", "kind"))
    accounts, ids = text("account"), text("id")
    whole = hash_columns(
        callers.code, called.code, start, offset, duration, charge, kind, hash_text(accounts).view(np.int64)
    )
    reference = small_reference()
    return Records(
        caller=callers.code,
        called=called.code,
        id_hash=np.where(ids.is_null().to_numpy(), whole, hash_text(ids)),
        start=start,
        offset=offset.astype(np.int32),
        duration=duration.astype(np.int32),
        charge=charge,
        kind=kind.astype(np.uint8),
        called_type=reference.directory.types_of(called.code),
        called_region=regions_of(called.code),
        text={"id": ids, "account_id": accounts, "caller_text": text("caller")}
        if len(records)
        else {n: pl.Series([], dtype=pl.String) for n in ("id", "account_id", "caller_text")},
    )


def by_key(table: str, rows: pl.DataFrame | pa.Table) -> dict[tuple, dict[str, Any]]:
    """Rows as the oracle gives them, without what it leaves out."""
    keys = [k for k, _ in TABLE_KEYS[table]]
    out = {}
    for row in rows.to_dicts() if isinstance(rows, pl.DataFrame) else rows.to_pylist():
        left = {k: v for k, v in row.items() if k not in keys and not k.startswith("contact_")}
        left.pop("cluster", None)
        out[tuple(row[k] for k in keys)] = left
    return out
