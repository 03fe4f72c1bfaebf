"""bandicoot: one user per file, whose number is the file's name; calls and texts, in and out."""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.asterisk import STAMP
from callbeam_io.formats.base import Format
from callbeam_io.formats.mapping import FILE, make_mapping

TYPES: Final = {"call": "VOICE", "text": "SMS"}
_MAPPING: Final = make_mapping(
    "bandicoot",
    {
        "fields": {
            "calling_number": FILE,
            "called_number": "correspondent_id",
            "start_time": {"column": "datetime", "format": STAMP},
            "duration": "call_duration",
            "call_type": {"column": "interaction", "values": TYPES},
            "call_result": {"constant": "ANSWERED"},
        },
        "direction": {"column": "direction", "in": ["in"], "out": ["out"]},
    },
)
FORMAT: Final = Format(
    "bandicoot",
    "bandicoot's CSV, one file per user",
    lambda head: head.has_columns("interaction", "direction", "correspondent_id"),
    _MAPPING,
)
