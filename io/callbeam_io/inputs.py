"""Inputs: from what ``--input`` names to blocks that are read in parallel.

Everything that can be wrong with an input is found by `plan_inputs`, before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from callbeam_io import storage
from callbeam_io.blocks import DOCUMENT, GZIP, PARQUET, TEXT, Block, line_numbers, read_block, read_cut
from callbeam_io.discover import PARQUET_MAGIC, File, find_files, read_head
from callbeam_io.formats import ARROW, AUTO, detect, format_named
from callbeam_io.formats import PARQUET as PARQUET_NAME
from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.layout import Layout, lay_out
from callbeam_io.formats.typed import chosen
from transforms.errors import InputError

__all__ = ["Block", "Plan", "line_numbers", "plan_inputs", "read_block", "read_cut"]

_HAS_OFFSET: Final = r"(?:[Zz]|[+-]\d\d:?\d\d|[+-]\d\d)\s*$"
_SAMPLE: Final = 10  # lines of a file without a header that must not all be of a wrong shape


@dataclass(frozen=True)
class Plan:
    """What will be read.

    Attributes:
        files: paths in input order.
        blocks: all parts of all files, in input order.
        bytes: size of the files together, packed ones as they are.
        assumed: what was taken for granted, for the summary (zones of stamps).
        notes: what was passed over.
        format_names: of the files, each once.
    """

    files: list[str]
    blocks: list[Block]
    bytes: int
    assumed: list[str]
    notes: list[str]
    format_names: list[str]


@dataclass(frozen=True)
class _Planned:
    """One file: its blocks, its format's name, what was assumed, why it is passed over."""

    name: str
    blocks: list[Block]
    assumed: str = ""
    skip: str = ""


def plan_inputs(
    inputs: Sequence[str], input_format: str = AUTO, *, block_bytes: int = 8 << 20, timezone: str = "UTC"
) -> Plan:
    """Finds the files, tells their formats, opens and checks each.

    Args:
        inputs: files, globs, folders; ``gs://`` paths.
        input_format: ``auto``, a format's name or the path of a mapping file.
        block_bytes: size of the parts that big files of text are cut into.
        timezone: ``--timezone``, for what is assumed.

    Raises:
        InputError: something is missing, cannot be read or is of no known format.
    """
    named = format_named(input_format)
    files, notes = find_files(inputs)
    planned: list[_Planned] = []
    taken: list[File] = []
    for file in files:
        one = _plan_file(file, input_format, named, len(taken), block_bytes, timezone)
        if one.skip:
            notes.append(f"{file.path} holds {one.skip}: passed over")
            continue
        planned.append(one)
        taken.append(file)
    return Plan(
        files=[file.path for file in taken],
        blocks=[block for one in planned for block in one.blocks],
        bytes=sum(file.size for file in taken),
        assumed=list(dict.fromkeys(one.assumed for one in planned if one.assumed)),
        notes=notes,
        format_names=list(dict.fromkeys(one.name for one in planned)),
    )


def _plan_file(
    file: File, wanted: str, named: Format | None, index: int, block_bytes: int, timezone: str
) -> _Planned:
    magic, head = read_head(file)
    typed = magic == PARQUET_MAGIC
    _check_wanted(file, wanted, typed=typed)
    if typed:
        return _plan_parquet(file, index, timezone)
    found = named or detect(head)
    if skip := found.skip(head):
        return _Planned(found.name, [], skip=skip)
    layout, start = lay_out(found.mapping_of(head), head)
    _check_shape(layout, head, start)
    kind = _kind(layout, head, packed=magic.startswith(storage.GZIP_MAGIC))
    first = Block(
        path=file.path,
        kind=kind,
        layout=layout.settings(),
        file_index=index,
        start=start + head.bom,
        end=file.size,
        size=file.size,
        aligned=True,
        lines_before=head.data[:start].count(b"\n"),
    )
    blocks = _cut(first, block_bytes) if kind == TEXT else [first]
    return _Planned(found.name, blocks, _assumed(layout, head, start, timezone))


def _check_wanted(file: File, wanted: str, *, typed: bool) -> None:
    """A file is Parquet where Parquet is wanted, and nowhere else."""
    if wanted == ARROW:
        raise InputError("--input_format arrow is for messages", "parquet for files of typed columns")
    if typed and wanted not in (AUTO, PARQUET_NAME):
        raise InputError(f"{file.path} is Parquet", f"format {wanted}", "give --input_format auto or parquet")
    if not typed and wanted == PARQUET_NAME:
        raise InputError(
            f"{file.path} is no Parquet file", "one that begins with PAR1", "give another format"
        )


def _cut(whole: Block, block_bytes: int) -> list[Block]:
    """A file of text in parts of about the same size."""
    starts = range(whole.start, max(whole.end, whole.start + 1), max(block_bytes, 1))
    return [
        replace(
            whole,
            start=start,
            end=min(start + block_bytes, whole.end),
            size=min(start + block_bytes, whole.end) - (start if start > whole.start else 0),
            aligned=start == whole.start,
        )
        for start in starts
    ]


def _kind(layout: Layout, head: Head, *, packed: bool) -> str:
    """How a file of text is read: JSON that does not stand on lines only as a whole."""
    if layout.mapping.lines == "json" and head.lines:
        first, second = head.lines[0].strip(), "".join(head.lines[1:2]).strip()
        if first.startswith("[") or (
            first.startswith("{") and not second.startswith("{") and not _whole(first)
        ):
            return DOCUMENT
    return GZIP if packed else TEXT


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_shape(layout: Layout, head: Head, start: int) -> None:
    """A file without a header must have lines of the right shape among its first ones."""
    if layout.has_header or layout.mapping.lines != "csv":
        return
    faults = layout.table(_whole_lines(head, start)).faults
    if faults is not None and len(faults) >= _SAMPLE and faults.null_count() == 0:
        raise InputError(
            f"{head.path} is not of format {layout.name}: {faults[0]} on its first line",
            f"fields separated by {layout.mapping.separator!r}",
            "name the right format or mapping with --input_format",
        )


def _whole_lines(head: Head, start: int) -> bytes:
    data = head.data[start:]
    return data if head.whole else data[: data.rfind(b"\n") + 1]


def _assumed(layout: Layout, head: Head, start: int, timezone: str) -> str:
    """What has to be taken for granted about the zone of a file's stamps."""
    batch, _ = layout.parse(_whole_lines(head, start), "")
    return _zone_of(batch.schema.field("start_time").type, batch.column("start_time"), layout.name, timezone)


def _zone_of(kind: pa.DataType, column: pa.Array, name: str, timezone: str) -> str:
    local = f"{name}: stamps without a zone are in {timezone} (--timezone)"
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return f"{name}: the local time of stamps in UTC is that of {timezone} (--timezone)"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return local
    texts = pl.Series(pl.from_arrow(column)).drop_nulls()
    return "" if texts.str.contains(_HAS_OFFSET).all() else local


def _plan_parquet(file: File, index: int, timezone: str) -> _Planned:
    """A block for each row group."""
    try:
        with storage.opened(file.path) as opened, pq.ParquetFile(opened) as parquet:
            columns = chosen(parquet.schema_arrow, file.path)
            kind = parquet.schema_arrow.field(columns["start_time"]).type
            groups = [parquet.metadata.row_group(k) for k in range(parquet.num_row_groups)]
            sizes = [sum(g.column(c).total_compressed_size for c in range(g.num_columns)) for g in groups]
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file.path} is no readable Parquet file ({error})", "a whole file") from error
    blocks = [
        Block(file.path, PARQUET, "", index, start=k, end=k + 1, size=size) for k, size in enumerate(sizes)
    ]
    typed = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    assumed = _zone_of(kind, pa.array([], kind), PARQUET_NAME, timezone) if typed else ""
    return _Planned(PARQUET_NAME, blocks, assumed)
