"""cider: calls and texts of many subscribers, with a header."""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.asterisk import STAMP
from callbeam_io.formats.bandicoot import TYPES
from callbeam_io.formats.base import Format
from callbeam_io.formats.mapping import make_mapping

_MAPPING: Final = make_mapping(
    "cider",
    {
        "fields": {
            "calling_number": "caller_id",
            "called_number": "recipient_id",
            "start_time": {"column": "timestamp", "format": STAMP},
            "duration": "duration",
            "call_type": {"column": "txn_type", "values": TYPES},
            "call_result": {"constant": "ANSWERED"},
        }
    },
)
FORMAT: Final = Format(
    "cider",
    "cider's CSV",
    lambda head: head.has_columns("txn_type", "caller_id", "recipient_id"),
    _MAPPING,
)
