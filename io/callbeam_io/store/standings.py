"""Who may be contacted, of everybody at once: what `standing` asks for one subscriber after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import polars as pl
from sqlalchemy import func, select

from callbeam_io.store import arrow
from callbeam_io.store.base import StoreBase
from callbeam_io.store.changes import newest_change
from callbeam_io.store.standing import STANDINGS, Standing
from callbeam_io.store.tables import TABLES

_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
_END: Final = "9999-12-31 23:59:59"
_KIND: Final = pl.Enum(STANDINGS)


@dataclass(frozen=True, eq=False)
class Standings:
    """Everybody of whom something is known.

    Attributes:
        change: number of the newest change of a consent that is in it.
        since: the moment for which it was asked, as text.
        until: when the next consent or suppression that is known already begins to count.
        known: ``subscriber`` and ``yes`` or ``no``.
    """

    change: int
    since: str
    until: str
    known: pl.DataFrame

    def of(self, subscribers: pl.Series) -> pl.Series:
        """Of each subscriber one of `standing.STANDINGS`."""
        found = pl.DataFrame({"subscriber": subscribers}).join(
            self.known, on="subscriber", how="left", maintain_order="left"
        )
        return found["standing"].fill_null("unknown").cast(_KIND)

    def answers(self, asked: Standing, change: int) -> bool:
        """Whether this is still so for what is asked, where ``change`` is the store's newest one."""
        return change == self.change and self.since <= asked.at < self.until

    def forget(self) -> Standings:
        """The same without its people."""
        return replace(self, known=self.known.clear())


def read_standings(store: StoreBase, at: str) -> Standings:
    """Reads consents and suppressions that count at a moment: a second for a million of them."""
    change = newest_change(store)
    names = ("subscriber", "at", "opted_in")
    consents = select(*(_CONSENT.c[n] for n in names)).where(_CONSENT.c.at <= at)
    stops = select(_SUPPRESSED.c.subscriber).where(_SUPPRESSED.c.at <= at).distinct()
    with store.reading() as connection:
        said = pl.DataFrame(pl.from_arrow(arrow.read(connection, _CONSENT, consents, names)))
        stopped = pl.DataFrame(pl.from_arrow(arrow.read(connection, _SUPPRESSED, stops, ["subscriber"])))
        next_ones = [
            connection.scalar(select(func.min(t.c.at)).where(t.c.at > at)) for t in (_CONSENT, _SUPPRESSED)
        ]
    newest = said.sort("at").unique("subscriber", keep="last", maintain_order=True)
    yes = newest.filter("opted_in").join(stopped, on="subscriber", how="anti")
    no = pl.concat([newest.filter(~pl.col("opted_in")).select("subscriber"), stopped]).unique()
    known = pl.concat([_as(yes, "yes"), _as(no, "no")])
    return Standings(change, at, min([_END, *filter(None, next_ones)]), known)


def _as(people: pl.DataFrame, standing: str) -> pl.DataFrame:
    return people.select("subscriber", pl.lit(standing).alias("standing"))
