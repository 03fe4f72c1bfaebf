"""How often something costly is done: the more it costs, the longer it rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

FREE: Final = 0.1
"""Seconds of processor time that cost no rest."""
RATIO: Final = 6.0
"""How many times as long as it worked it rests."""
LONGEST: Final = 5.0
"""Seconds that it rests at the most."""


@dataclass
class Pace:
    """When work is due again.

    Attributes:
        clock: seconds that pass.
        work_clock: seconds that this thread works.
    """

    clock: Callable[[], float] = time.monotonic
    work_clock: Callable[[], float] = time.thread_time
    _due: float = float("-inf")

    @property
    def rests(self) -> bool:
        """Whether it is too early."""
        return self.clock() < self._due

    @contextmanager
    def work(self) -> Iterator[None]:
        """Measures the work inside the block; it sets when it is due again."""
        begun = self.work_clock()
        try:
            yield
        finally:
            spent = self.work_clock() - begun
            if spent > FREE:
                self._due = self.clock() + min(RATIO * spent, LONGEST)
