"""Bytes of files: local ones straight from the system, others (``gs://``) through Beam's file systems."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from transforms.errors import RunError

_STEP: Final = 1 << 16
_PIECE: Final = 1 << 23
GZIP_MAGIC: Final = b"\x1f\x8b"


def is_remote(path: str) -> bool:
    """Whether a path names something that is not in the local file system."""
    return "://" in path


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A file open for reading, as it stands (not unpacked), with seek."""
    if is_remote(path):
        with _systems().open(path, compression_type="uncompressed") as file:
            yield file
    else:
        with Path(path).open("rb", buffering=0) as file:
            yield file


def read_range(path: str, start: int, end: int) -> bytes:
    """The bytes of [start, end); fewer where the file ends before.

    A copy, not a map of the file: Polars needs bytes of its own anyway, and a file that is cut short while
    it is read gives less instead of killing the process.
    """
    with opened(path) as file:
        return _read(file, start, end - start)


def read_spaced(path: str, start: int, end: int, spare: int) -> NDArray[np.uint8]:
    """The bytes of [start, end) with so many zeros before and after; fewer where the file ends before."""
    data = np.empty(end - start + 2 * spare, np.uint8)
    size = spare + _read_into(path, start, data[spare : len(data) - spare].data)
    data[:spare] = 0
    data[size:] = 0
    return data[: size + spare]


def _read_into(path: str, start: int, place: memoryview) -> int:
    """Fills a place with the bytes from ``start`` on; how many there were."""
    with opened(path) as file:
        if not isinstance(file, io.FileIO):
            data = _read(file, start, len(place))
            place[: len(data)] = data
            return len(data)
        file.seek(start)
        size = 0
        while size < len(place) and (more := file.readinto(place[size:])):
            size += more
        return size


def _read(file: IO[bytes], start: int, size: int) -> bytes:
    file.seek(start)
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def line_start(path: str, place: int) -> int:
    """Where the first line begins that starts at ``place`` or later; the file's size if none does."""
    with opened(path) as file:
        at = place - 1
        while True:
            data = _read(file, at, _STEP)
            found = data.find(b"\n")
            if found >= 0 or not data:
                return at + found + 1 if data else at
            at += len(data)


def line_breaks(path: str, start: int, end: int) -> int:
    """How many lines end within [start, end)."""
    count = 0
    with opened(path) as file:
        for at in range(start, end, _PIECE):
            data = _read(file, at, min(_PIECE, end - at))
            count += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
    return count


def unpacked(path: str, start: int, piece: int) -> Iterator[bytes]:
    """A gzip file's contents from ``start`` on, in pieces of whole lines of about ``piece`` bytes.

    Raises:
        RunError: the file is damaged or ends too early.
    """
    rest = b""
    try:
        with opened(path) as packed, gzip.open(packed) as file:
            file.seek(start)
            while data := file.read(piece):
                whole, newline, tail = data.rpartition(b"\n")
                if newline:
                    yield rest + whole + newline
                    rest = tail
                else:
                    rest += data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RunError(f"{path} is no whole gzip file ({error}): fetch it again") from error
    if rest:
        yield rest


def _systems() -> Any:
    """Beam's file systems; imported here, as local files do without."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
