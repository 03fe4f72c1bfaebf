"""Samples of a streaming run: what it counted since the sample before, a row of ``run_samples`` every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import pyarrow as pa
from sqlalchemy import Connection, text

from callbeam_io.store import Store, json_text, utc_text
from pipelines.patience import unless_away
from transforms.registry import LiveRun

EVERY: Final = 10.0
KEPT: Final = timedelta(hours=24)
_COUNTS: Final = ("read", "good", "rejected", "late", "duplicate")
_Key = TypeVar("_Key", str, tuple[str, str])
_DROP: Final = text("DELETE FROM run_samples WHERE run_id = :run_id AND at < :at")


@dataclass(frozen=True)
class Totals:
    """What this process has counted so far.

    Attributes:
        counts: records by fate.
        types: interactions by business type of the called number.
        promotions: firings by rule_id and outcome, as they went to the store.
    """

    counts: Mapping[str, int]
    types: Mapping[str, int]
    promotions: Mapping[tuple[str, str], int]


def totals_of(run: LiveRun) -> Totals:
    """The totals of a run in this process; called from any thread."""
    shards = list(run.shards.values())
    names = shards[0].reference.types.names if shards else ()
    per_type = [sum(int(s.by_type[i]) for s in shards) for i in range(len(names))]
    counts = {n: sum(s.counts[n] for s in shards) for n in _COUNTS}
    outcomes = {} if run.tables is None else run.tables.decisions.outcomes
    return Totals(counts, dict(zip(names, per_type, strict=True)), outcomes)


def figures_between(old: Totals, new: Totals) -> dict[str, Any]:
    """What was counted between two totals, as JSON values; types and outcomes without any are left out."""
    promotions: dict[str, dict[str, int]] = {}
    for (rule_id, outcome), n in _grown(old.promotions, new.promotions).items():
        promotions.setdefault(rule_id, {})[outcome] = n
    counts = {n: new.counts.get(n, 0) - old.counts.get(n, 0) for n in _COUNTS}
    return {**counts, "by_type": _grown(old.types, new.types), "promotions": promotions}


def _grown(old: Mapping[_Key, int], new: Mapping[_Key, int]) -> dict[_Key, int]:
    return {key: n - old.get(key, 0) for key, n in new.items() if n > old.get(key, 0)}


@dataclass
class Samples:
    """Writes the samples of one run.

    While the store is away nothing is written, and the next sample covers the longer time.

    Attributes:
        store: the result store.
        run_id: of the run.
        totals: what was counted so far.
        clock: seconds, never going back.
    """

    store: Store
    run_id: str
    totals: Callable[[], Totals]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._then, self._last = self.clock(), self.totals()
        self._at = datetime.min.replace(tzinfo=UTC)

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return self.clock() - self._then >= EVERY

    def take(self, behind: float | None, freshness: float | None) -> str | None:
        """Writes what came since the sample before; gives the trouble of a store that is away.

        Args:
            behind: seconds that the watermark is behind the clock.
            freshness: seconds until records are in the tables.
        """
        now, new = self.clock(), self.totals()
        seconds = {"seconds": round(now - self._then, 3)}
        lags = {"behind_s": behind, "freshness_s": freshness}
        figures = {**figures_between(self._last, new), **seconds, **lags}
        at = max(
            datetime.now(UTC), self._at + timedelta(seconds=1)
        )  # one row a second at most: it is the key
        trouble = unless_away(lambda: self._write(at, figures))
        if trouble is None:
            self._then, self._last, self._at = now, new, at
        return trouble

    def _write(self, at: datetime, figures: dict[str, Any]) -> None:
        row = pa.table({"at": [utc_text(at)], "figures": [json_text(figures)]})
        old = {"run_id": self.run_id, "at": utc_text(at - KEPT)}

        def drop_old(connection: Connection) -> None:
            connection.execute(_DROP, old)

        self.store.writer().write(self.run_id, {"run_samples": row}, also=drop_old)
