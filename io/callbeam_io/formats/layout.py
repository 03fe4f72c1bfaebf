"""A format made ready for one file: everything that is needed to read its blocks, as plain data."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa

from callbeam_io.formats.apply import slot, to_batch
from callbeam_io.formats.base import Head, Table, split_fields
from callbeam_io.formats.delimited import Shape, read_delimited
from callbeam_io.formats.jsonlines import read_json_lines
from callbeam_io.formats.mapping import Column, Mapping, make_mapping
from transforms.errors import InputError


@dataclass(frozen=True)
class Layout:
    """How the blocks of one file, or the messages of one source, are read.

    Attributes:
        mapping: of the format.
        header: names of the columns, in lower case; empty where there are none.
        least: fewest fields of a good line.
        most: most fields of a good line.
    """

    mapping: Mapping
    header: tuple[str, ...] = ()
    least: int = 1
    most: int = 1

    @property
    def name(self) -> str:
        """The format's name."""
        return self.mapping.name

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""
        return self.mapping.lines == "csv" and self.mapping.header

    def settings(self) -> str:
        """The layout as JSON text, see `layout_of`."""
        parts = {"name": self.name, "spec": self.mapping.spec, "header": list(self.header)}
        return json.dumps({**parts, "widths": [self.least, self.most]}, sort_keys=True)

    def table(self, data: bytes) -> Table:
        """The records of a block of lines as text."""
        if self.mapping.encoding != "utf-8":
            data = data.decode(self.mapping.encoding, "replace").encode()
        if self.mapping.lines == "json":
            return read_json_lines(data, tuple(str(c) for c in self.mapping.columns()))
        return read_delimited(data, self._shape)

    def parse(self, data: bytes, file: str) -> tuple[pa.RecordBatch, Table]:
        """The parsed batch of a block of lines, and where its rows stand.

        Args:
            data: whole lines, without a header.
            file: the file's name, for ``$file``.
        """
        return to_batch(self.table(data), self.mapping, file)

    @cached_property
    def _shape(self) -> Shape:
        slots = tuple((self._place(c), slot(c)) for c in self.mapping.columns())
        return Shape(self.mapping.separator, self.mapping.quote, self.least, self.most, slots)

    def _place(self, column: Column) -> int:
        return column - 1 if isinstance(column, int) else self.header.index(column.lower())


@lru_cache(maxsize=256)
def layout_of(settings: str) -> Layout:
    """The layout that `Layout.settings` described."""
    parts: dict[str, Any] = json.loads(settings)
    least, most = parts["widths"]
    return Layout(make_mapping(parts["name"], parts["spec"]), tuple(parts["header"]), least, most)


def lay_out(mapping: Mapping, head: Head) -> tuple[Layout, int]:
    """Makes a format ready for a file.

    Args:
        mapping: of the format.
        head: the file's beginning.

    Returns:
        The layout, and how many bytes of ``head.data`` come before the first record.

    Raises:
        InputError: a column that the mapping names is missing.
    """
    if mapping.lines == "json":
        return Layout(mapping), 0
    start = _after_lines(head.data, mapping.skip_lines)
    if not mapping.header:
        return _with_widths(mapping, head, ()), start
    end = _after_lines(head.data, mapping.skip_lines + 1)
    first = head.data[start:end].decode(mapping.encoding, "replace").rstrip("\r\n")
    names = split_fields(first, mapping.separator, mapping.quote)
    return _with_widths(mapping, head, tuple(name.lower() for name in names)), end


def _after_lines(data: bytes, count: int) -> int:
    place = 0
    for _ in range(count):
        place = data.find(b"\n", place) + 1
        if not place:
            return len(data)
    return place


def _with_widths(mapping: Mapping, head: Head, header: tuple[str, ...]) -> Layout:
    """The layout with its numbers of fields; checks that every column is there."""
    _check_columns(mapping, head, header)
    least, most = mapping.widths or (0, 0)
    if mapping.widths is None:
        least = most = len(header) or _usual_width(mapping, head)
    highest = max([c for c in mapping.columns() if isinstance(c, int)], default=1)
    if highest > most:
        raise InputError(
            f"{head.path} has {most} columns, format {mapping.name} reads column {highest}",
            f"fields separated by {mapping.separator!r}",
            "name the right format or mapping with --input_format",
        )
    return Layout(mapping, header, least, most)


def _check_columns(mapping: Mapping, head: Head, header: tuple[str, ...]) -> None:
    missing = [c for c in mapping.columns() if isinstance(c, str) and c.lower() not in header]
    if missing:
        raise InputError(
            f"{head.path}: column {', '.join(missing)} missing for format {mapping.name}",
            f"a header of columns separated by {mapping.separator!r} that names it",
            "correct the header, or describe the file with a mapping (docs/FORMATS.md)",
        )
    wanted = {str(c).lower() for c in mapping.columns()}
    twice = [c for c, n in Counter(header).items() if n > 1 and c in wanted]
    if twice:
        raise InputError(f"{head.path}: column {twice[0]} stands twice in the header", "each column once")


def _usual_width(mapping: Mapping, head: Head) -> int:
    """The number of fields that most of the first lines have."""
    rows = head.rows(mapping.separator, mapping.quote)[mapping.skip_lines :]
    return Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 1
