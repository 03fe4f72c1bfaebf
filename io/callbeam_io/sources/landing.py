"""A landing folder: which files have come in whole, and which of them were read."""

from __future__ import annotations

import base64
import bisect
import os
import stat
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SETTLE: Final = 1.0
"""Seconds in which a file that is written in place must not change."""
HOLD: Final = 2.5
"""Seconds for which a file that has just been seen keeps the files with later names waiting."""
_UNFINISHED: Final = (".tmp", ".part", ".partial")
_HIDDEN: Final = (".", "_")
_PACK: Final = 512
_REMEMBERED: Final = 10_000
"""Names above this number are forgotten once their files are gone."""


class ReadNames:
    """Names of the files that were read, exact and compact: 3 to 6 bytes a name where names are alike.

    Args:
        packs: what `packed` gave.
    """

    def __init__(self, packs: Sequence[str] = ()) -> None:
        self._packs: list[str] = []
        self._tail: list[str] = []
        self._names: set[str] = set()
        for pack in packs:
            self.update(_unpack(pack))

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def update(self, names: Iterable[str]) -> None:
        """Adds names."""
        for name in names:
            if name not in self._names:
                self._names.add(name)
                self._tail.append(name)
                if len(self._tail) == _PACK:
                    self._packs.append(_pack(self._tail))
                    self._tail = []

    def packed(self) -> list[str]:
        """The names as texts for JSON; all but the last are the same as the last time."""
        return [*self._packs, _pack(self._tail)] if self._tail else list(self._packs)

    def forget_gone(self, there: set[str]) -> None:
        """Forgets names that are not in the folder, if there are very many.

        A folder that shows no files at all may just be out of reach, so then nothing is forgotten.
        """
        if there and len(self._names) > max(_REMEMBERED, 2 * len(there)):
            kept = sorted(self._names & there)
            self._packs, self._tail, self._names = [], [], set()
            self.update(kept)


def _pack(names: Sequence[str]) -> str:
    data = b"\0".join(os.fsencode(name) for name in sorted(names))
    return base64.b85encode(zlib.compress(data, 9)).decode()


def _unpack(pack: str) -> list[str]:
    return [os.fsdecode(name) for name in zlib.decompress(base64.b85decode(pack)).split(b"\0")]


@dataclass(frozen=True)
class _Look:
    """What a file looked like, since when it does, and when it was seen first."""

    size: int
    modified: int
    since: float
    first: float


@dataclass
class Landing:
    """The files of a folder that are waiting to be read.

    A file counts once it is not empty, its name neither begins with ``.`` or ``_`` nor ends in ``.tmp``,
    ``.part`` or ``.partial``, and it has kept size and time of change over two looks: a second apart, unless
    it was moved in (its inode changed after its content did). Files with later names wait for it, so that records
    are read in order of names, but not for one that goes on being written.

    Attributes:
        folder: where to look; folders in it are not entered.
        read: names of the files that were read.
        taken: name of the file that is being read.
        waiting: names of the files to read, in order.
    """

    folder: Path
    read: ReadNames
    taken: str | None = None
    waiting: list[str] = field(default_factory=list)
    _looks: dict[str, _Look] = field(default_factory=dict)
    _held: list[str] = field(default_factory=list)

    def look(self, now: float) -> None:
        """Looks at the folder; what has become whole joins `waiting`.

        Args:
            now: seconds, of a clock that never goes back.

        Raises:
            OSError: the folder cannot be listed.
        """
        queued = {*self.waiting, *self._held}
        known = queued | {self.taken}
        looks: dict[str, _Look] = {}
        there: set[str] = set()
        with os.scandir(self.folder) as entries:
            for entry in entries:
                there.add(entry.name)
                if entry.name in self.read or entry.name in known or not _finished(entry.name):
                    continue
                found = _stat(entry)
                if found is not None and self._settled(entry.name, found, now, looks):
                    queued.add(entry.name)
        self._looks = looks
        before = min((name for name, look in looks.items() if now - look.first < HOLD), default=None)
        names = sorted(queued)
        ready = len(names) if before is None else bisect.bisect_left(names, before)
        self.waiting, self._held = names[:ready], names[ready:]
        self.read.forget_gone(there)

    def take(self) -> str:
        """The first file that waits; it is being read from now on."""
        self.taken = self.waiting.pop(0)
        return self.taken

    def done(self) -> None:
        """The file that was taken is read."""
        if self.taken is not None:
            self.read.update([self.taken])
            self.taken = None

    @property
    def unsettled(self) -> int:
        """Files that may still be written to, and whole ones that wait for one of these."""
        return len(self._looks) + len(self._held)

    def _settled(self, name: str, found: os.stat_result, now: float, looks: dict[str, _Look]) -> bool:
        old = self._looks.get(name)
        if old is None or (old.size, old.modified) != (found.st_size, found.st_mtime_ns):
            looks[name] = _Look(found.st_size, found.st_mtime_ns, now, old.first if old else now)
            return False
        moved_in = found.st_ctime_ns > found.st_mtime_ns
        if moved_in or now - old.since >= SETTLE:
            return True
        looks[name] = old
        return False


def _finished(name: str) -> bool:
    return not name.startswith(_HIDDEN) and not name.endswith(_UNFINISHED)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What the system says of a file; None for an empty one, for what is no file, and for one just gone."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) and found.st_size else None
