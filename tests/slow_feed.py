"""A feed for tests that takes its time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from list_feed import ListFeed, ListReader

from callbeam_io.sources.feeds import Chunk, Position


@dataclass
class SlowFeed(ListFeed):
    """A feed that takes a moment for each chunk."""

    pause: float = 0.0
    lateness: int = 86400

    def open(self, split: str, position: Position) -> SlowReader:
        plain = ListFeed.open(self, split, position)
        return SlowReader(self, plain.header, plain.lines, plain.split, plain.at)


class SlowReader(ListReader):
    def poll(self, timeout: float) -> Chunk | None:
        time.sleep(self.feed.pause)
        return super().poll(timeout)
