"""What a person sees while a run is going: a bar on a terminal, quiet lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from tqdm import tqdm

from transforms.tally import Tally

LOG_EVERY: Final = 30.0
REFRESH: Final = 0.5


class Progress:
    """Shows a run's tally from a thread of its own, and calls ``beat`` every two seconds.

    Args:
        tally: counts of this process.
        total_bytes: of the input; 0 where it is not known.
        beat: called with the tally, for the heartbeat in the store.
    """

    def __init__(
        self, tally: Tally, total_bytes: int, beat: Callable[[Tally], None], every: float = 2.0
    ) -> None:
        self._tally, self._total, self._beat, self._every = tally, total_bytes, beat, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._started = time.monotonic()
        self._bar = tqdm(
            total=total_bytes or None,
            unit="B",
            unit_scale=True,
            disable=not sys.stderr.isatty(),
            bar_format="{percentage:3.0f}% |{bar}| {postfix} [{elapsed}<{remaining}]",
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._show()
        self._bar.close()

    def _run(self) -> None:
        beat_at = log_at = time.monotonic()
        while not self._stop.wait(REFRESH):
            now = time.monotonic()
            self._show()
            if now - beat_at >= self._every:
                self._beat(self._tally)
                beat_at = now
            if self._bar.disable and now - log_at >= LOG_EVERY:
                print(self.line(), file=sys.stderr, flush=True)
                log_at = now

    def _show(self) -> None:
        self._bar.n = min(self._tally.bytes, self._total) if self._total else self._tally.bytes
        self._bar.set_postfix_str(self.line(), refresh=True)

    def line(self) -> str:
        """Records, their rate and rejects in one line."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        tally = self._tally
        return f"{tally.read:,} records, {tally.read / seconds:,.0f}/s, {tally.rejected:,} rejects"
