"""Which files an ``--input`` means, and whether they can be read at all."""

from __future__ import annotations

import glob
import gzip
import os
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callbeam_io import storage
from callbeam_io.formats.base import BOM, HEAD_BYTES, Head
from transforms.errors import InputError

PARQUET_MAGIC: Final = b"PAR1"
_PACKED: Final = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save it as CSV"),
    b"BZh": ("packed with bzip2", "unpack it, or pack it with gzip"),
    b"\xfd7zXZ": ("packed with xz", "unpack it, or pack it with gzip"),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it, or pack it with gzip"),
    b"SQLite format 3": ("an SQLite database", "export the table as CSV"),
    b"ARROW1": ("an Arrow file", "write it as Parquet"),
    b"\xd0\xcf\x11\xe0": ("an old Excel or Word file", "save it as CSV"),
    b"\xff\xfe": ("UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8"),
}
_CONTROLS: Final = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1a\x1b")
_FEW: Final = 4  # control characters that a text may hold by accident
_TEXT: Final = "text (CSV, JSON lines), the same packed with gzip, or Parquet"
_ASN1: Final = (
    "if these are an operator's originals (ASN.1 BER, 3GPP TS 32.298), decode them to CSV or JSON lines first"
)


@dataclass(frozen=True)
class File:
    """A file that an input means, with its size in bytes."""

    path: str
    size: int


def find_files(inputs: Sequence[str]) -> tuple[list[File], list[str]]:
    """The files that inputs mean, each once.

    Args:
        inputs: paths of files, globs (``**`` goes into folders) and folders; ``gs://`` globs.

    Returns:
        The files in the order of the inputs, those of one input by name; and notes about what was passed
        over: hidden files, empty files, folders inside folders, files named twice.

    Raises:
        InputError: an input means no file.
    """
    if not inputs:
        raise InputError("no --input", "a file, glob or folder", "give --input PATH")
    notes: list[str] = []
    files: dict[str, File] = {}
    for given in inputs:
        for file in _expanded(given, notes):
            key = file.path if storage.is_remote(file.path) else os.path.realpath(file.path)
            if key in files:
                notes.append(f"{file.path} is named twice: read once")
            elif file.size == 0:
                notes.append(f"{file.path} is empty: passed over")
            else:
                files[key] = file
    return list(files.values()), notes


def _expanded(given: str, notes: list[str]) -> list[File]:
    if storage.is_remote(given):
        return _remote(given)
    path = Path(given)
    if path.is_dir():
        return [_local(p) for p in _folder(path, notes)]
    if path.exists():
        return [_local(given)]
    found = sorted(p for p in glob.glob(given, recursive=True) if not Path(p).is_dir())  # noqa: PTH207
    if not found:
        what = "matches nothing" if glob.has_magic(given) else "does not exist"
        raise InputError(f"--input {given} {what}", "a file, glob or folder", "check the path")
    return [_local(p) for p in found]


def _local(path: str) -> File:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "a file to read") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(
            f"{path} is no regular file", "a file that can be read in parts", "write it to a file"
        )
    return File(path, found.st_size)


def _folder(folder: Path, notes: list[str]) -> list[str]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            notes.append(f"{path} is hidden: passed over")
        elif path.is_dir():
            notes.append(f"{path} is a folder in a folder: passed over (give {folder}/** to read it too)")
        else:
            found.append(str(path))
    if not found:
        raise InputError(f"--input {folder} holds no file", "a folder with files", "check the path")
    return found


def _remote(given: str) -> list[File]:
    """What a ``gs://`` path or glob means."""
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    pattern = given + "*" if given.endswith("/") else given
    try:
        found = [File(m.path, m.size_in_bytes) for m in FileSystems.match([pattern])[0].metadata_list]
    except (BeamIOError, ValueError, ImportError) as error:
        raise InputError(
            f"--input {given} cannot be listed ({error})",
            "a path that exists in a store that can be reached",
            "check path and access; gs:// needs pip install 'callbeam[gcp]'",
        ) from error
    if not found:
        raise InputError(f"--input {given} matches nothing", "a file or glob", "check the path")
    return sorted(found, key=lambda file: file.path)


def read_head(file: File) -> tuple[bytes, Head]:
    """A file's first four bytes, and its beginning, unpacked and without a byte order mark.

    Raises:
        InputError: it cannot be read, or is packed or binary in a way that is not read.
    """
    try:
        data = storage.read_range(file.path, 0, HEAD_BYTES)
        magic = data[:4]
        whole = len(data) >= file.size
        if data.startswith(storage.GZIP_MAGIC):
            with storage.opened(file.path) as packed, gzip.open(packed) as unpacked:
                data = unpacked.read(HEAD_BYTES + 1)
            whole, data = len(data) <= HEAD_BYTES, data[:HEAD_BYTES]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{file.path} is no whole gzip file ({error})", _TEXT, "fetch it again") from error
    except OSError as error:
        raise InputError(f"{file.path} cannot be read ({error.strerror})", "a file to read") from error
    bom = len(BOM) if data.startswith(BOM) else 0
    head = Head(file.path, data[bom:], whole, bom)
    if magic != PARQUET_MAGIC:
        _refuse_binary(head)
    return magic, head


def _refuse_binary(head: Head) -> None:
    for magic, (what, todo) in _PACKED.items():
        if head.data.startswith(magic):
            raise InputError(f"{head.path} is {what}", _TEXT, todo)
    controls = len(head.data) - len(head.data.translate(None, _CONTROLS))
    if controls > max(_FEW, len(head.data) // 100):
        raise InputError(f"{head.path} is binary", _TEXT, _ASN1)
    if b"\r" in head.data and b"\n" not in head.data:
        raise InputError(f"{head.path} has line ends of CR only", "LF or CRLF", "convert its line ends")
