"""Frames of records as files: the canonical CSV, the student project's pipes, JSON lines and Parquet."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from callbeam_io.workload.dirt import FIRST_BAD, TORN, spoil
from transforms.errors import OptionError
from transforms.schema import RECORD_FIELDS

FORMATS: Final = ("callbeam", "pipes", "jsonl", "parquet")
"""The formats that the generator writes."""
_EXTENSIONS: Final = {
    ".csv": "callbeam",
    ".psv": "pipes",
    ".pipes": "pipes",
    ".txt": "pipes",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_PIPES: Final = (
    "account_id",
    "calling_number",
    "id",
    "called_number",
    "start_time",
    "duration",
    "call_type",
    "charge",
    "call_result",
)
_PIPES_RESULTS: Final = {"ANSWERED": "AWNSERED", "BUSY": "Busy"}
"""How that project spells them."""
_STRINGS: Final = ("id", "calling_number", "called_number", "call_type", "call_result", "account_id")
_ISO: Final = "%Y-%m-%dT%H:%M:%S"
_ASCTIME: Final = "%a %b %e %H:%M:%S %Y"
_GZIP_LEVEL: Final = 1


class Writer(Protocol):
    """Takes frames of `interactions.interactions`, one after the other, and makes a file of them."""

    def write(self, frame: pl.DataFrame) -> None:
        """Appends the records of a frame."""

    def close(self) -> None:
        """Ends the file."""


def format_of(path: Path, name: str | None = None) -> str:
    """The format to write a file in: by name, else by its extension (before a ``.gz``).

    Raises:
        OptionError: no such format, an extension that says nothing, a Parquet file with ``.gz``.
    """
    suffixes = [s.lower() for s in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    found = name or _EXTENSIONS.get(next(iter(suffixes[-1 - zipped :]), ""))
    if found not in FORMATS:
        flag = f"--format {name}" if name else f"--output {path}"
        expected = f"one of {', '.join(FORMATS)}" if name else f"a name that ends in {', '.join(_EXTENSIONS)}"
        raise OptionError(flag, expected, "" if name else "Or say --format")
    if found == "parquet" and zipped:
        raise OptionError(f"--output {path}", "a name without .gz", "Parquet is compressed by itself")
    return found


def render(frame: pl.DataFrame, name: str, header: bool = False) -> bytes:
    """The lines of a frame in a text format, UTF-8, each ended by a line feed; bad records spoiled."""
    frame = frame.with_columns(start_time=stamps(frame, "pipes" if name == "pipes" else "callbeam"))
    bad = frame["dirt"].max()
    if isinstance(bad, int) and bad >= FIRST_BAD:
        frame = spoil(frame, (*_STRINGS, "start_time") if name == "jsonl" else RECORD_FIELDS, torn=True)
    lines = io.BytesIO()
    if name == "jsonl":
        frame.select(RECORD_FIELDS).write_ndjson(lines)
    elif name == "pipes":
        frame = frame.with_columns(pl.col("call_result").replace(_PIPES_RESULTS))
        frame.select(_PIPES).write_csv(lines, include_header=False, separator="|", quote_style="never")
    else:
        frame.select(RECORD_FIELDS).write_csv(lines, include_header=header, quote_style="never")
    return _tear(lines.getvalue(), np.flatnonzero(frame["dirt"].to_numpy() == TORN) + header)


def stamps(frame: pl.DataFrame, name: str) -> pl.Series:
    """start_time as text: ISO 8601 with its offset; for ``pipes`` asctime (``Mon May  5 09:00:00 2025``)."""
    local = (pl.col("start_time") + pl.duration(seconds=pl.col("offset"))).dt.replace_time_zone(None)
    if name == "pipes":
        return frame.select(local.dt.strftime(_ASCTIME)).to_series()
    offsets = {value: _offset(value) for value in frame["offset"].unique().to_list()}
    if len(offsets) == 1:
        return frame.select(local.dt.strftime(_ISO + next(iter(offsets.values())))).to_series()
    suffix = pl.col("offset").replace_strict(offsets, return_dtype=pl.String)
    return frame.select(pl.concat_str(local.dt.strftime(_ISO), suffix)).to_series()


@contextmanager
def writer(path: Path, name: str, *, utc: bool) -> Iterator[Writer]:
    """A writer of that format, gzipped for a name in ``.gz``; the file is there only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        out: Writer = (
            _Parquet(part, utc) if name == "parquet" else _Text(part, name, path.suffix.lower() == ".gz")
        )
        try:
            yield out
        finally:
            out.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Text:
    def __init__(self, path: Path, name: str, zipped: bool) -> None:
        self._name, self._header = name, name == "callbeam"
        self._raw = path.open("wb")
        self._file: IO[bytes] | gzip.GzipFile = self._raw
        if zipped:
            self._file = gzip.GzipFile("", "wb", _GZIP_LEVEL, self._raw, mtime=0)

    def write(self, frame: pl.DataFrame) -> None:
        self._file.write(render(frame, self._name, self._header))
        self._header = False

    def close(self) -> None:
        self._file.close()
        self._raw.close()


class _Parquet:
    """Typed columns; start_time is a timestamp in UTC, where local time is another text with its offset."""

    def __init__(self, path: Path, utc: bool) -> None:
        self._path, self._utc = path, utc
        self._file: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame) -> None:
        if not self._utc:
            frame = frame.with_columns(start_time=stamps(frame, "parquet"))
        bad = frame["dirt"].max()
        if isinstance(bad, int) and bad >= FIRST_BAD:
            frame = spoil(frame, _STRINGS if self._utc else (*_STRINGS, "start_time"), torn=False)
        table = frame.select(RECORD_FIELDS).to_arrow()
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._file.write_table(table)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}" if seconds else "Z"


def _tear(lines: bytes, rows: npt.NDArray[np.int64]) -> bytes:
    """The lines without the second half of some of them."""
    if len(rows) == 0:
        return lines
    data = np.frombuffer(lines, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    opens = np.concatenate([[0], ends[:-1] + 1])
    change = np.zeros(len(data) + 1, dtype=np.int8)
    change[(opens[rows] + ends[rows]) // 2] += 1
    change[ends[rows]] -= 1
    kept: bytes = data[np.cumsum(change[:-1], dtype=np.int8) == 0].tobytes()
    return kept
