"""What this process has read so far: for progress, and to stop a run whose input is mostly bad."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from transforms.errors import TooManyRejects

JUDGE_AFTER = 100_000


@dataclass
class Tally:
    """Running counts of one run in this process."""

    read: int = 0
    rejected: int = 0
    bytes: int = 0
    fatal: Exception | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, read: int, rejected: int, size: int) -> None:
        """Counts records and bytes of input."""
        with self._lock:
            self.read += read
            self.rejected += rejected
            self.bytes += size

    def judge(self, max_bad_ratio: float, *, final: bool = False) -> None:
        """Raises `TooManyRejects` where too many records were bad, once enough are read (or at the end)."""
        if self.fatal is not None:
            raise self.fatal  # a runner's retry must not read everything again
        if (self.read >= JUDGE_AFTER or final) and self.rejected > max_bad_ratio * self.read:
            self.fatal = too_many(self.rejected, self.read, max_bad_ratio)
            raise self.fatal


def too_many(rejected: int, read: int, max_bad_ratio: float) -> TooManyRejects:
    """The error of a run with too many rejects."""
    return TooManyRejects(
        f"{rejected:,} of {read:,} records are rejects ({rejected / read:.1%}), more than --max_bad_ratio "
        f"{max_bad_ratio:g} allows. The table rejects has each with its reason; check --input_format and "
        "--timezone, or allow more with --max_bad_ratio."
    )


_TALLIES: dict[str, Tally] = {}
_LOCK = threading.Lock()


def tally_of(run_id: str) -> Tally:
    """The counts of a run in this process."""
    with _LOCK:
        return _TALLIES.setdefault(run_id, Tally())
