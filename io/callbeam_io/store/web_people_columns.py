"""What lists of very many people are narrowed and sorted by, held in memory: a live run has no indexes for that."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import select

from callbeam_io.store import arrow
from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition
from callbeam_io.store.standings import Standings, read_standings
from callbeam_io.store.tables import TABLES
from callbeam_io.store.web_indexes import FILTERS
from transforms.schema import TIME_FORMAT

_PEOPLE: Final = TABLES["subscribers"]
_NAMES: Final = tuple(c.name for c in _PEOPLE.columns if c.name in FILTERS)
STANDING: Final = "standing"
"""The column that says whether somebody may be contacted, as `standing.STANDINGS`."""
_SORTED: Final = ("calls", "messages", "duration_s", "international", "last_seen")
_OPERATORS: Final = frozenset({"=", ">=", "prefix", "in"})
_WIDEST: Final = 63
"""Bits of a number that holds a value and a place."""
_Places: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PeopleColumns:
    """The people of a run as of one moment.

    Attributes:
        frame: the columns of `web_indexes.FILTERS` in the order of subscribers; ``last_seen`` in seconds.
        places: by column, the places of the rows in ascending order of it, then of subscribers.
        at: seconds since 1970 of that moment.
        standing: what the column ``standing`` of the frame is true for.
    """

    frame: pl.DataFrame
    places: Mapping[str, _Places]
    standing: Standings
    at: float

    def serves(self, where: Mapping[str, Condition], names: Iterable[str] = ()) -> bool:
        """Whether these conditions can be asked here, and these columns are here."""
        asked = {name: _operator(wanted)[0] for name, wanted in where.items()}
        known = {*asked, *names} <= FILTERS | {STANDING}
        return known and "last_seen" not in asked and _OPERATORS.issuperset(asked.values())

    def sorts(self, name: str) -> bool:
        """Whether `keys` can be in the order of this column."""
        return name == "subscriber" or name in self.places

    def keys(
        self, where: Mapping[str, Condition], sort: str, down: bool, limit: int, offset: int = 0
    ) -> list[str]:
        """A page of those who pass, in the order of a column of `places` or of subscribers."""
        found = self._in_order(where, sort)
        page = found[::-1][offset : offset + limit] if down else found[offset : offset + limit]
        return self.frame["subscriber"].gather(page).to_list()

    def count(self, where: Mapping[str, Condition]) -> int:
        """How many pass."""
        mask = self._mask(where)
        return self.frame.height if mask is None else int(mask.sum())

    def grouped(
        self, where: Mapping[str, Condition], by: Sequence[str], sums: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Those who pass, counted (``count``) and summed by some columns, the most first."""
        mask = self._mask(where)
        rows = self.frame if mask is None else self.frame.filter(pl.Series(mask))
        counted = rows.group_by(by).agg(pl.len().alias("count"), pl.col(sums).sum())
        plain = counted.with_columns(pl.col(pl.Categorical).cast(pl.String))
        return plain.sort("count", *by, descending=[True, *[False] * len(by)]).to_dicts()

    def _in_order(self, where: Mapping[str, Condition], sort: str) -> _Places:
        mask = self._mask(where)
        if sort == "subscriber":
            every = np.arange(self.frame.height, dtype=np.int32)
            return every if mask is None else every[mask]
        places = self.places[sort]
        return places if mask is None else places[mask[places]]

    def _mask(self, where: Mapping[str, Condition]) -> NDArray[np.bool_] | None:
        if not where:
            return None
        passes = pl.all_horizontal(_passes(name, wanted) for name, wanted in where.items())
        return self.frame.select(passes.fill_null(False)).to_series().to_numpy()


def _operator(wanted: Condition) -> tuple[str, Any]:
    return wanted if isinstance(wanted, tuple) else ("=", wanted)


def _passes(name: str, wanted: Condition) -> pl.Expr:
    operator, value = _operator(wanted)
    if operator == "prefix":
        return pl.col(name).str.starts_with(value)
    if operator == "in":
        return pl.col(name).is_in(list(value))
    return pl.col(name) >= value if operator == ">=" else pl.col(name).eq_missing(pl.lit(value))


def read_columns(store: StoreBase, run_id: str, at: str) -> PeopleColumns:
    """Reads those of a run: seconds for a million people, most of them outside of Python.

    Args:
        store: to read from.
        run_id: of the run.
        at: the moment for which the column ``standing`` says whether people may be contacted.
    """
    begun = time.time()
    statement = select(*(_PEOPLE.c[name] for name in _NAMES)).where(_PEOPLE.c.run_id == run_id)
    with store.reading() as connection:
        rows = arrow.read(connection, _PEOPLE, statement, _NAMES)
    people = _small(pl.DataFrame(pl.from_arrow(rows)).sort("subscriber"))
    standing = read_standings(store, at)
    frame = people.with_columns(standing.of(people["subscriber"]).alias(STANDING))
    places = {name: _ascending(frame[name]) for name in _SORTED}
    return PeopleColumns(frame, places, standing.forget(), begun)


def _small(rows: pl.DataFrame) -> pl.DataFrame:
    """The same in types that take little room."""
    seen = pl.col("last_seen").str.to_datetime(TIME_FORMAT, time_unit="ms", strict=False)
    return rows.with_columns(
        pl.col("tag", "business_type").cast(pl.Categorical),
        pl.col("best_weekday", "best_hour").cast(pl.Int8),
        seen.dt.epoch("s"),
    )


def _ascending(values: pl.Series) -> _Places:
    """The places of values in their order, equal ones in that of their places.

    A value and its place are one number, where 63 bits hold both: numbers are sorted ten times as fast as places.

    >>> _ascending(pl.Series([30, 10, 30, 20])).tolist()
    [1, 3, 0, 2]
    """
    found = values.fill_null(strategy="min").fill_null(0).cast(pl.Int64).to_numpy()
    bits = len(found).bit_length()
    from_least = found - found.min(initial=0)
    if int(from_least.max(initial=0)).bit_length() + bits > _WIDEST:
        return np.argsort(found, kind="stable").astype(np.int32)
    both = (from_least << bits) | np.arange(len(found))
    both.sort()
    return (both & ((1 << bits) - 1)).astype(np.int32)
