"""FreeSWITCH's mod_cdr_csv, templates ``example``, ``sql`` and ``snom``: no header, 13 to 20 fields.

Stamps are local; the duration is the talk time (``billsec``). Log the a-legs only (``legs`` = ``a``): a b-leg
is a record of its own id and would count the call again.
"""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.asterisk import STAMP, has_stamps
from callbeam_io.formats.base import Format
from callbeam_io.formats.causes import ANSWERED_IF_SET, NAMES
from callbeam_io.formats.mapping import make_mapping

_MAPPING: Final = make_mapping(
    "freeswitch_csv",
    {
        "header": False,
        "widths": [13, 20],
        "fields": {
            "id": 11,
            "calling_number": 2,
            "called_number": 3,
            "start_time": {"column": 5, "format": STAMP},
            "duration": 9,
            "call_type": {"constant": "VOICE"},
            "call_result": [{"column": 6, "values": ANSWERED_IF_SET}, {"column": 10, "values": NAMES}],
            "account_id": 13,
        },
    },
)
FORMAT: Final = Format("freeswitch_csv", "FreeSWITCH mod_cdr_csv", has_stamps(5, 6, 7, 13, 20), _MAPPING)
