"""The last gate: every way out asks it about every promotion, at the moment of sending."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from callbeam_io.delivery.facts import Facts
from callbeam_io.delivery.moments import free_from, second_of
from callbeam_io.store.deliveries import key_of

GO: Final = "go"
HELD: Final = "held"
LATER: Final = "later"
WITHDRAWN: Final = "withdrawn"
EXPIRED: Final = "expired"


class Verdict(NamedTuple):
    """What may be done with a delivery.

    Attributes:
        state: ``go``; ``held`` (everything is paused) and ``later`` (quiet hours): it waits on; ``withdrawn``
            and ``expired``: it never goes.
        why: in words, without a number of anybody.
        at: seconds since 1970 at which it may reach its subscriber, for ``go`` and ``later``.
    """

    state: str
    why: str = ""
    at: int = 0


def judge(row: Mapping[str, Any], facts: Facts, now: float) -> Verdict:
    """What may be done with a delivery now.

    Args:
        row: of ``deliveries``, in state ``waiting``.
        facts: about it, read at this moment.
        now: seconds since 1970.
    """
    expires = second_of(row["expires_at"]) if row["expires_at"] else 0
    if now >= expires:
        return Verdict(EXPIRED, "the offer was no longer good")
    why = _forbidden(row, facts)
    if why:
        return Verdict(WITHDRAWN, why)
    if facts.paused:
        return Verdict(HELD, "all promotions are paused")
    wanted = max(int(now), second_of(row["due_at"]))
    at = free_from(wanted, row["zones"] or "", row["quiet"] or "")
    if at >= expires:
        return Verdict(LATER, "quiet hours until the offer is no longer good", expires)
    return Verdict(GO if at == wanted else LATER, "" if at == wanted else "quiet hours", at)


def _forbidden(row: Mapping[str, Any], facts: Facts) -> str:
    """Why it must never go, or nothing."""
    subscriber = row["subscriber"]
    outcome = facts.outcomes.get(key_of(row), "offered")
    if outcome != "offered":
        return f"the outcome is {outcome}"
    if row["rule_version"] is not None and row["rule_id"] not in facts.rules:
        return "the rule is gone"
    if subscriber in facts.suppressed:
        return "suppressed"
    if subscriber in facts.stated:
        return "" if facts.stated[subscriber] else "opted out"
    return "" if row["run_id"] in facts.consenting_runs else "no consent"
