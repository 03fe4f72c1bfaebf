"""Where live records go: a landing folder, a Kafka topic, a Pub/Sub topic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl

from callbeam_io.workload.formats import FORMATS, writer
from transforms.errors import InputError, OptionError, RunError

SCHEMES: Final = ("dir://", "kafka://", "pubsub://")
_ENDINGS: Final = {"callbeam": ".csv", "pipes": ".psv", "jsonl": ".jsonl", "parquet": ".parquet"}
_FILE_EVERY: Final = 1.0
_FILE_ROWS: Final = 100_000


class Target(Protocol):
    """Takes frames of `LiveStream.take`, in order."""

    def write(self, frame: pl.DataFrame) -> None:
        """Sends the records of a frame, or keeps them for a moment; called again and again, also with none.

        Raises:
            RunError: they cannot be sent.
        """

    def close(self) -> None:
        """Sends what was kept, and waits until all is there.

        Raises:
            RunError: something did not arrive.
        """


def is_live_target(text: str) -> bool:
    """Whether an ``--output`` of the generator is a live one."""
    return text.startswith(SCHEMES)


def open_target(text: str, name: str, lines: int) -> Target:
    """The target of a live ``--output``.

    Args:
        text: ``dir:///path``, ``kafka://host:9092/topic``, ``pubsub://projects/P/topics/T``.
        name: format of the records, one of `formats.FORMATS`; messages have no header.
        lines: most records in a message.

    Raises:
        RequestError: it cannot be, cannot be reached, or a package is missing for it.
    """
    if name not in FORMATS:
        raise OptionError(f"--format {name}", f"one of {', '.join(FORMATS)}")
    if text.startswith("dir://"):
        return FolderTarget(Path(text.removeprefix("dir://")), name)
    if name == "parquet":
        raise OptionError("--format parquet", "a format of text for messages", "Parquet is for files")
    try:
        if text.startswith("kafka://"):
            from callbeam_io.workload.kafka_target import KafkaTarget

            return KafkaTarget(text, name, lines)
        from callbeam_io.workload.pubsub_target import PubSubTarget

        return PubSubTarget(text, name, lines)
    except ImportError as error:
        extra = "kafka" if text.startswith("kafka://") else "gcp"
        what = f"--output {extra}://… needs a package ({error})".replace("gcp://", "pubsub://")
        raise InputError(what, todo=f"pip install 'callbeam[{extra}]'") from error


class FolderTarget:
    """Files that appear whole: one for each second or 100,000 records, named by its first record's time."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._frames: list[pl.DataFrame] = []
        self._rows = 0
        self._sent = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--output dir://{folder}: {error.strerror}", "a folder") from error

    def write(self, frame: pl.DataFrame) -> None:
        """Keeps the records until a file is due."""
        self._frames.append(frame)
        self._rows += len(frame)
        if self._rows >= _FILE_ROWS or time.monotonic() - self._sent >= _FILE_EVERY:
            self._send()

    def close(self) -> None:
        """Writes the last file."""
        self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        if not self._rows:
            return
        whole = pl.concat(self._frames)
        path = self._free(f"calls-{whole['start_time'][0]:%Y%m%dT%H%M%S}")
        try:
            with writer(path, self._name, utc=bool((whole["offset"] == 0).all())) as out:
                out.write(whole)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}") from error
        self._frames, self._rows = [], 0

    def _free(self, stem: str) -> Path:
        """A name that no file has: a generator that starts again leaves alone what it wrote."""
        path, number = self._folder / f"{stem}{_ENDINGS[self._name]}", 1
        while path.exists():
            number += 1
            path = self._folder / f"{stem}-{number}{_ENDINGS[self._name]}"
        return path


def messages_of(lines: bytes, most: int) -> list[bytes]:
    r"""Lines (each ended by a line feed) in messages of so many, without the last line feed of each.

    >>> messages_of(b"a\nb\nc\n", 2)
    [b'a\nb', b'c']
    """
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    stops = [*ends[most - 1 :: most].tolist(), *ends[-1:].tolist()]
    messages, start = [], 0
    for stop in stops:
        if stop >= start:
            messages.append(lines[start:stop])
        start = stop + 1
    return messages
