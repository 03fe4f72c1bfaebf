"""A feed for tests: records from memory, in chunks of a given size, over several splits."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from callbeam_io.inputs import plan_inputs, read_block
from callbeam_io.sources.feeds import Chunk, Position
from transforms.schema import with_origin


@dataclass
class ListFeed:
    """CSV text as a live feed: line i goes to split i modulo the number of splits."""

    text: str
    chunk: int = 100
    split_count: int = 1
    lateness: int = 86400 * 365
    accelerated: bool = False
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
        payload = "\n".join([self.header, *part]).encode()
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            file.write(payload)
            file.flush()
            (batch,) = [b for block in plan_inputs([file.name]).blocks for b in read_block(block)]
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
