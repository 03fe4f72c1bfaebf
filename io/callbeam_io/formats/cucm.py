"""Cisco Unified Communications Manager: quoted header, a line of types, times in seconds UTC.

Columns go by name, as their number grows with each release. The line of types and records that are no calls
(``cdrRecordType`` other than 1) are passed over, and so are files of quality records (``cmr_``).
"""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.causes import ANSWERED_IF_SET, CODES
from callbeam_io.formats.mapping import make_mapping

_SILENT: Final = {"": None, "0": None}  # the far end never said why
_MAPPING: Final = make_mapping(
    "cucm",
    {
        "only": {"column": "cdrRecordType", "values": ["1"]},
        "fields": {
            "id": "pkid",
            "calling_number": "callingPartyNumber",
            "called_number": ["finalCalledPartyNumber", "originalCalledPartyNumber"],
            "start_time": {"column": "dateTimeOrigination", "unit": "s"},
            "duration": "duration",
            "call_type": {"constant": "VOICE"},
            "call_result": [
                {"column": "dateTimeConnect", "values": ANSWERED_IF_SET},
                {"column": "destCause_value", "values": {**CODES, **_SILENT}},
                {"column": "origCause_value", "values": CODES},
            ],
        },
    },
)


def _sniff(head: Head) -> bool:
    return head.has_columns("cdrrecordtype", "globalcallid_callid")


def _skip(head: Head) -> str:
    quality = _sniff(head) and not head.has_columns("callingpartynumber")
    return "quality records (CMR) of Cisco CUCM, no calls" if quality else ""


FORMAT: Final = Format("cucm", "Cisco CUCM call detail records", _sniff, _MAPPING, _skip)
