"""Who may be contacted, as a condition on subscribers: for lists, and for the numbers that lead to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, not_

from callbeam_io.store.tables import TABLES

STANDINGS: Final = ("yes", "no", "unknown")
_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]


@dataclass(frozen=True)
class Standing:
    """That people may be contacted at a time, may not, or were not asked.

    Attributes:
        is_: one of `STANDINGS`: the newest consent says yes and nothing suppresses it; it is suppressed or says no;
            nothing is known.
        at: the time, as text.
    """

    is_: str
    at: str

    def holds_for(self, subscriber: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition on a column of subscribers, in full as ``table.column``."""
        said = _CONSENT.alias("said")
        later = _CONSENT.alias("later")
        known = and_(said.c.subscriber == subscriber, said.c.at <= self.at)
        overruled = exists().where(
            later.c.subscriber == subscriber, later.c.at > said.c.at, later.c.at <= self.at
        )
        stopped = exists().where(_SUPPRESSED.c.subscriber == subscriber, _SUPPRESSED.c.at <= self.at)
        consented = exists().where(known, said.c.opted_in.is_(True), not_(overruled))
        if self.is_ == "yes":
            return and_(consented, not_(stopped))
        anything = exists().where(known) | stopped
        return not_(anything) if self.is_ == "unknown" else and_(anything, stopped | not_(consented))
