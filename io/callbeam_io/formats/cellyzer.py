"""cellyzer (and Nodobo): calls and messages of users, incoming, outgoing or missed, stamps with an offset."""

from __future__ import annotations

from typing import Any, Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import Mapping, make_mapping


def _mapping_of(kind: str, more: dict[str, Any]) -> Mapping:
    fields = {
        "calling_number": "user",
        "called_number": "other",
        "start_time": {"column": "timestamp", "format": "%a %b %d %H:%M:%S %z %Y"},
        "call_type": {"constant": kind},
        "call_result": {"column": "direction", "values": {"missed": "NO_ANSWER", "*": "ANSWERED"}},
    }
    way = {"column": "direction", "in": ["Incoming", "Missed"], "out": ["Outgoing"]}
    return make_mapping("cellyzer", {"fields": {**fields, **more}, "direction": way})


def _mapping(head: Head) -> Mapping:
    if not head.has_columns("duration"):
        return _mapping_of("SMS", {})
    charge = {"charge": "cost"} if head.has_columns("cost") else {}
    return _mapping_of("VOICE", {"duration": "duration", **charge})


FORMAT: Final = Format(
    "cellyzer",
    "cellyzer's and Nodobo's CSV",
    lambda head: head.has_columns("user", "other", "direction", "timestamp"),
    _mapping,
)
