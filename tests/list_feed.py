"""A feed for tests: records from memory, in chunks of a given size, over several splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from callbeam_io.sources.feeds import Chunk, Position

from transforms.schema import with_origin


@dataclass
class ListFeed:
    """CSV text as a live feed: line i goes to split i modulo the number of splits."""

    text: str
    chunk: int = 100
    split_count: int = 1
    lateness: int = 86400 * 365
    accelerated: bool = True
    name: str = "list:"
    endless: bool = False

    def check(self) -> None: ...

    def splits(self) -> Sequence[str]:
        return [str(k) for k in range(self.split_count)]

    def open(self, split: str, position: Position) -> ListReader:
        header, *lines = self.text.splitlines()
        return ListReader(self, header, lines[int(split) :: self.split_count], int(split), position or 0)


@dataclass
class ListReader:
    feed: ListFeed
    header: str
    lines: list[str]
    split: int
    at: int
    committed: int = 0

    def poll(self, timeout: float) -> Chunk | None:
        part = self.lines[self.at : self.at + self.feed.chunk]
        if not part:
            return None
        names = self.header.split(",")
        fields = [(line.split(",") + [None] * len(names))[: len(names)] for line in part]
        columns = {n: pl.Series([f[i] or None for f in fields], dtype=pl.String) for i, n in enumerate(names)}
        wrong = [line.count(",") != len(names) - 1 for line in part]
        columns["bad_field"] = pl.Series(["" if w else None for w in wrong], dtype=pl.String)
        columns["bad_reason"] = pl.Series(["fields" if w else None for w in wrong], dtype=pl.String)
        batch = pl.DataFrame(columns).to_arrow().combine_chunks().to_batches()[0]
        batch = batch.append_column("raw", pa.array([line.encode() for line in part], pa.large_binary()))
        numbers = [str((self.at + i) * self.feed.split_count + self.split + 2) for i in range(len(part))]
        batch = batch.append_column("line", pa.array(numbers, pa.large_string()))
        self.at += len(part)
        return Chunk(with_origin(batch, source=self.feed.name), self.at, sum(map(len, part)))

    def commit(self, position: Position) -> None:
        self.committed = position

    def lag(self) -> int | None:
        return len(self.lines) - self.at

    def trouble(self) -> str | None:
        return None

    def ended(self) -> bool:
        return self.at >= len(self.lines) and not self.feed.endless

    def close(self) -> None: ...
