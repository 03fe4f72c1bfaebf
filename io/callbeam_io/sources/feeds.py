"""What a live feed is: splits that are read in order, each with a position to go on from.

A feed knows nothing of Beam, windows or cleaning: it gives parsed batches. Watermarks, lateness, read-ahead
and Beam's `UnboundedSource` are built on top of it once, for all feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Position = Any
"""A JSON value that says where a split goes on; None: its beginning."""


@dataclass(frozen=True)
class Chunk:
    """Some records of one split, in the split's order.

    Attributes:
        batch: a parsed batch (`transforms.schema`) of up to about 50,000 rows; its metadata has ``source``
            and it has a column ``line`` (text) with line numbers, offsets or message ids (``17#2``). It may
            have no rows (a message without records): the position moves all the same.
        position: where to go on after these records.
        size: bytes read for it.
    """

    batch: pa.RecordBatch
    position: Position
    size: int


class SplitReader(Protocol):
    """Reads one split in order, from one thread."""

    def poll(self, timeout: float) -> Chunk | None:
        """The next records; None when nothing came within ``timeout`` seconds.

        Raises:
            StoreError, RunError: for what does not mend itself. What does (a broker that is away) is waited
            for inside, and shown by `trouble`.
        """

    def commit(self, position: Position) -> None:
        """Everything before ``position`` is saved by the pipeline: acknowledge it, delete it, or do nothing.

        Called again and again, from another thread than `poll`, also with positions seen before.
        """

    def lag(self) -> int | None:
        """Records (messages, files) that wait behind the position; None when unknown. Any thread."""

    def trouble(self) -> str | None:
        """What keeps the split from being read right now, in words, without secrets; None: nothing."""

    def ended(self) -> bool:
        """Whether the split is finite and all of it was read."""

    def close(self) -> None:
        """Lets go of connections and files."""


class Feed(Protocol):
    """One live ``--input``; picklable, without connections of its own."""

    @property
    def name(self) -> str:
        """The input as given, without secrets: a key of stored positions."""

    @property
    def lateness(self) -> int:
        """Default of ``--allowed_lateness`` in seconds: 3600, or 86400 where order is loose."""

    @property
    def accelerated(self) -> bool:
        """Whether stamps may run ahead of the clock by design (``--max_ahead none``)."""

    def check(self) -> None:
        """Raises `InputError` when the feed cannot be reached or read, within a few seconds."""

    def splits(self) -> Sequence[str]:
        """Names of the splits (partitions), stable from run to run; asked once at the start."""

    def open(self, split: str, position: Position) -> SplitReader:
        """A reader that goes on at a position."""


FeedFactory = Callable[[str, str, str], Feed]
"""``(input, input_format, timezone) -> Feed``; raises `InputError` for an input that cannot be."""
