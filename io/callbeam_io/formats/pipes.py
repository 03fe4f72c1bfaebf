"""The student project's lines: nine fields between pipes, asctime stamps, no header."""

from __future__ import annotations

import re
from typing import Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import make_mapping

_ASCTIME: Final = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$")
_MAPPING: Final = make_mapping(
    "pipes",
    {
        "separator": "|",
        "quote": None,
        "header": False,
        "widths": 9,
        "fields": {
            "account_id": 1,
            "calling_number": 2,
            "id": 3,
            "called_number": 4,
            "start_time": {"column": 5, "format": "%a %b %e %H:%M:%S %Y"},
            "duration": 6,
            "call_type": 7,
            "charge": 8,
            "call_result": {"column": 9, "values": {"awnsered": "ANSWERED", "no answer": "NO_ANSWER"}},
        },
    },
)


def _sniff(head: Head) -> bool:
    rows = head.rows("|", None)
    return any(len(row) == 9 and _ASCTIME.match(row[4]) for row in rows)


FORMAT: Final = Format("pipes", "the student project's lines", _sniff, _MAPPING)
