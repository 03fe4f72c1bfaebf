"""Live numbers of a run on an engine that keeps state by itself: of the store, and of what Flink says of the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipelines.flink import FlinkRest
from pipelines.rulebook import seconds_of
from transforms.errors import RunError

_EVERY: Final = 2.0


@dataclass
class DurableStatus:
    """Watches a run from outside: its sources are on the workers.

    Attributes:
        engine: name of the runner.
        job_name: of the job on a Flink cluster.
        rest: the cluster, where there is one to ask.
        clock: seconds since 1970.
    """

    engine: str
    job_name: str
    rest: FlinkRest | None
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._at, self._rows, self._rate = self.clock(), 0, 0.0

    def numbers(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """What a page or a metric shows; JSON values.

        Args:
            run: the run's row.
        """
        now, rows = self.clock(), int(run["records_read"] or 0)
        if now - self._at >= _EVERY:
            self._rate = max(0, rows - self._rows) / (now - self._at)
            self._at, self._rows = now, rows
        mark = None if run["watermark"] is None else seconds_of(run["watermark"])
        found = {
            "engine": self.engine,
            "rate": round(self._rate, 1),
            "rows": rows,
            "watermark_age": None if mark is None else round(now - mark, 1),
            "trouble": None,
        }
        return {**found, **self._of_flink(now)}

    def _of_flink(self, now: float) -> dict[str, Any]:
        """Age and size of the newest checkpoint, how many there were, and the newest trouble."""
        try:
            job = None if self.rest is None else self.rest.job_named(self.job_name)
            if self.rest is None or job is None:
                return {}
            newest = self.rest.newest_checkpoint(job)
            return {
                "job_state": self.rest.state(job),
                "checkpoints": self.rest.checkpoints(job),
                "snapshot_age": None if newest is None else round(now - newest[0], 1),
                "state_bytes": None if newest is None else newest[1],
                "last_trouble": self.rest.trouble(job),
            }
        except RunError as error:
            return {"trouble": str(error)}
