"""FreeSWITCH's mod_json_cdr: one object per call, a file each or a line each.

``start_epoch`` is the instant, ``start_stamp`` the switch's local time of the same moment: together they tell
the offset. Texts may be percent-encoded.
"""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.causes import ANSWERED_IF_SET, NAMES
from callbeam_io.formats.mapping import make_mapping

_PARTIES: Final = "callflow.0.caller_profile."
_MAPPING: Final = make_mapping(
    "freeswitch_json",
    {
        "lines": "json",
        "percent": True,
        "fields": {
            "id": "variables.uuid",
            "calling_number": _PARTIES + "caller_id_number",
            "called_number": _PARTIES + "destination_number",
            "start_time": {"column": "variables.start_epoch", "unit": "s", "local": "variables.start_stamp"},
            "duration": "variables.billsec",
            "call_type": {"constant": "VOICE"},
            "call_result": [
                {"column": "variables.answer_epoch", "values": ANSWERED_IF_SET},
                {"column": "variables.hangup_cause", "values": NAMES},
            ],
            "account_id": "variables.accountcode",
        },
    },
)


def _sniff(head: Head) -> bool:
    begin = "".join(head.lines[:5]).lstrip(" [")
    text = head.data.decode("utf-8", "replace")
    return begin.startswith("{") and (
        '"core-uuid"' in begin or ('"callflow"' in text and '"variables"' in text)
    )


FORMAT: Final = Format("freeswitch_json", "FreeSWITCH mod_json_cdr", _sniff, _MAPPING)
