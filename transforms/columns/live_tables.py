"""From what live shards say to rows of result tables: the sums over shards of what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.analysis import empty_subscribers
from transforms.columns.cells import (
    CellSums,
    Layout,
    cells_table,
    from_cells_table,
    template_rows,
    window_totals,
    windows_to_write,
)
from transforms.columns.contact import SPAN, best_span
from transforms.columns.live import LivePlan
from transforms.columns.rules.promotions import apply_max_total
from transforms.columns.subscribers import HOURS
from transforms.columns.templates import Reference


@dataclass
class Decisions:
    """Promotions on their way to the store: let go once every shard has decided their pane end.

    ``max_total`` is counted here, in the order of pane ends and subscribers.

    Attributes:
        shards: number of shards.
        offered: promotions offered so far by rule.
        outcomes: firings that this process let go, by rule and outcome; replaced as a whole.
        floor: second of the last pane end whose promotions are in the store already: after a restart, rows at
            or before it are dropped.
        limits: ``max_total`` by rule and version, as the shards told with their promotions.
    """

    shards: int
    offered: dict[str, int] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)
    floor: int = -(1 << 62)
    limits: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._decided: dict[int, int] = {}
        self._waiting: list[pa.Table] = []
        self._given: pa.Table | None = None

    def put(self, shard: int, decided: int, rows: pa.Table | None) -> None:
        """What a shard decided until a pane end."""
        self._decided[shard] = max(decided, self._decided.get(shard, decided))
        if rows is not None:
            self._waiting.append(rows)

    def catch_up(self, floor: int | None, offered: Mapping[str, int], given: pa.Table | None = None) -> None:
        """At the start, and after a restart: what is ready was let go before, and what the store has counts.

        Args:
            floor: the last pane end (second) whose promotions are in the store; None: none yet.
            offered: how many there are in the store by rule_id, those of earlier runs that were delivered too.
            given: keys of the latter after ``floor``, see `apply_max_total`: the run may come to them as well.
        """
        self.take()
        self._given = given
        if floor is not None:
            self.floor, self.offered = max(floor, self.floor), dict(offered)
        else:
            self.offered = {**offered, **self.offered}

    def saved(self) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        """All of it, as a header and tables."""
        limits = [[*rule, most] for rule, most in self.limits.items()]
        header = {"floor": self.floor, "offered": self.offered, "limits": limits}
        decided = [[shard, second] for shard, second in self._decided.items()]
        waiting = {"promotions": pa.concat_tables(self._waiting)} if self._waiting else {}
        return {"decisions": {**header, "decided": decided}}, waiting

    def restore(self, header: Mapping[str, Any], waiting: pa.Table | None) -> None:
        """Sets it to what `saved` gave; more may have been put already."""
        self.floor, self.offered = header["floor"], dict(header["offered"])
        self.limits |= {(rule, version): most for rule, version, most in header["limits"]}
        for shard, second in header["decided"]:
            self.put(shard, second, None)
        self._waiting += [] if waiting is None else [waiting]

    def take(self) -> pa.Table | None:
        """The promotions that all shards have decided; None where there are none."""
        if not self._waiting or len(self._decided) < self.shards:
            return None
        ready = min(self._decided.values())
        rows = pa.concat_tables(self._waiting)
        at = rows.column("decided_at").to_numpy().astype("datetime64[s]").astype(np.int64)
        out = rows.filter(pa.array((at <= ready) & (at > self.floor)))
        later = rows.filter(pa.array(at > ready))
        self._waiting = [later] if later.num_rows else []
        self.floor = max(self.floor, ready)
        if not out.num_rows:
            return None
        out, self.offered = apply_max_total(out, self.limits, self.offered, self._given)
        self._note(out)
        return out

    def _note(self, rows: pa.Table) -> None:
        found = pl.DataFrame(pl.from_arrow(rows.select(["rule_id", "outcome"])))
        outcomes = dict(self.outcomes)
        for rule_id, outcome, n in found.group_by("rule_id", "outcome").len().iter_rows():
            outcomes[rule_id, outcome] = outcomes.get((rule_id, outcome), 0) + n
        self.outcomes = outcomes


@dataclass
class LiveTables:
    """What the last step remembers of all shards.

    Shards send absolute values, so that a message that comes twice changes nothing.
    """

    live: LivePlan
    reference: Reference
    shards: int
    splits: int = 1
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    ends: set[tuple[int, str]] = field(default_factory=set)
    entries: int = 0  # of the engine's copy, see `transforms.live`

    def __post_init__(self) -> None:
        self.layout = Layout.of(self.live.plan.groups, self.reference, self.live.plan.window)
        self._cells = [CellSums() for _ in range(self.shards)]
        self._population = np.zeros((self.shards, HOURS), np.int64)
        self._pending: list[NDArray[np.int64]] = []
        self._marks: dict[int, int] = {}
        self.times: dict[int, int] = {}  # each shard's watermark in seconds
        self.version = 0  # of the engine's copy
        self.decisions = Decisions(self.shards)

    def put(self, shard: int, cells: pa.Table, *, quiet: bool = False) -> None:
        """Takes the changed cells of a shard; ``quiet``: their windows are written already."""
        if cells.num_rows:
            values = from_cells_table(cells)
            self._cells[shard].put(*values)
            if not quiet:
                self._pending.append(values[0])

    def put_counts(self, shard: int, counts: dict[str, int], population: list[int]) -> None:
        """Takes the records by fate and the interactions by hour of a shard, both absolute."""
        self.counts[shard] = counts
        self._population[shard] = population

    @property
    def ended(self) -> bool:
        """Whether every shard has heard the end of every split."""
        return len(self.ends) == self.shards * self.splits

    @property
    def time(self) -> int | None:
        """The least watermark of the shards in seconds; None before each has told one."""
        return min(self.times.values()) if len(self.times) == self.shards else None

    def header_of(self, shard: int) -> dict[str, object]:
        """What is known of a shard besides its cells, as it would say it again."""
        counts, population = self.counts[shard], self._population[shard].tolist()
        return {"shard": shard, "counts": counts, "population": population, "time": self.times.get(shard)}

    def cells_of(self, shard: int) -> pa.Table:
        """All cells of a shard, absolute."""
        return cells_table(*self._cells[shard].all())

    def rows(self) -> dict[str, pl.DataFrame]:
        """Rows of T1, T2, T3 and the type graph for every window with a changed cell."""
        if not self._pending:
            return {}
        changed = np.unique(np.concatenate(self._pending))
        self._pending = []
        totals = window_totals(windows_to_write(changed, self.layout), self.layout, self._cells)
        for cells in self._cells:
            cells.take_changed()
        return template_rows(totals, self.layout, self.reference)

    def subscriber_rows(self, rows: pl.DataFrame, hours: NDArray[np.uint32]) -> pl.DataFrame:
        """Rows of ``subscribers`` with the contact span that follows from what is known of everybody now.

        The hit rate needs the whole history in order and is left to batch runs, like the cluster.
        """
        if not rows.height:
            return empty_subscribers()
        start = best_span(hours, self._population.sum(axis=0))
        return rows.with_columns(
            pl.Series("contact_from", start.astype(np.int64)),
            pl.Series("contact_to", ((start + SPAN) % HOURS).astype(np.int64)),
        )

    def total_counts(self) -> dict[str, int]:
        """Records by fate over all shards, and those that came after a decision they would have counted in."""
        names = {n for c in self.counts.values() for n in c}
        return {n: sum(c.get(n, 0) for c in self.counts.values()) for n in sorted(names)}

    def advance(self, shard: int, watermark: int) -> None:
        """A shard's watermark in seconds: windows that no shard can change any more are forgotten.

        What a shard has not shown yet may be as old as the watermark it was last heard with.
        """
        window = self.live.plan.window
        self._marks[shard] = max(watermark, self._marks.get(shard, watermark))
        if not window.cumulative and len(self._marks) == self.shards:
            oldest = (min(self._marks.values()) - self.live.lateness - window.size) // self.layout.step
            for cells in self._cells:
                cells.drop_before(oldest)
