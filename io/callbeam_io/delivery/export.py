"""Deliveries as CSV for a dialler or a mail tool, through the same gate as everything that leaves."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from callbeam_io.delivery.gate import GO, LATER, Verdict
from callbeam_io.delivery.moments import local_text, main_zone, text_of
from callbeam_io.delivery.passing import Judged, Row, judged, turn_back
from callbeam_io.store import deliveries
from callbeam_io.store.deliveries import key_of
from callbeam_io.store.store import Store
from callbeam_io.store.tables import TABLES

COLUMNS: Final = (
    "subscriber",
    "offer_code",
    "offer_text",
    "channel",
    "contact_from",
    "contact_from_utc",
    "contact_until_utc",
    "zone",
    "rule",
    "decided_at",
    "reason",
)
PAGE: Final = 1000
_VERSIONS: Final = TABLES["rule_versions"]
_FORMULA: Final = re.compile(r"[=@\t\r\n-]|\+(?!\d+$)")
"""What a spreadsheet would run as a formula; numbers with their plus sign are none."""


def export_pages(
    store: Store,
    clock: Callable[[], float],
    ahead: int = 0,
    by: str = "",
    where: Mapping[str, Any] | None = None,
) -> Iterator[bytes]:
    """Lines of CSV, a header first, some at a time: see `export_rows`."""
    yield _lines([COLUMNS])
    for rows in export_rows(store, clock, ahead, by, where):
        yield _lines(rows)


def export_rows(
    store: Store,
    clock: Callable[[], float],
    ahead: int = 0,
    by: str = "",
    where: Mapping[str, Any] | None = None,
) -> Iterator[list[list[str]]]:
    """Rows of `COLUMNS`, some at a time; what a page holds is ``exported`` before it is given.

    Args:
        store: of the deliveries.
        clock: seconds since 1970, asked for every page: so is the gate.
        ahead: also what is due in so many seconds; ``contact_from`` says when.
        by: who exports, for the column ``detail``.
        where: column -> the value that it must have, such as ``rule_id``.
    """
    last: Row | None = None
    while True:
        now = clock()
        with store.writing() as connection:
            rows = deliveries.due(
                connection, text_of(now), PAGE, until=text_of(now + ahead), after=last, where=where
            )
            leaving = _leaving(connection, rows, now, ahead, by)
            reasons = _sentences(connection)
        if not rows:
            return
        last = rows[-1]
        if leaving:
            yield [_line(row, verdict.at, reasons) for row, verdict in leaving]


def _leaving(connection: Connection, rows: list[Row], now: float, ahead: int, by: str) -> list[Judged]:
    """Those that may leave, marked as exported; the others get what the gate says."""
    found = judged(connection, rows, now)
    leaving = [one for one in found if _is_soon(*one, now + ahead)]
    gone = {key_of(row) for row, _ in leaving}
    values = {"state": "exported", "at": text_of(now), "next_at": None, "detail": f"by {by}" if by else ""}
    deliveries.change_all(connection, list(gone), deliveries.WAITING, **values)
    turn_back(connection, [one for one in found if key_of(one[0]) not in gone], now)
    return leaving


def _is_soon(row: Row, verdict: Verdict, until: float) -> bool:
    """Whether it may reach its subscriber until then, while it is still good."""
    good = text_of(verdict.at) < (row["expires_at"] or "")
    return verdict.state in (GO, LATER) and good and verdict.at <= until


def _sentences(connection: Connection) -> dict[tuple[str, int], str]:
    found = select(_VERSIONS.c.rule_id, _VERSIONS.c.version, _VERSIONS.c.sentence)
    return {(row[0], row[1]): row[2] or "" for row in connection.execute(found)}


def _line(row: Row, at: int, reasons: Mapping[tuple[str, int], str]) -> list[str]:
    offer, zones = row["offer"] or {}, row["zones"] or ""
    return [
        row["subscriber"],
        *(offer.get(name, "") for name in ("code", "text", "channel")),
        local_text(at, zones),
        text_of(at),
        row["expires_at"],
        main_zone(zones),
        offer.get("rule") or row["rule_id"],
        row["decided_at"],
        reasons.get((row["rule_id"], row["rule_version"]), ""),
    ]


def _lines(rows: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([safe(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode()


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet runs as a formula.

    >>> safe("=1+1"), safe("+12025550123"), safe("+1+cmd"), safe("10 h abroad")
    ("'=1+1", '+12025550123', "'+1+cmd", '10 h abroad')
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
