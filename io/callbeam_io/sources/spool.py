"""Messages on disk, from their acknowledgement to the snapshot of the pipeline that has them."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from transforms.errors import StoreError

REMEMBERED: Final = 100_000
"""Message ids that are known again; a redelivery follows its first delivery within minutes."""
_SCHEMA: Final = pa.schema([("id", pa.string()), ("data", pa.large_binary())])
_LOCK_TIMEOUT: Final = 5.0
_SEGMENT: Final = ".messages"
_IDS: Final = ".ids"


@dataclass(frozen=True)
class Segment:
    """One file of messages, in the order in which they came."""

    number: int
    messages: int
    size: int


class Spool:
    """A folder of segments ``<number>.messages`` (Arrow IPC), written whole and deleted once they are saved.

    ``<number>.ids`` holds the newest ids of the messages up to that segment, so that what is delivered again
    after a crash is known even when its segment is gone. One thread appends, one reads, any commits.

    Args:
        folder: made where it is missing.
        first: least number of the next new segment (a stored position's).

    Raises:
        StoreError: the folder cannot be used, or another spool is open in it.
    """

    def __init__(self, folder: Path, first: int = 0) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._recent: dict[str, None] = {}
        self._segments: deque[Segment] = deque()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
        except OSError as error:
            raise StoreError(f"the spool {folder} cannot be used: {error}") from error
        try:
            self._next = max(first, self._load())
        except (OSError, pa.ArrowException) as error:
            self.close()
            raise StoreError(f"the spool {folder} cannot be read: {error}") from error

    def close(self) -> None:
        """Lets another spool use the folder."""
        os.close(self._lock)

    def append(self, messages: Sequence[tuple[str, bytes]]) -> int:
        """Writes the messages that are new as one segment, safe against a crash of process or machine.

        Returns:
            How many were new.

        Raises:
            OSError: nothing was written, and nothing of it is remembered.
        """
        fresh = {name: data for name, data in messages if name not in self._recent}
        if not fresh:
            return 0
        batch = pa.record_batch([list(fresh), list(fresh.values())], schema=_SCHEMA)
        self._write(self._path(self._next, _SEGMENT), _ipc(batch))
        with self._changed:
            self._recent.update(dict.fromkeys(fresh))
            self._forget()
            self._segments.append(Segment(self._next, len(fresh), sum(map(len, fresh.values()))))
            self._next += 1
            self._changed.notify_all()
        return len(fresh)

    def first_after(self, number: int, timeout: float = 0.0) -> Segment | None:
        """The first segment from this number on; None when there is none within ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._find(number) is not None, timeout)
            return self._find(number)

    def read(self, segment: Segment) -> tuple[list[str], list[bytes]]:
        """Ids and payloads of a segment.

        Raises:
            StoreError: it cannot be read.
        """
        path = self._path(segment.number, _SEGMENT)
        try:
            table = pa.ipc.open_stream(path.read_bytes()).read_all()
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{path} cannot be read ({error}); its messages were acknowledged already"
            ) from error
        return table.column("id").to_pylist(), table.column("data").to_pylist()

    def waiting(self, number: int) -> tuple[int, int]:
        """Messages and bytes in the segments from this number on."""
        with self._changed:
            found = [s for s in self._segments if s.number >= number]
        return sum(s.messages for s in found), sum(s.size for s in found)

    def commit(self, number: int) -> None:
        """Deletes the segments before this number; where it cannot, the next commit tries again."""
        with self._changed:
            done = [s.number for s in self._segments if s.number < number]
            recent = list(self._recent)
        if not done:
            return
        try:
            self._write(self._path(done[-1], _IDS), "\n".join(recent).encode())
            for old in self._numbers(_IDS):
                if old < done[-1]:
                    self._path(old, _IDS).unlink(missing_ok=True)
            for old in done:
                self._path(old, _SEGMENT).unlink(missing_ok=True)
        except OSError:
            return
        with self._changed:
            while self._segments and self._segments[0].number <= done[-1]:
                self._segments.popleft()

    def _find(self, number: int) -> Segment | None:
        return next((s for s in self._segments if s.number >= number), None)

    def _load(self) -> int:
        """Takes in what a former process left; gives the number after the greatest."""
        ids, segments = self._numbers(_IDS), self._numbers(_SEGMENT)
        for number in ids[-1:]:
            self._recent.update(dict.fromkeys(self._path(number, _IDS).read_text().split("\n")))
        for number in segments:
            self._segments.append(Segment(number, *self._measure(number)))
        self._forget()
        for part in self._folder.glob("*.part"):
            part.unlink(missing_ok=True)
        return max([*ids, *segments], default=-1) + 1

    def _measure(self, number: int) -> tuple[int, int]:
        path = self._path(number, _SEGMENT)
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
            self._recent.update(dict.fromkeys(table.column("id").to_pylist()))
            return table.num_rows, path.stat().st_size

    def _forget(self) -> None:
        for name in list(islice(self._recent, max(0, len(self._recent) - REMEMBERED))):
            del self._recent[name]

    def _numbers(self, suffix: str) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob(f"*{suffix}"))

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"{number:012d}{suffix}"

    def _write(self, path: Path, data: bytes | memoryview) -> None:
        """The file is there whole, also after the machine lost its power, or not at all."""
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _locked(folder: Path) -> int:
    """The open lock file of a folder, which is free again when its process ends, however it ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(lock)
                raise StoreError(f"the spool {folder} is in use by another pipeline: stop it first") from None
            time.sleep(0.05)
        else:
            return lock


def _ipc(batch: pa.RecordBatch) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())
