"""Line numbers of places in files, counted at most once, and only when somebody asks."""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from callbeam_io import storage

_FILES: Final = 1000  # files remembered


@dataclass
class _Known:
    """What is known of one file: lines before some places, lines between others."""

    places: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)

    def nearest(self, place: int) -> tuple[int, int]:
        """The last known place that is not behind ``place``, and the lines before it."""
        at, lines = self.places[bisect_right(self.places, (place, 1 << 62)) - 1]
        while (span := self.spans.get(at)) is not None and span[0] <= place:
            at, lines = span[0], lines + span[1]
        return at, lines


class LineCounter:
    """Lines before places in files. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[str, int, int], _Known] = OrderedDict()

    def note(self, path: str, start: int, end: int, lines: int) -> None:
        """Tells that so many lines end within [start, end)."""
        with self._lock:
            self._known(path).spans[start] = (end, lines)

    def before(self, path: str, place: int) -> int:
        """Lines that end before a place: what is neither noted nor counted yet is read for it."""
        with self._lock:
            at, lines = self._known(path).nearest(place)
        if at < place:
            lines += storage.line_breaks(path, at, place)
        with self._lock:
            known = self._known(path).places
            if (place, lines) not in known:
                insort(known, (place, lines))
        return lines

    def _known(self, path: str) -> _Known:
        key = _identity(path)
        known = self._files.setdefault(key, _Known())
        self._files.move_to_end(key)
        while len(self._files) > _FILES:
            self._files.popitem(last=False)
        return known


def _identity(path: str) -> tuple[str, int, int]:
    """A file as it is now: one that was replaced is another."""
    if storage.is_remote(path):
        return path, 0, 0
    status = Path(path).stat()
    return path, status.st_mtime_ns, status.st_size
