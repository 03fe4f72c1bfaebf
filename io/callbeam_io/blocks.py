"""Blocks of files: what one step reads, and where its lines stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from callbeam_io import storage
from callbeam_io.formats import typed
from callbeam_io.formats.base import BOM, Table
from callbeam_io.formats.cuts import SPARE, cut_lines
from callbeam_io.formats.jsonlines import one_line_each
from callbeam_io.formats.layout import layout_of
from callbeam_io.linecount import LineCounter
from transforms.errors import RunError
from transforms.schema import origin, with_origin

TEXT: Final = "text"
GZIP: Final = "gzip"
DOCUMENT: Final = "document"
PARQUET: Final = "parquet"
_PIECE: Final = 8 << 20
_ROWS: Final = 1 << 17
_ENDINGS: Final = (".csv", ".txt", ".tsv", ".psv", ".cdr", ".json", ".jsonl", ".log", ".dat", ".gz")
_ROW_LINE: Final = "row_line"
_COUNTER: Final = LineCounter()


@dataclass(frozen=True)
class Block:
    """A part of a file that is read by itself.

    Attributes:
        path: of the file, as given.
        kind: ``text``: the lines that START in [start, end); ``gzip``, ``document`` (one object over many
            lines, or a list of them): the whole file from ``start`` on; ``parquet``: row group ``start``.
        layout: how lines are read (`Layout.settings`); empty for Parquet.
        file_index: position of the file in the input order.
        start: first byte (unpacked), see ``kind``.
        end: byte after the last.
        size: bytes of input that the block stands for.
        aligned: a line begins exactly at ``start``.
        lines_before: lines of the file before ``start``, of a gzip file.
    """

    path: str
    kind: str
    layout: str
    file_index: int
    start: int
    end: int
    size: int
    aligned: bool = False
    lines_before: int = 0

    @property
    def order(self) -> str:
        """Text that sorts as the input order."""
        return f"{self.file_index:06d}:{self.start:015d}"


def read_block(block: Block) -> Iterator[pa.RecordBatch]:
    """The parsed batches of a block, in order (see `transforms.schema`).

    Every batch's metadata holds ``source`` and ``order``. Its rows' lines: in the column ``line``, from
    ``first_line`` of the metadata on, or else counted by `line_numbers`.

    Raises:
        RunError: the file is damaged, or shorter than it was when it was planned.
    """
    return _READERS[block.kind](block)


def read_cut(block: Block) -> Iterator[pa.RecordBatch]:
    """The same, but text may be left in its block where all lines are regular (see `formats.cuts`)."""
    return _read_cut(block) if block.kind == TEXT else read_block(block)


def file_stem(path: str) -> str:
    """A file's name without endings that tell its kind (``.csv.gz``)."""
    name = PurePosixPath(path)
    while name.suffix.lower() in _ENDINGS:
        name = name.with_suffix("")
    return name.name


def _read_text(block: Block) -> Iterator[pa.RecordBatch]:
    start, end = _lines_of(block)
    if start < end:
        yield _parsed(block, start, end, _whole(block, start, end, 0).tobytes())


def _read_cut(block: Block) -> Iterator[pa.RecordBatch]:
    start, end = _lines_of(block)
    if start >= end:
        return
    data = _whole(block, start, end, SPARE)
    batch = cut_lines(data, layout_of(block.layout))
    if batch is None:
        yield _parsed(block, start, end, data[SPARE:-SPARE].tobytes())
    else:
        _COUNTER.note(block.path, start, end, batch.num_rows)
        yield with_origin(batch, source=block.path, order=block.order)


def _lines_of(block: Block) -> tuple[int, int]:
    """The bytes of the lines that start in a block of text."""
    start = block.start if block.aligned else storage.line_start(block.path, block.start)
    return start, storage.line_start(block.path, block.end)


def _whole(block: Block, start: int, end: int, spare: int) -> NDArray[np.uint8]:
    data = storage.read_spaced(block.path, start, end, spare)
    size = len(data) - 2 * spare
    if size < end - start or size < block.end - start:
        raise RunError(f"{block.path} became shorter while it was read: give files that are complete")
    return data


def _parsed(block: Block, start: int, end: int, data: bytes) -> pa.RecordBatch:
    batch, table = layout_of(block.layout).parse(data, file_stem(block.path))
    _COUNTER.note(block.path, start, end, table.lines.count if table.index is None else data.count(b"\n"))
    if table.index is not None:
        batch = batch.append_column(_ROW_LINE, pa.array(table.index))
    return with_origin(batch, source=block.path, order=block.order)


def _read_gzip(block: Block) -> Iterator[pa.RecordBatch]:
    layout, place = layout_of(block.layout), block.start
    line = 1 + block.lines_before
    for data in storage.unpacked(block.path, block.start, _PIECE):
        batch, table = layout.parse(data, file_stem(block.path))
        order = f"{block.file_index:06d}:{place:015d}"
        yield with_origin(_numbered(batch, table, line), source=block.path, order=order)
        place += len(data)
        line += data.count(b"\n")


def _read_document(block: Block) -> Iterator[pa.RecordBatch]:
    data = storage.read_range(block.path, 0, block.end)
    if data.startswith(storage.GZIP_MAGIC):
        data = b"".join(storage.unpacked(block.path, 0, _PIECE))
    batch, table = layout_of(block.layout).parse(one_line_each(data.removeprefix(BOM)), file_stem(block.path))
    yield with_origin(_numbered(batch, table, 1), source=block.path, order=block.order)


def _numbered(batch: pa.RecordBatch, table: Table, first: int) -> pa.RecordBatch:
    """The batch with its lines' numbers, where the block's first line has the number ``first``."""
    if table.index is None:
        return with_origin(batch, first_line=str(first))
    return batch.append_column("line", pa.array(table.index + first))


def _read_parquet(block: Block) -> Iterator[pa.RecordBatch]:
    try:
        with storage.opened(block.path) as file, pq.ParquetFile(file) as parquet:
            columns = typed.chosen(parquet.schema_arrow, block.path)
            groups = [parquet.metadata.row_group(k).num_rows for k in range(block.start)]
            row = sum(groups)
            for batch in parquet.iter_batches(_ROWS, [block.start], list(columns.values())):
                order = f"{block.file_index:06d}:{row:015d}"
                made = typed.renamed(batch, columns)
                yield with_origin(made, source=block.path, order=order, first_line=str(row + 1))
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{block.path} is damaged: {error}") from error


_READERS: Final = {TEXT: _read_text, GZIP: _read_gzip, DOCUMENT: _read_document, PARQUET: _read_parquet}


def line_numbers(
    block: Block, rows: NDArray[np.int64], batch: pa.RecordBatch | None = None
) -> NDArray[np.int64]:
    """Line numbers from 1 of rows of a block's batch.

    Args:
        block: that was read.
        rows: positions in the batch.
        batch: that ``read_block`` gave; None: the block's first one, which is then read again.

    Returns:
        The line (row of Parquet, object of a document) in the file of each.
    """
    batch = next(read_block(block)) if batch is None else batch
    if "line" in batch.schema.names:
        return np.asarray(batch.column("line").take(pa.array(rows)))
    first = origin(batch.schema).get("first_line")
    if first is not None:
        return int(first) + rows
    if _ROW_LINE in batch.schema.names:
        rows = np.asarray(batch.column(_ROW_LINE).take(pa.array(rows)))
    return _first_line(block) + rows


def _first_line(block: Block) -> int:
    """The number of the first line of a block of text."""
    start = block.start if block.aligned else storage.line_start(block.path, block.start)
    return 1 + _COUNTER.before(block.path, start)
