"""What all formats share: the head of a file, the description of a format, a block's text by column."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from callbeam_io.formats.lines import Lines

if TYPE_CHECKING:
    from callbeam_io.formats.mapping import Mapping

HEAD_BYTES: Final = 1 << 16
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
        path: as given.
        data: the first bytes, unpacked, without a byte order mark.
        whole: the file has no more than these.
        bom: length of the byte order mark that stood before them.
    """

    path: str
    data: bytes
    whole: bool
    bom: int = 0

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return PurePosixPath(self.path).name

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The first lines that are not empty, at most 50, complete ones only."""
        cut = self.data if self.whole else self.data[: self.data.rfind(b"\n") + 1]
        texts = (line.removesuffix("\r") for line in cut.decode("utf-8", "replace").split("\n"))
        return tuple(line for line in texts if line)[:50]

    def rows(self, separator: str, quote: str | None = '"') -> list[list[str]]:
        """The first lines, split into fields, blanks round them removed."""
        return [split_fields(line, separator, quote) for line in self.lines]

    def header(self, separator: str = ",") -> tuple[str, ...]:
        """The first line as column names in lower case."""
        first = self.rows(separator)[:1]
        return tuple(name.lower() for row in first for name in row)

    def has_columns(self, *names: str, separator: str = ",") -> bool:
        """Whether the first line names all of these columns, in any case."""
        return set(names) <= set(self.header(separator))


def split_fields(line: str, separator: str, quote: str | None = '"') -> list[str]:
    """Fields of one line, blanks round them removed."""
    try:
        row = next(csv.reader([line], delimiter=separator, **quoting(quote)), [])  # type: ignore[arg-type]
    except csv.Error:
        row = line.split(separator)
    return [field.strip() for field in row]


def quoting(quote: str | None) -> dict[str, object]:
    """The arguments of `csv.reader` for a quote character or none."""
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}


@dataclass(frozen=True)
class Format:
    """A format by name.

    Attributes:
        name: what ``--input_format`` calls it.
        title: whose format it is, for lists and messages.
        sniff: whether a file that begins like this is one.
        mapping: how such a file is read; where files differ, a function that raises InputError for a file
            that is not one.
        skip: why such a file is to be passed over, empty where it is not.
    """

    name: str
    title: str
    sniff: Callable[[Head], bool]
    mapping: Mapping | Callable[[Head], Mapping]
    skip: Callable[[Head], str] = lambda _head: ""

    def mapping_of(self, head: Head) -> Mapping:
        """How a file that begins like this is read."""
        return self.mapping(head) if callable(self.mapping) else self.mapping


@dataclass(frozen=True)
class Table:
    """The records of a block as text.

    Attributes:
        frame: one text column for each part of the source's record that the mapping uses; null = empty.
        lines: where each record stands.
        index: number of each record's line in the block, from 0; None: record i is line i.
        faults: what is wrong with a record's shape, null where nothing is; None: nothing anywhere.
    """

    frame: pl.DataFrame
    lines: Lines
    index: NDArray[np.int64] | None = None
    faults: pl.Series | None = None

    def filter(self, keep: NDArray[np.bool_]) -> Table:
        """Some of the records."""
        if keep.all():
            return self
        index = np.arange(len(keep)) if self.index is None else self.index
        faults = None if self.faults is None else self.faults.filter(pl.Series(keep))
        return Table(self.frame.filter(pl.Series(keep)), self.lines.take(keep), index[keep], faults)
