"""A landing folder as a live feed: every file that comes in is read once, whole, in order of names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from callbeam_io.sources.feeds import Chunk, Position, SplitReader
from callbeam_io.sources.landing import Landing, ReadNames
from callbeam_io.sources.parts import Part, file_parts
from transforms.errors import InputError

_LOOK_EVERY: Final = 0.2
_LOOK_EVERY_BUSY: Final = 1.0


@dataclass(frozen=True)
class FolderFeed:
    """A landing folder; see `callbeam_io.sources.feeds.Feed`."""

    folder: Path
    input_format: str
    timezone: str

    lateness = 86400
    accelerated = False

    @property
    def name(self) -> str:
        """``dir:///path``."""
        return f"dir://{self.folder}"

    def check(self) -> None:
        """Raises InputError when there is no such folder, or it cannot be listed."""
        try:
            Landing(self.folder, ReadNames()).look(time.monotonic())
        except OSError as error:
            raise InputError(
                f"--input {self.name} cannot be listed ({error.strerror})",
                "a folder",
                "make it (mkdir -p), then let files be moved into it",
            ) from error

    def splits(self) -> Sequence[str]:
        """One: files come in one order."""
        return ("files",)

    def open(self, split: str, position: Position) -> SplitReader:
        """Reads on; None: all that is in the folder, then what comes."""
        return FolderReader(self, position)


class FolderReader:
    """Reads files one by one; see `callbeam_io.sources.feeds.SplitReader`.

    A position is ``{"read": […]}``, the names that were read (packed, see `ReadNames`), and within a file
    also ``"file"``, ``"block"`` and ``"row"``, where it goes on. A file counts by its name: another one with
    the name of one that was read is not read.
    """

    def __init__(self, feed: FolderFeed, position: dict[str, Any] | None) -> None:
        state = position or {"read": []}
        self._feed = feed
        self._landing = Landing(feed.folder, ReadNames(state["read"]), taken=state.get("file"))
        self._packed: list[str] = list(state["read"])
        self._looked = -_LOOK_EVERY_BUSY
        self._trouble: str | None = None
        self._parts: Iterator[tuple[Part, bool]] = iter(())
        if "file" in state:
            self._start(state["file"], state["block"], state["row"])

    def poll(self, timeout: float) -> Chunk | None:
        """The next rows of the file that is being read, or of the next one."""
        end = time.monotonic() + timeout
        while True:
            chunk = self._read_on()
            if chunk is not None:
                return chunk
            if time.monotonic() - self._looked >= _LOOK_EVERY:
                self._look()
                if self._landing.waiting:
                    continue
            now = time.monotonic()
            if now >= end:
                return None
            time.sleep(max(0.0, min(end, self._looked + _LOOK_EVERY) - now))

    def commit(self, position: Position) -> None:
        """Nothing: files belong to who put them there."""

    def lag(self) -> int | None:
        """Files that wait to be read, those still being written among them."""
        return len(self._landing.waiting) + self._landing.unsettled

    def trouble(self) -> str | None:
        """Why the folder cannot be listed."""
        return self._trouble

    def ended(self) -> bool:
        """Never: a landing folder has no end."""
        return False

    def close(self) -> None:
        """Lets go of the file that is being read."""
        self._parts = iter(())

    def _read_on(self) -> Chunk | None:
        """The next rows of this file, else the first of the next that has any; None: no file waits."""
        landing = self._landing
        while landing.taken is not None or landing.waiting:
            if landing.taken is None:
                if time.monotonic() - self._looked >= _LOOK_EVERY_BUSY:
                    self._look()
                    if not landing.waiting:  # a file with an earlier name is just coming in: they wait for it
                        return None
                self._start(landing.take(), 0, 0)
            found = next(self._parts, None)
            if found is not None:
                return self._chunk(*found)
            self._finish()
        return None

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self._landing.look(self._looked)
        except OSError as error:
            self._trouble = f"{self._feed.name} cannot be listed ({error.strerror}); looking again"
        else:
            self._trouble = None

    def _start(self, name: str, block: int, row: int) -> None:
        feed = self._feed
        self._parts = _with_last(file_parts(feed.folder / name, feed.input_format, feed.timezone, block, row))

    def _finish(self) -> None:
        self._landing.done()
        self._packed = self._landing.read.packed()

    def _chunk(self, part: Part, last: bool) -> Chunk:
        within = {"file": self._landing.taken, "block": part.block, "row": part.row}
        if last:
            self._finish()
            within = {}
        return Chunk(part.batch, {"read": self._packed, **within}, part.size)


def _with_last(parts: Iterable[Part]) -> Iterator[tuple[Part, bool]]:
    """Each part with whether it is the last."""
    held: Part | None = None
    for part in parts:
        if held is not None:
            yield held, False
        held = part
    if held is not None:
        yield held, True


def open_folder(text: str, input_format: str, timezone: str) -> FolderFeed:
    """The feed of a ``dir://`` input.

    Raises:
        InputError: it names no folder.
    """
    path = text.removeprefix("dir://")
    if not path or path == text:
        raise InputError(f"--input {text}", "dir:///path/of/the/folder")
    return FolderFeed(Path(path), input_format, timezone)
