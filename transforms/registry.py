"""Live state in this process: for engines that run here and keep nothing durable by themselves."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from transforms.columns.decisions import RuleBook
from transforms.columns.live import LiveShard
from transforms.columns.live_tables import LiveTables


@dataclass
class Flow:
    """How many packets are on their way between the steps; all zero: every element was worked to its end.

    Each step counts what it takes as done only after it has counted what it gives as begun, so that a packet
    is never out of sight.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    done: int = 0

    def begin(self, n: int = 1) -> None:
        """Some packets were given to the next step."""
        with self._lock:
            self.begun += n

    def finish(self, n: int = 1) -> None:
        """Some packets were worked off."""
        with self._lock:
            self.done += n

    @property
    def under_way(self) -> int:
        """Packets between steps."""
        with self._lock:
            return self.begun - self.done


@dataclass
class LiveRun:
    """The shards, the last step's tables and the flow of one run.

    ``book`` holds the rules that are on; it is replaced as a whole. ``quiet_ticks``: the ``order`` of ticks that
    brought nothing to show.
    """

    shards: dict[int, LiveShard] = field(default_factory=dict)
    tables: LiveTables | None = None
    flow: Flow = field(default_factory=Flow)
    book: RuleBook = field(default_factory=RuleBook)
    quiet_ticks: deque[str] = field(default_factory=deque)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def shard(self, number: int, make: Callable[[], LiveShard]) -> LiveShard:
        """A shard, made when it is first asked for."""
        with self.lock:
            if number not in self.shards:
                self.shards[number] = make()
            return self.shards[number]

    def last(self, make: Callable[[], LiveTables]) -> LiveTables:
        """The tables of the last step, made when they are first asked for."""
        with self.lock:
            if self.tables is None:
                self.tables = make()
            return self.tables


_RUNS: dict[str, LiveRun] = {}
_LOCK = threading.Lock()


def live_run(run_id: str) -> LiveRun:
    """The live state of a run in this process."""
    with _LOCK:
        return _RUNS.setdefault(run_id, LiveRun())


def forget(run_id: str) -> None:
    """Frees the state of a run that ended."""
    with _LOCK:
        _RUNS.pop(run_id, None)
