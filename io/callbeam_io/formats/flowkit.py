"""FlowKit: two lines per call, one of each party. Both become the same record, which then counts once."""

from __future__ import annotations

from typing import Any, Final

from callbeam_io.formats.asterisk import STAMP
from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import Mapping, make_mapping


def _mapping_of(kind: str, more: dict[str, Any]) -> Mapping:
    fields = {
        "id": "id",
        "calling_number": "msisdn",
        "called_number": "msisdn_counterpart",
        "start_time": {"column": "start_time", "format": STAMP},
        "call_type": {"constant": kind},
        "call_result": {"constant": "ANSWERED"},
    }
    way = {"column": "outgoing", "in": ["false", "f", "0"], "out": ["true", "t", "1"]}
    return make_mapping("flowkit", {"fields": {**fields, **more}, "direction": way})


_CALLS: Final = _mapping_of("VOICE", {"duration": "duration"})
_TEXTS: Final = _mapping_of("SMS", {})


def _mapping(head: Head) -> Mapping:
    return _CALLS if head.has_columns("duration") else _TEXTS


FORMAT: Final = Format(
    "flowkit",
    "FlowKit's calls and sms",
    lambda head: head.has_columns("msisdn", "msisdn_counterpart", "outgoing"),
    _mapping,
)
