"""CDR-Stats: its CSV of 25 named columns, and the older 16 and 8 columns without a header.

The duration is the talk time (``billsec``), the charge what was sold (``sell_cost``).
"""

from __future__ import annotations

from typing import Any, Final

from callbeam_io.formats.asterisk import STAMP
from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.causes import ANSWERED_IF_SET, CODES
from callbeam_io.formats.mapping import Mapping, make_mapping

_NAME: Final = "cdr_stats"


def _fields(talk: int | str, cause: int | str) -> dict[str, Any]:
    return {
        "duration": talk,
        "call_type": {"constant": "VOICE"},
        "call_result": [{"column": talk, "values": ANSWERED_IF_SET}, {"column": cause, "values": CODES}],
    }


def _old(width: int, unique: int, start: int) -> Mapping:
    parties = {"id": unique, "calling_number": 1, "called_number": 3}
    fields = {**parties, "start_time": {"column": start, "unit": "s"}, **_fields(5, 6)}
    return make_mapping(_NAME, {"header": False, "widths": width, "fields": fields})


_NAMED: Final = make_mapping(
    _NAME,
    {
        "fields": {
            "id": "callid",
            "calling_number": "caller_id_number",
            "called_number": "destination_number",
            "start_time": {"column": "starting_date", "format": STAMP},
            "charge": "sell_cost",
            "account_id": "accountcode",
            **_fields("billsec", "hangup_cause_id"),
        }
    },
)
_OLD: Final = {16: _old(16, unique=8, start=10), 8: _old(8, unique=7, start=8)}


def _epoch(text: str) -> bool:
    return text.isdigit() and len(text) == 10


def _is_old(row: list[str]) -> bool:
    start = {16: 9, 8: 7}.get(len(row))
    return start is not None and _epoch(row[start]) and all(row[k].isdigit() for k in (3, 4, 5))


def _is_named(head: Head) -> bool:
    return head.has_columns("cdr_source_type", "callid", "hangup_cause_id")


def _sniff(head: Head) -> bool:
    return _is_named(head) or any(map(_is_old, head.rows(",")))


def _mapping(head: Head) -> Mapping:
    if _is_named(head):
        return _NAMED
    widths = [len(row) for row in head.rows(",")]
    return _OLD[16] if widths.count(16) >= widths.count(8) > 0 or 8 not in widths else _OLD[8]


FORMAT: Final = Format(_NAME, "CDR-Stats", _sniff, _mapping)
