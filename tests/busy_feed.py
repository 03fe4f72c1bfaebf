"""A feed for tests that is as fast as memory: the same batch again and again, under new ids."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from callbeam_io.inputs import plan_inputs, read_block
from callbeam_io.sources.feeds import Chunk, Position
from transforms.schema import with_origin


def csv_text(rows: int) -> str:
    """Good records of 500 subscribers within a week."""
    lines = ["id,calling_number,called_number,start_time,duration,call_type,charge,call_result"]
    for i in range(rows):
        start = f"2026-02-{1 + i % 7:02d}T{i % 24:02d}:{i % 60:02d}:00Z"
        result = "ANSWERED" if i % 5 else "NO_ANSWER"
        number = f"+1202555{i % 500:04d},+1202556{i % 731:04d}"
        lines.append(f"{i},{number},{start},{i % 300},{'SMS' if i % 11 == 0 else 'VOICE'},0.5,{result}")
    return "\n".join([*lines, ""])


@lru_cache(maxsize=4)
def parsed(rows: int) -> pa.RecordBatch:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(csv_text(rows).encode())
        file.flush()
        (batch,) = [b for block in plan_inputs([file.name]).blocks for b in read_block(block)]
    return batch


@dataclass(frozen=True)
class BusyFeed:
    """``batches`` batches of ``rows`` records in each split; ``pause`` seconds before each."""

    rows: int = 20_000
    batches: int = 30
    split_count: int = 2
    pause: float = 0.0
    lateness: int = 86400 * 365
    accelerated: bool = False
    name: str = "busy:"

    def check(self) -> None: ...

    def splits(self) -> Sequence[str]:
        return [str(k) for k in range(self.split_count)]

    def open(self, split: str, position: Position) -> BusyReader:
        return BusyReader(self, split, position or 0)

    @property
    def copies(self) -> int:
        """How often each record comes, under different ids."""
        return self.batches * self.split_count


@dataclass
class BusyReader:
    feed: BusyFeed
    split: str
    at: int
    committed: list[int] = field(default_factory=list)

    def poll(self, timeout: float) -> Chunk | None:
        if self.ended():
            return None
        time.sleep(self.feed.pause)
        batch = parsed(self.feed.rows)
        place = batch.schema.get_field_index("id")
        ids = batch.column(place).cast(pa.string())
        fresh = pc.binary_join_element_wise(f"{self.split}-{self.at}", ids, "-")
        batch = batch.set_column(place, "id", fresh.cast(batch.schema.field(place).type))
        self.at += 1
        return Chunk(with_origin(batch, source=self.feed.name), self.at, batch.nbytes)

    def commit(self, position: Position) -> None:
        self.committed.append(position)

    def lag(self) -> int | None:
        return (self.feed.batches - self.at) * self.feed.rows

    def trouble(self) -> str | None:
        return None

    def ended(self) -> bool:
        return self.at >= self.feed.batches

    def close(self) -> None: ...
