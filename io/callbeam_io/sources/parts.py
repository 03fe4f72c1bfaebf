"""One landed file as a row of small batches, from any place on; what cannot be read becomes a reject."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from callbeam_io.inputs import Block, line_numbers, plan_inputs, read_cut
from transforms.errors import InputError, RunError
from transforms.schema import with_origin

BLOCK_BYTES: Final = 4 << 20
MOST_ROWS: Final = 65_536
_LOG: Final = logging.getLogger(__name__)
_WHOLE_FILE: Final = "0"
"""The line of a reject that stands for a file; lines count from 1."""


@dataclass(frozen=True)
class Part:
    """Rows of one file, and where the next ones are.

    Attributes:
        batch: a parsed batch of up to `MOST_ROWS` rows, with the column ``line`` as text.
        block: number of the block that goes on ...
        row: ... behind so many of its rows.
        size: bytes that were read for it.
    """

    batch: pa.RecordBatch
    block: int
    row: int
    size: int


def file_parts(path: Path, input_format: str, timezone: str, block: int = 0, row: int = 0) -> Iterator[Part]:
    """The rows of a file from a place on, in order.

    A file that cannot be read, or not to its end, ends in one row with ``bad_reason``; one that is not there
    any more has no rows.

    Args:
        path: the file.
        input_format: as ``--input_format``.
        timezone: as ``--timezone``.
        block: go on in this block ...
        row: ... behind so many of its rows.
    """
    number = block
    try:
        plan = plan_inputs([str(path)], input_format, block_bytes=BLOCK_BYTES, timezone=timezone)
        for note in plan.notes:
            _LOG.warning("%s", note)
        for number, one in enumerate(plan.blocks[block:], start=block):
            yield from _block_parts(one, number, row if number == block else 0)
    except FileNotFoundError:
        _LOG.warning("%s is gone before it was read to its end: passed over", path)
    except (InputError, RunError, OSError) as error:
        if path.exists():
            yield Part(unreadable(str(path), str(error)), number + 1, 0, 0)
        else:
            _LOG.warning("%s is gone before it was read to its end: passed over", path)


def unreadable(source: str, reason: str) -> pa.RecordBatch:
    """A batch whose one row says why a file could not be read."""
    columns = {"line": _WHOLE_FILE, "bad_field": "", "bad_reason": reason, "raw": b""}
    return with_origin(pa.RecordBatch.from_pylist([columns]), source=source)


def _block_parts(block: Block, number: int, skip: int) -> Iterator[Part]:
    before, size = 0, block.size
    for batch in read_cut(block):
        for first in range(max(0, skip - before), batch.num_rows, MOST_ROWS):
            rows = np.arange(first, min(first + MOST_ROWS, batch.num_rows))
            lines = pa.array(line_numbers(block, rows, batch)).cast(pa.string())
            part = _with_lines(batch.slice(first, len(rows)), lines)
            yield Part(part, number, before + first + len(rows), size)
            size = 0
        before += batch.num_rows


def _with_lines(batch: pa.RecordBatch, lines: pa.Array) -> pa.RecordBatch:
    kept = [name for name in batch.schema.names if name not in ("line", "row_line")]
    return batch.select(kept).append_column("line", lines)
