"""A shard's interactions while a stream runs: what is new, what is kept, whom it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules import interactions as inter
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.block import Block, block, tidy
from transforms.columns.rules.interactions import Interactions, concat
from transforms.columns.rules.people import Older, People, nothing_older, older_from_arrow

EARLIEST: Final = -(1 << 62)
_SMALL: Final = 2048  # blocks below this size are merged at once


@dataclass(frozen=True)
class History:
    """The interactions of a shard, never changed in place.

    Attributes:
        blocks: interactions that had arrived before the last call.
        fresh: those that have arrived since, as they came.
        people: the subscribers seen before ``decided``.
        decided: second of the last decided pane end, None before the first call.
    """

    blocks: tuple[Block, ...] = ()
    fresh: tuple[Interactions, ...] = ()
    people: People = field(default_factory=People)
    decided: int | None = None

    def __len__(self) -> int:
        return sum(map(len, self.blocks)) + sum(map(len, self.fresh))

    def append(self, arrived: Interactions) -> History:
        """With interactions that have just arrived, in any order."""
        return replace(self, fresh=(*self.fresh, arrived))

    def late(self) -> Interactions:
        """The fresh interactions that start before the last decided pane end."""
        return concat([part.take(part.start < _second(self.decided)) for part in self.fresh])

    def starting(self, first: int, end: int) -> Interactions:
        """The interactions with ``first <= start < end`` (seconds)."""
        fresh = (part.take((part.start >= first) & (part.start < end)) for part in self.fresh)
        return concat([*(part.starting(first, end) for part in self.blocks), *fresh])

    def of(self, codes: Ints, since: int | None = None) -> tuple[Interactions, Bools]:
        """The interactions of some subscribers, and which of them are late.

        Args:
            codes: ascending.
            since: those that start before this second are left out, unless they are fresh: these may be a
                subscriber's first, which has to be seen.
        """
        old = concat([part.of(codes, since) for part in self.blocks])
        return self._with_fresh(old, [block([part]).of(codes) for part in self.fresh])

    def everything(self) -> tuple[Interactions, Bools]:
        """All interactions, and which of them are late."""
        return self._with_fresh(concat([part.rows for part in self.blocks]), list(self.fresh))

    def _with_fresh(self, old: Interactions, fresh: list[Interactions]) -> tuple[Interactions, Bools]:
        rows = concat([old, *fresh])
        late = rows.start < _second(self.decided)
        late[: len(old)] = False
        return rows, late

    def after(self, upto: int) -> History:
        """The history once the pane ends until ``upto`` are decided: what was fresh is so no more."""
        counted = concat([self.late(), self.starting(_second(self.decided), upto)])
        people = self.people.seeing(counted.caller, counted.start)
        blocks = tidy((*self.blocks, block(list(self.fresh))), _SMALL) if self.fresh else self.blocks
        return History(blocks, (), people, upto)

    def drop_before(
        self, second: int, zone_hour: Callable[[Ints, Ints], NDArray[np.uint8]], types: int
    ) -> History:
        """Without the interactions that start before a second; they stay as counts per subscriber.

        Args:
            second: at most ``decided`` less the longest window.
            zone_hour: hours in the subscribers' own zones, of party codes and seconds.
            types: how many business types there are.
        """
        dropped = concat([part.starting(EARLIEST, second) for part in self.blocks])
        if not len(dropped):
            return self
        older = (self.people.older or nothing_older(types)).plus(
            dropped, zone_hour(dropped.caller, dropped.start)
        )
        kept = (Block(part.rows.drop_before(second)) for part in self.blocks)
        people = replace(self.people, older=older)
        return replace(self, blocks=tidy(tuple(part for part in kept if len(part)), _SMALL), people=people)

    def to_arrow(self) -> dict[str, pa.RecordBatch]:
        """As Arrow: ``rows`` (a column says which are fresh), ``people`` and, where there are any, ``older``."""
        rows = self.everything()[0]
        fresh = np.arange(len(rows)) >= sum(len(part) for part in self.blocks)
        batch = rows.to_arrow().append_column("fresh", pa.array(fresh))
        decided = {} if self.decided is None else {"decided": str(self.decided)}
        people = pa.RecordBatch.from_pydict({"codes": self.people.codes, "first": self.people.first})
        found = {"rows": batch.replace_schema_metadata(decided), "people": people}
        return found if self.people.older is None else {**found, "older": self.people.older.to_arrow()}


def without(rows: Interactions, taken: Interactions) -> Interactions:
    """Interactions less some of them; of equal ones as many as are taken."""
    if not len(taken):
        return rows
    candidates = np.flatnonzero(np.isin(rows.caller, taken.caller) & np.isin(rows.start, taken.start))
    left = _numbered(rows.take(candidates)).with_columns(row=pl.Series(candidates))
    gone = left.join(_numbered(taken), on=[c for c in left.columns if c != "row"], how="semi")
    stays = np.ones(len(rows), np.bool_)
    stays[gone["row"].to_numpy()] = False
    return rows.take(stays)


def _numbered(rows: Interactions) -> pl.DataFrame:
    """With a column that tells equal interactions apart."""
    frame = pl.DataFrame(pl.from_arrow(rows.to_arrow()))
    return frame.with_columns(nth=pl.int_range(pl.len()).over(frame.columns))


def _second(decided: int | None) -> int:
    return EARLIEST if decided is None else decided


def history_from_arrow(saved: dict[str, pa.RecordBatch]) -> History:
    """A history from `History.to_arrow`."""
    batch = saved["rows"]
    rows = inter.from_arrow(batch)
    fresh = batch.column("fresh").to_numpy(zero_copy_only=False)
    codes, first = (saved["people"].column(n).to_numpy(zero_copy_only=True) for n in ("codes", "first"))
    older: Older | None = older_from_arrow(saved["older"]) if "older" in saved else None
    decided = (batch.schema.metadata or {}).get(b"decided")
    blocks = () if fresh.all() else (block([rows.take(~fresh)]),)
    parts = (rows.take(fresh),) if fresh.any() else ()
    return History(blocks, parts, People(codes, first, older), None if decided is None else int(decided))
