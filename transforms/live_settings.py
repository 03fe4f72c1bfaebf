"""What the live steps need to know; picklable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from transforms.columns.decisions import RuleBook
from transforms.columns.live import LivePlan, LiveShard
from transforms.columns.live_tables import LiveTables
from transforms.columns.templates import Reference
from transforms.registry import LiveRun, live_run


class Rulings(Protocol):
    """What the steps on workers ask about rules; picklable, asked from any thread."""

    def book(self) -> RuleBook:
        """The rules as they were a moment ago, and until when they may be decided."""

    def last_book(self) -> RuleBook:
        """The rules once no more activations can follow; waits for it."""

    def decided(self) -> tuple[int | None, Mapping[str, int], pa.Table | None]:
        """What the store has of this run and of deliveries of earlier ones: what `Decisions.catch_up` takes."""


@dataclass(frozen=True)
class LiveSettings:
    """What the live steps need; picklable.

    Attributes:
        run_id: of the run.
        live: templates, windows, lateness.
        reference: gives types and directory; called on the worker, must cache.
        shards: number of shards.
        splits: number of readers that send elements.
        durable: the engine keeps state: put all of it into Beam's state. Else it stays in this process and
            the run saves it.
        rulings: the rules on workers elsewhere; None: they are in this process's `LiveRun`.
    """

    run_id: str
    live: LivePlan
    reference: Callable[[], Reference]
    shards: int
    splits: int
    durable: bool
    rulings: Rulings | None = None

    def new_shard(self) -> LiveShard:
        """An empty shard."""
        return LiveShard(self.live, self.reference())

    def new_tables(self) -> LiveTables:
        """The last step's memory, empty."""
        return LiveTables(self.live, self.reference(), self.shards, self.splits)

    def run(self) -> LiveRun:
        """This process's state of the run."""
        return live_run(self.run_id)
