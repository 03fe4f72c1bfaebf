"""Asterisk's cdr_csv ``Master.csv``: no header, 16 fields and up to five more, local stamps.

The duration is the talk time (``billsec``). ``uniqueid`` is written only on demand, and names a channel,
which may leave several records (a queue, a transfer): a record's id is made of it and what tells those apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import Mapping, make_mapping

STAMP: Final = "%Y-%m-%d %H:%M:%S"
IS_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
_RESULTS: Final = {
    "answered": "ANSWERED",
    "no answer": "NO_ANSWER",
    "busy": "BUSY",
    "failed": "FAILED",
    "congestion": "FAILED",
}


def master(name: str, account: int, src: int, start: int) -> Mapping:
    """The mapping of an order of fields.

    Args:
        name: of the format.
        account: position of ``accountcode``.
        src: position of ``src``; ``dst`` follows.
        start: position of ``start``; ``answer, end, duration, billsec, disposition`` follow.
    """
    fields = {
        "id": {"columns": [17, src + 1, start, start + 3, start + 4, start + 5], "join": "|"},
        "calling_number": src,
        "called_number": src + 1,
        "start_time": {"column": start, "format": STAMP},
        "duration": start + 4,
        "call_type": {"constant": "VOICE"},
        "call_result": {"column": start + 5, "values": _RESULTS},
        "account_id": account,
    }
    return make_mapping(name, {"header": False, "widths": [16, 21], "fields": fields})


def has_stamps(start: int, answer: int, end: int, least: int, most: int) -> Callable[[Head], bool]:
    """A test for files without a header by where their three stamps stand; ``answer`` may be empty."""

    def regular(row: list[str]) -> bool:
        return (
            least <= len(row) <= most
            and all(IS_STAMP.match(row[place - 1]) is not None for place in (start, end))
            and (row[answer - 1] == "" or IS_STAMP.match(row[answer - 1]) is not None)
        )

    return lambda head: any(map(regular, head.rows(",")))


_MAPPING: Final = master("asterisk", account=1, src=2, start=10)
FORMAT: Final = Format("asterisk", "Asterisk cdr_csv Master.csv", has_stamps(10, 11, 12, 16, 21), _MAPPING)
