"""How fresh the tables are: from a record's being read until the rows that hold it are committed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

SPAN: Final = 60.0
"""Seconds that the figures look back."""


@dataclass(frozen=True)
class _Batch:
    """Records that were read at one moment."""

    at: float
    rows: int


@dataclass(frozen=True)
class _Shown:
    """When a batch was in the tables, how old it was then, and how many records it had."""

    at: float
    age: float
    rows: int


IDLE_REST: Final = 1.0
"""Seconds of rest after a tick where no record waits."""


@dataclass
class Freshness:
    """The ticks of a run on their way to the store, and how old records are when they arrive there.

    A tick shows every record that was given to the pipeline before it. The next one has to wait until the rows of
    the one before are committed, and then for as long again as these took: where there is more to write than can
    be written, rows are shown less often in place of waiting in line. Where no record waits to be read, a second
    of rest is enough.

    Attributes:
        clock: seconds, never going back.
    """

    clock: Callable[[], float] = time.monotonic
    _waiting: list[_Batch] = field(default_factory=list)
    _under_way: dict[str, tuple[float, list[_Batch]]] = field(default_factory=dict)
    _shown: deque[_Shown] = field(default_factory=deque)
    _committed: float = float("-inf")
    _took: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def given(self, read_at: float, rows: int) -> None:
        """Records that were read at a moment were given to the pipeline."""
        with self._lock:
            self._waiting.append(_Batch(read_at, rows))

    def ticked(self, order: str) -> None:
        """A tick follows what was given."""
        with self._lock:
            self._under_way[order], self._waiting = (self.clock(), self._waiting), []

    def committed(self, order: str) -> None:
        """All that a tick brought is in the store; called from any thread."""
        with self._lock:
            now = self.clock()
            begun, batches = self._under_way.pop(order, (now, []))
            self._committed, self._took = now, now - begun
            self._shown.extend(_Shown(now, now - b.at, b.rows) for b in batches)
            while self._shown and self._shown[0].at < now - SPAN:
                self._shown.popleft()

    def free(self, *, idle: bool = False) -> bool:
        """Whether it is time for another tick; ``idle``: nothing else is to be done."""
        with self._lock:
            rest = min(self._took, IDLE_REST) if idle else self._took
            return not self._under_way and self.clock() >= self._committed + rest

    @property
    def waited(self) -> float:
        """Seconds that the oldest tick has been under way."""
        with self._lock:
            return max((self.clock() - begun for begun, _ in self._under_way.values()), default=0.0)

    def age(self, *shares: float) -> list[float | None]:
        """Seconds that the given shares of the records of the last minute took at most; None where none came."""
        with self._lock:
            since = self.clock() - SPAN
            shown = sorted((s.age, s.rows) for s in self._shown if s.at >= since and s.rows)
        if not shown:
            return [None] * len(shares)
        counted = np.cumsum([rows for _, rows in shown])
        at = np.searchsorted(counted, [share * counted[-1] for share in shares])
        return [round(shown[min(int(i), len(shown) - 1)][0], 3) for i in at]
