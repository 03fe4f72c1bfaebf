"""Messages of live sources: the same formats, a line in each of many messages or many lines in one.

A message holds lines of a format, with a header where the format has one (``callbeam`` with or without), JSON
objects, or an Arrow IPC stream. With ``auto`` each message shows what it is: an Arrow stream, JSON, ``pipes``
or the canonical CSV.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from callbeam_io.formats import ARROW, AUTO, FORMATS, PARQUET, format_named, typed
from callbeam_io.formats.apply import as_batch
from callbeam_io.formats.base import BOM, Head
from callbeam_io.formats.callbeam import NAME as CALLBEAM
from callbeam_io.formats.callbeam import is_header, unnamed
from callbeam_io.formats.jsonlines import one_line_each
from callbeam_io.formats.layout import Layout, lay_out
from callbeam_io.formats.mapping import Mapping, make_mapping
from transforms.errors import InputError
from transforms.schema import with_origin

_STREAM: Final = b"\xff\xff\xff\xff"
_PIPES: Final = 8  # separators on a line of the student project
_PEEK: Final = 256  # bytes that hold a canonical header


@dataclass(frozen=True)
class _Found:
    """Records of some messages: row for row the message (a position) and the line in it (from 1; 0: all)."""

    batch: pa.RecordBatch
    message: NDArray[np.int64]
    line: NDArray[np.int64]


@dataclass(frozen=True)
class MessageParser:
    """Parses the messages of one source. Picklable; made by `message_parser`.

    Attributes:
        name: of the format, or of the mapping.
        spec: the mapping's JSON as text; empty for a format by name.
        timezone: local time of instants where messages of several kinds come together.
    """

    name: str
    spec: str
    timezone: str

    def parse(
        self, messages: Sequence[bytes], ids: Sequence[int | str], *, source: str, order: str = ""
    ) -> pa.RecordBatch:
        """The records of some messages.

        Args:
            messages: payloads in order, at least one.
            ids: of each message: its offset or id.
            source: topic/partition or subscription, for the batch's metadata.
            order: place of the batch in the input order, for the batch's metadata.

        Returns:
            A parsed batch (`transforms.schema`) with the column ``line`` as text: a message's id, where it
            has several lines with ``#`` and the number of the line in it. A message that cannot be read at
            all is one row with ``bad_reason``.
        """
        kinds = [self._kind(message) for message in messages]
        groups: dict[tuple[str, bytes], list[int]] = {}
        for place, kind in enumerate(kinds):
            groups.setdefault(kind, []).append(place)
        found = [self._read(kind, places, messages) for kind, places in groups.items()]
        all_found = found[0] if len(found) == 1 else _together(found, self.timezone)
        batch = all_found.batch.append_column("line", _line_names(all_found, ids, messages))
        return with_origin(batch, source=source, order=order)

    def _kind(self, message: bytes) -> tuple[str, bytes]:
        """What reads a message: a format's name, and the first line where that decides how."""
        name = self.name
        if name == AUTO:
            name = _sniffed(message)
        if name == ARROW:
            return name, b""
        if name == CALLBEAM and not self.spec:
            headed = b"calling_number" in message[:_PEEK].lower()
            return name, _first_line(message) if headed else b""
        return name, _first_line(message) if _varies(name, self.spec) else b""

    def _read(self, kind: tuple[str, bytes], places: list[int], messages: Sequence[bytes]) -> _Found:
        """The records of messages of one kind."""
        chosen = [messages[p] for p in places]
        at = np.array(places, np.int64)
        try:
            if kind[0] == ARROW:
                return _arrow(chosen, at)
            layout, skipped = _layout(kind[0], self.spec, kind[1])
        except InputError as error:
            return _unreadable(chosen, at, str(error))
        return _lines(layout, skipped, chosen, at)


def message_parser(input_format: str, timezone: str = "UTC") -> MessageParser:
    """The parser of an ``--input_format`` for live sources.

    Raises:
        InputError: the format is unknown, or one of files only.
    """
    if input_format == PARQUET:
        raise InputError("--input_format parquet is for files", "arrow, jsonl or a CSV format for messages")
    named = format_named(input_format)
    if named is None or named.name in FORMATS:
        return MessageParser(input_format, "", timezone)
    mapping = named.mapping_of(Head("", b"", whole=True))
    if mapping.lines == "csv" and not mapping.header and mapping.widths is None:
        raise InputError(
            f"mapping file {input_format} has neither header nor widths",
            "the number of fields of a line, as messages do not tell it",
            'add "widths" to it (docs/FORMATS.md)',
        )
    return MessageParser(named.name, json.dumps(mapping.spec), timezone)


def parse_payload(
    parser: MessageParser, data: bytes, *, source: str, order: str = "", line: int | str = ""
) -> pa.RecordBatch:
    """The records of one message, see `MessageParser.parse`."""
    return parser.parse([data], [line], source=source, order=order)


def _sniffed(message: bytes) -> str:
    """The format of a message."""
    if message.startswith(_STREAM):
        return ARROW
    start = message[:64].lstrip()
    if start.startswith((b"{", b"[")):
        return "freeswitch_json" if b'"callflow"' in message else "jsonl"
    piped = b"|" in message and _first_line(message).count(b"|") == _PIPES
    return "pipes" if piped else CALLBEAM


def _first_line(message: bytes) -> bytes:
    return message.removeprefix(BOM).split(b"\n", 1)[0].rstrip(b"\r")


def _mapping(name: str, spec: str, head: Head) -> Mapping:
    return make_mapping(name, json.loads(spec)) if spec else FORMATS[name].mapping_of(head)


@lru_cache(maxsize=256)
def _varies(name: str, spec: str) -> bool:
    """Whether messages of a format begin with a line that tells how they are read."""
    if not spec and callable(FORMATS[name].mapping):
        return True
    mapping = _mapping(name, spec, Head("", b"", whole=True))
    return mapping.lines == "csv" and mapping.header


@lru_cache(maxsize=4096)
def _layout(name: str, spec: str, first: bytes) -> tuple[Layout, int]:
    """The layout of messages, and how many lines of each come before its records."""
    head = Head("a message", first, whole=True)
    if name == CALLBEAM and not spec and not is_header(head.header()):
        mapping = unnamed()
    else:
        mapping = _mapping(name, spec, head)
    layout, _ = lay_out(mapping, head)
    return layout, mapping.skip_lines + 1 if layout.has_header else 0


def _lines(layout: Layout, skipped: int, messages: list[bytes], at: NDArray[np.int64]) -> _Found:
    """The records of messages of lines, all at once."""
    texts = [m.removeprefix(BOM).rstrip(b"\r\n") for m in messages]
    if skipped:
        texts = [b"\n".join(text.split(b"\n")[skipped:]) for text in texts]
    if layout.mapping.lines == "json":
        texts = [_on_lines(text) for text in texts]
    sizes = np.array([text.count(b"\n") + 1 for text in texts], np.int64)
    batch, table = layout.parse(b"\n".join(texts) + b"\n", "")
    physical = np.arange(batch.num_rows) if table.index is None else table.index
    begins = np.cumsum(sizes) - sizes
    message = np.searchsorted(begins, physical, "right") - 1
    return _Found(batch, at[message], physical - begins[message] + 1 + skipped)


def _on_lines(text: bytes) -> bytes:
    """JSON over several lines, or in a list, as lines."""
    spread = text.startswith(b"[") or (b"\n" in text and not text.split(b"\n", 1)[0].rstrip().endswith(b"}"))
    return one_line_each(text).rstrip(b"\n") if spread else text


def _arrow(messages: list[bytes], at: NDArray[np.int64]) -> _Found:
    """The records of Arrow streams."""
    parts = []
    for data, place in zip(messages, at, strict=True):
        one = np.array([place])
        try:
            with pa.ipc.open_stream(data) as reader:
                columns = typed.chosen(reader.schema, "a message")
                batches = [typed.renamed(batch, columns) for batch in reader]
            for batch in batches:
                count = np.arange(batch.num_rows)
                parts.append(_Found(batch, np.repeat(one, len(count)), count + 1))
        except (pa.ArrowException, OSError) as error:
            parts.append(_unreadable([data], one, f"not an Arrow stream ({type(error).__name__})"))
        except InputError as error:
            parts.append(_unreadable([data], one, str(error)))
    return parts[0] if len(parts) == 1 else _together(parts, "UTC")


def _unreadable(messages: list[bytes], at: NDArray[np.int64], reason: str) -> _Found:
    """A row for each message that cannot be read at all."""
    text = [m if m.isascii() or not m.startswith(_STREAM) else b"" for m in messages]
    columns = {
        "bad_field": pa.array([""] * len(messages)),
        "bad_reason": pa.array([reason] * len(messages)),
        "raw": pa.array(text, pa.binary()).cast(pa.binary_view()),
    }
    return _Found(pa.RecordBatch.from_pydict(columns), at, np.zeros(len(messages), np.int64))


def _together(parts: list[_Found], timezone: str) -> _Found:
    """Records of several kinds in the order of their messages, all as text where kinds differ."""
    frames = [pl.DataFrame(pl.from_arrow(part.batch)) for part in parts]
    if len({tuple(frame.schema.items()) for frame in frames}) > 1:
        frames = [_as_text(frame, timezone) for frame in frames]
    message = np.concatenate([part.message for part in parts])
    line = np.concatenate([part.line for part in parts])
    order = np.lexsort((line, message))
    frame = pl.concat(frames, how="diagonal")[order]
    return _Found(as_batch(frame), message[order], line[order])


def _as_text(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Columns as text, times in ISO 8601; a raw line for what has none."""
    exprs = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime):
            zoned = kind.time_zone is not None
            local = column.dt.convert_time_zone(timezone) if zoned else column
            column = local.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if zoned else ""))
        exprs.append(column if name == "raw" else column.cast(pl.String))
    text = frame.select(exprs)
    if "raw" in frame.columns:
        return text
    rows = [json.dumps(row, ensure_ascii=False).encode() for row in text.to_dicts()]
    return text.with_columns(raw=pl.Series(rows, dtype=pl.Binary))


def _line_names(found: _Found, ids: Sequence[int | str], messages: Sequence[bytes]) -> pa.Array:
    """Per row the message's id, with the line's number where the message has several."""
    names = [str(i) for i in ids]
    several = np.bincount(found.message, minlength=len(names)) > 1
    several |= np.array(
        [b"\n" in m.rstrip(b"\r\n") and not m.startswith(_STREAM) for m in messages], np.bool_
    )
    if not several.any():
        return pa.array(names).take(pa.array(found.message))
    rows = zip(found.message.tolist(), found.line.tolist(), strict=True)
    return pa.array([f"{names[m]}#{k}" if several[m] and k else names[m] for m, k in rows], pa.string())
