"""Why calls ended: FreeSWITCH's names and the codes of ITU-T Q.850, as call results.

A cause tells how a call that nobody took came to its end; whether it was taken, the formats know from
elsewhere (an answer stamp, talk time).
"""

from __future__ import annotations

from typing import Final

_BUSY: Final = {17: "USER_BUSY"}
_NO_ANSWER: Final = {
    0: "NONE",
    16: "NORMAL_CLEARING",
    18: "NO_USER_RESPONSE",
    19: "NO_ANSWER",
    20: "SUBSCRIBER_ABSENT",
    21: "CALL_REJECTED",
    31: "NORMAL_UNSPECIFIED",
    487: "ORIGINATOR_CANCEL",
    502: "LOSE_RACE",
    602: "ALLOTTED_TIMEOUT",
    607: "PROGRESS_TIMEOUT",
}

CODES: Final[dict[str, str | None]] = {
    **{str(code): "BUSY" for code in _BUSY},
    **{str(code): "NO_ANSWER" for code in _NO_ANSWER},
    "*": "FAILED",
}
"""A mapping's ``values`` for codes of Q.850 (and FreeSWITCH's own beyond 127)."""

NAMES: Final[dict[str, str | None]] = {
    **dict.fromkeys(_BUSY.values(), "BUSY"),
    **dict.fromkeys(_NO_ANSWER.values(), "NO_ANSWER"),
    "*": "FAILED",
}
"""A mapping's ``values`` for FreeSWITCH's names."""

ANSWERED_IF_SET: Final[dict[str, str | None]] = {"": None, "0": None, "*": "ANSWERED"}
"""A mapping's ``values`` for a column that holds something, and not 0, once a call is answered."""
