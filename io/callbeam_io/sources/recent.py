"""How many of the newest records were rejects."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

JUDGED: Final = 10_000
"""Records that are judged, or a batch more."""


@dataclass
class RecentRejects:
    """Rows and rejects of the newest batches."""

    _batches: deque[tuple[int, int]] = field(default_factory=deque)

    def note(self, rows: int, rejected: int) -> None:
        """One more batch."""
        self._batches.append((rows, rejected))
        while sum(n for n, _ in self._batches) - self._batches[0][0] >= JUDGED:
            self._batches.popleft()

    @property
    def ratio(self) -> float:
        """Share of rejects, 0 to 1."""
        rows = sum(n for n, _ in self._batches)
        return sum(bad for _, bad in self._batches) / rows if rows else 0.0
