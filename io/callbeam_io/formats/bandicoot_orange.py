"""bandicoot's Orange form: eight fields between semicolons, no header; services 11 and 12 are calls."""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.asterisk import IS_STAMP, STAMP
from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import make_mapping

_MAPPING: Final = make_mapping(
    "bandicoot_orange",
    {
        "separator": ";",
        "header": False,
        "widths": 8,
        "fields": {
            "calling_number": 3,
            "called_number": 4,
            "start_time": {"column": 5, "format": STAMP},
            "duration": 6,
            "call_type": {"column": 2, "values": {"11": "VOICE", "12": "VOICE", "*": "SMS"}},
            "call_result": {"constant": "ANSWERED"},
        },
        "direction": {"column": 1, "in": ["2"], "out": ["1"]},
    },
)


def _sniff(head: Head) -> bool:
    rows = head.rows(";")
    return any(len(row) == 8 and row[0] in ("1", "2") and IS_STAMP.match(row[4]) for row in rows)


FORMAT: Final = Format("bandicoot_orange", "bandicoot's Orange form", _sniff, _MAPPING)
