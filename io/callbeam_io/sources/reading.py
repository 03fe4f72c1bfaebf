"""The parts of reading ahead: feeds with their lateness, batches on their way to elements, and one split's state."""

from __future__ import annotations

import queue
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from callbeam_io.sources.feeds import Feed, Position, SplitReader


class Ready(Protocol):
    """A cleaned batch."""

    @property
    def rows(self) -> int:
        """Records read."""

    @property
    def rejected(self) -> int:
        """Records that were not taken."""

    @property
    def greatest(self) -> int | None:
        """Greatest start in microseconds."""


class Preparer(Protocol):
    """How parsed batches become elements; see `transforms.cleaning.Prepare`."""

    def clean(self, batch: pa.RecordBatch) -> Any:
        """The heavy part; on any thread."""

    def finish(self, ready: Any, horizon: int | None, header: dict[str, Any]) -> Any:
        """The element of a batch; what started before ``horizon`` is late."""


@dataclass(frozen=True)
class LiveFeed:
    """A feed with how late its records may be (seconds)."""

    feed: Feed
    lateness: int


@dataclass
class Split:
    """One split with its reader, its thread's queue of batches that are being cleaned, and where it is."""

    feed: int
    name: str
    reader: SplitReader
    position: Position
    queue: queue.Queue[tuple[Future[Any], Position, float]]
    watermark: int | None = None
    heard: float = 0.0
    ended: bool = False
    rows: int = 0

    @property
    def clean(self) -> bool:
        """Whether the first batch that waits is cleaned."""
        return self.queue.queue[0][0].done()


@dataclass
class Element:
    """What the reader gives: an element for the pipeline, how many records were read for it, and when (seconds of
    the reader's clock; None where there are no records)."""

    value: Any
    rows: int
    read_at: float | None = None
