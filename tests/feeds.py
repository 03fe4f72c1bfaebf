"""What the tests of live feeds share: records to send, and reading a feed as the pipeline does."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from callbeam_io.inputs import plan_inputs, read_block
from callbeam_io.sources.feeds import Chunk, SplitReader
from transforms.columns.cuts import cuts_of
from transforms.schema import RECORD_FIELDS, origin

Row = tuple[Any, ...]


def lines(count: int, first: int = 0) -> list[bytes]:
    """Canonical records without a header, ids `first` .. `first + count - 1`."""
    return [
        b"r%d,+12025550%03d,+4930%07d,2025-05-05T%02d:%02d:%02dZ,%d,VOICE,0.25,ANSWERED"
        % (i, i % 500, i, i // 3600 % 24, i // 60 % 60, i % 60, i % 90)
        for i in range(first, first + count)
    ]


def texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the texts that were left in their block as columns."""
    for name, cut in (cuts_of(batch) or {}).items():
        batch = batch.append_column(name, cut.texts().to_arrow())
    return batch


def rows(batch: pa.RecordBatch, *more: str) -> list[Row]:
    """Fields of a parsed batch as texts, what is wrong with it, and columns named besides."""
    names, batch = [*RECORD_FIELDS, "bad_reason", *more], texts(batch)
    columns = [
        batch.column(n).to_pylist() if n in batch.schema.names else [None] * batch.num_rows for n in names
    ]
    return [tuple(None if v is None else str(v) for v in row) for row in zip(*columns, strict=True)]


def file_rows(path: Path, content: bytes, input_format: str = "auto") -> list[Row]:
    """What the batch reader makes of a file with this content."""
    path.write_bytes(content)
    blocks = plan_inputs([str(path)], input_format).blocks
    return [row for block in blocks for batch in read_block(block) for row in rows(batch)]


def read_until(reader: SplitReader, done: Callable[[list[Chunk]], bool], timeout: float = 20) -> list[Chunk]:
    """Polls until `done` with what came; fails after `timeout` seconds."""
    chunks: list[Chunk] = []
    end = time.monotonic() + timeout
    while not done(chunks):
        assert time.monotonic() < end, f"after {timeout} s {count(chunks)} rows; {reader.trouble()}"
        chunk = reader.poll(0.2)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def read_rows(reader: SplitReader, number: int, timeout: float = 20) -> list[Chunk]:
    """Polls until so many rows came."""
    return read_until(reader, lambda chunks: count(chunks) >= number, timeout)


def count(chunks: Iterable[Chunk]) -> int:
    """Rows of some chunks."""
    return sum(chunk.batch.num_rows for chunk in chunks)


def all_rows(chunks: Iterable[Chunk], *more: str) -> list[Row]:
    """Rows of some chunks, see `rows`."""
    return [row for chunk in chunks for row in rows(chunk.batch, *more)]


def column(chunks: Iterable[Chunk], name: str) -> list[Any]:
    """One column of some chunks."""
    return [value for chunk in chunks for value in texts(chunk.batch).column(name).to_pylist()]


def sources(chunks: Sequence[Chunk]) -> list[str]:
    """The source of each chunk."""
    return [origin(chunk.batch.schema)["source"] for chunk in chunks]
