"""A shard's interactions while a stream runs: what is new, what is kept, whom it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules import interactions as inter
from transforms.columns.rules.arrays import Bools, Ints, expand, find
from transforms.columns.rules.interactions import Interactions, concat
from transforms.columns.rules.people import Older, People, nothing_older, older_from_arrow

EARLIEST: Final = -(1 << 62)
_SMALL: Final = 4096
_SHARE: Final = 4  # recent interactions are merged in once they are more than this part of the kept ones


@dataclass(frozen=True)
class History:
    """The interactions of a shard, never changed in place.

    Attributes:
        kept: ordered by caller; looked up by caller and by time.
        recent: interactions that came since, few enough to be searched through.
        fresh: those that have arrived since the last call, as they came.
        people: the subscribers seen before ``decided``.
        decided: second of the last decided pane end, None before the first call.
    """

    kept: Interactions = field(default_factory=inter.empty)
    recent: Interactions = field(default_factory=inter.empty)
    fresh: tuple[Interactions, ...] = ()
    people: People = field(default_factory=People)
    decided: int | None = None

    def __len__(self) -> int:
        return len(self.kept) + len(self.recent) + sum(len(part) for part in self.fresh)

    def append(self, arrived: Interactions) -> History:
        """With interactions that have just arrived, in any order."""
        return replace(self, fresh=(*self.fresh, arrived))

    @cached_property
    def _callers(self) -> tuple[Ints, Ints]:
        """Distinct callers of the kept interactions, and where each one's begin (and the last one's end)."""
        caller = self.kept.caller
        begin = np.flatnonzero(np.append(True, caller[1:] != caller[:-1])[: len(caller)])
        return caller[begin], np.append(begin, len(caller))

    @cached_property
    def _by_time(self) -> tuple[Ints, NDArray[np.int32]]:
        """Starts of the kept interactions, ascending, and their positions."""
        order = np.argsort(self.kept.start)
        return self.kept.start[order], order.astype(np.int32)

    def late(self) -> Interactions:
        """The fresh interactions that start before the last decided pane end."""
        parts = (
            [part.take(part.start < self.decided) for part in self.fresh] if self.decided is not None else []
        )
        return concat(parts)

    def starting(self, first: int, end: int) -> Interactions:
        """The interactions with ``first <= start < end`` (seconds)."""
        starts, order = self._by_time
        rows = order[np.searchsorted(starts, first) : np.searchsorted(starts, end)]
        others = [
            part.take((part.start >= first) & (part.start < end)) for part in (self.recent, *self.fresh)
        ]
        return concat([self.kept.take(rows.astype(np.int64)), *others])

    def of(self, codes: Ints, since: int | None = None) -> tuple[Interactions, Bools]:
        """The interactions of some subscribers, and which of them are late.

        Args:
            codes: ascending.
            since: kept ones that start before this second may be left out. (Fresh ones may be a subscriber's
                first: these have to be seen.)
        """
        callers, begin = self._callers
        position, there = find(callers, codes)
        position = position[there]
        rows = expand(begin[position], begin[position + 1] - begin[position])[1]
        if since is not None:
            rows = rows[self.kept.start[rows] >= since]
        parts = [self.kept.take(rows), *(_of(part, codes) for part in (self.recent, *self.fresh))]
        return self._with_late(concat(parts), len(parts[0]) + len(parts[1]))

    def everything(self) -> tuple[Interactions, Bools]:
        """All interactions, and which of them are late."""
        return self._with_late(
            concat([self.kept, self.recent, *self.fresh]), len(self.kept) + len(self.recent)
        )

    def _with_late(self, rows: Interactions, old: int) -> tuple[Interactions, Bools]:
        """Interactions of which the first ``old`` are not fresh, and which of them are late."""
        late = np.zeros(len(rows), np.bool_)
        if self.decided is not None:
            late[old:] = rows.start[old:] < self.decided
        return rows, late

    def after(self, upto: int) -> History:
        """The history once the pane ends until ``upto`` are decided: what was fresh is so no more."""
        counted = [self.late(), self.starting(EARLIEST if self.decided is None else self.decided, upto)]
        people = self.people
        for rows in counted:
            people = people.seeing(rows.caller, rows.start)
        recent = concat([self.recent, *self.fresh])
        if len(recent) <= max(_SMALL, len(self.kept) // _SHARE):
            return self._with(recent=recent, fresh=(), people=people, decided=upto)
        return History(_merge(self.kept, recent), inter.empty(), (), people, upto)

    def _with(self, **changed: object) -> History:
        """A copy that has the look-ups of the kept interactions already."""
        new = replace(self, **changed)  # type: ignore[arg-type]
        for name in ("_callers", "_by_time"):
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name]
        return new

    def drop_before(
        self, second: int, zone_hour: Callable[[Ints, Ints], NDArray[np.uint8]], types: int
    ) -> History:
        """Without the interactions that start before a second; they stay as counts per subscriber.

        Args:
            second: at most ``decided`` less the longest window.
            zone_hour: hours in the subscribers' own zones, of party codes and seconds.
            types: how many business types there are.
        """
        whole = replace(self, kept=_merge(self.kept, self.recent), recent=inter.empty())
        old = whole.kept.start < second
        if not old.any():
            return self
        dropped = whole.kept.take(old)
        older = (self.people.older or nothing_older(types)).plus(
            dropped, zone_hour(dropped.caller, dropped.start)
        )
        return replace(whole, kept=whole.kept.take(~old), people=replace(self.people, older=older))

    def to_arrow(self) -> dict[str, pa.RecordBatch]:
        """As Arrow: ``rows`` (a column says which are fresh), ``people`` and, where there are any, ``older``."""
        rows = concat([self.kept, self.recent, *self.fresh])
        fresh = np.arange(len(rows)) >= len(self.kept) + len(self.recent)
        batch = rows.to_arrow().append_column("fresh", pa.array(fresh))
        decided = {} if self.decided is None else {"decided": str(self.decided)}
        people = pa.RecordBatch.from_pydict({"codes": self.people.codes, "first": self.people.first})
        found = {"rows": batch.replace_schema_metadata(decided), "people": people}
        return found if self.people.older is None else {**found, "older": self.people.older.to_arrow()}


def history_from_arrow(saved: dict[str, pa.RecordBatch]) -> History:
    """A history from `History.to_arrow`."""
    batch = saved["rows"]
    rows = inter.from_arrow(batch)
    fresh = batch.column("fresh").to_numpy(zero_copy_only=False)
    codes, first = (saved["people"].column(n).to_numpy(zero_copy_only=True) for n in ("codes", "first"))
    older: Older | None = older_from_arrow(saved["older"]) if "older" in saved else None
    decided = (batch.schema.metadata or {}).get(b"decided")
    kept = _merge(inter.empty(), rows.take(~fresh))
    parts = (rows.take(fresh),) if fresh.any() else ()
    return History(
        kept, inter.empty(), parts, People(codes, first, older), None if decided is None else int(decided)
    )


def _of(part: Interactions, codes: Ints) -> Interactions:
    return part.take(find(codes, part.caller)[1])


def _merge(kept: Interactions, recent: Interactions) -> Interactions:
    """Both together, ordered by caller."""
    caller = recent.caller
    recent = (
        recent.take(np.argsort(caller, kind="stable")) if not (caller[1:] >= caller[:-1]).all() else recent
    )
    if not len(kept) or not len(recent):
        return recent if not len(kept) else kept
    at = np.searchsorted(kept.caller, recent.caller, "right")
    return Interactions(
        *(np.insert(getattr(kept, f.name), at, getattr(recent, f.name)) for f in fields(kept))
    )
