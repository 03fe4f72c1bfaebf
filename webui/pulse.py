"""Whether the pipeline lives: the line that stands on top of every page, and how fast records come in.

Everything is read from the row of the run in the store; kept here is only when a value was first seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from callbeam_io.store import Store, utc_text
from callbeam_io.store.states import samples
from callbeam_io.store.web_queries import StoreError, is_worked_on, shown_run
from webui import words

FRESH: Final = 2.0
"""Seconds without a heartbeat (it comes every two) after which the run's lock says whether its process lives."""
PATIENCE: Final = 15.0
"""Seconds without a heartbeat after which a process that lives counts as stopped."""
BEHIND: Final = 60.0
QUIET: Final = 60.0
ALIVE: Final = frozenset({"live", "catching_up", "quiet", "working"})
"""Kinds of a status while a pipeline works."""


@dataclass(frozen=True)
class Status:
    """What the top bar says.

    Attributes:
        kind: ``live catching_up quiet stopped unreachable batch empty``.
        text: in words, such as ``Live · 2 s behind``.
        detail: a sentence more, or nothing.
        as_of: when the numbers on the pages are from, where that is not now.
    """

    kind: str
    text: str
    detail: str = ""
    as_of: str = ""

    @property
    def icon(self) -> str:
        """Name of a Bootstrap icon."""
        return _ICONS[self.kind]

    @property
    def tone(self) -> str:
        """``ok``, ``warn``, ``bad`` or ``idle``."""
        return _TONES[self.kind]

    def as_json(self) -> dict[str, Any]:
        """For the browser."""
        return {
            "kind": self.kind,
            "text": self.text,
            "detail": self.detail,
            "icon": self.icon,
            "tone": self.tone,
            "as_of": words.when(self.as_of, seconds=True) if self.as_of else "",
        }


_ICONS: Final = {
    "live": "broadcast",
    "catching_up": "fast-forward-fill",
    "quiet": "pause-circle-fill",
    "stopped": "stop-circle-fill",
    "unreachable": "plug-fill",
    "batch": "check-circle-fill",
    "working": "gear-wide-connected",
    "empty": "circle",
}
_TONES: Final = {
    "live": "ok",
    "catching_up": "warn",
    "quiet": "warn",
    "stopped": "bad",
    "unreachable": "bad",
    "batch": "ok",
    "working": "ok",
    "empty": "idle",
}


class Pulse:
    """Looks at the newest run, at most once a second, for all browsers together."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time, every: float = 1.0) -> None:
        self._store, self._clock, self._every = store, clock, every
        self._guard = threading.Lock()
        self._looked = float("-inf")
        self._read: tuple[str, int, float] | None = None
        self._status = Status("empty", "No run yet")
        self._run: dict[str, Any] | None = None

    def status(self) -> Status:
        """What the top bar says now."""
        self._look()
        return self._status

    def run(self) -> dict[str, Any] | None:
        """The row of the run that the status is about, as it was last read."""
        self._look()
        return self._run

    def _look(self) -> None:
        with self._guard:
            now = self._clock()
            if now - self._looked < self._every:
                return
            try:
                self._run = shown_run(self._store)
                self._status = self._judged(now)
            except StoreError as error:
                as_of = self._status.as_of or utc_text(datetime.fromtimestamp(now, UTC))
                self._status = Status("unreachable", "Store unreachable", str(error), as_of)
            self._looked = self._clock()

    def _grown(self, run: Mapping[str, Any], now: float) -> float:
        """When more records were last seen to have been read."""
        run_id, read = run["run_id"], run["records_read"] or 0
        if self._read is None or self._read[0] != run_id:
            self._read = (run_id, read, _last_read(self._store, run_id, now))
        if read > self._read[1]:
            self._read = (run_id, read, now)
        return self._read[2]

    def _judged(self, now: float) -> Status:
        run = self._run
        if run is None:
            return Status("empty", "No run yet")
        return judge(run, now, is_alive(self._store, run, now), self._grown(run, now))


def is_alive(store: Store, run: Mapping[str, Any], now: float) -> bool:
    """Whether a process works on a run: by its sign of life, and where that is some seconds old by its lock."""
    silent = now - _epoch(run["heartbeat"])
    return run["state"] == "running" and (
        silent <= FRESH or (silent <= PATIENCE and is_worked_on(store, run["run_id"]))
    )


def judge(run: Mapping[str, Any], now: float, alive: bool, grown: float) -> Status:
    """The status of a run.

    Args:
        run: its row.
        now: seconds since 1970.
        alive: whether a process is working on it.
        grown: when more records were last seen to have been read.
    """
    if run["mode"] == "batch":
        return _batch(run, alive)
    if not alive:
        at = run["finished_at"] or run["heartbeat"]
        return Status("stopped", f"Pipeline stopped {words.clock(at)}", run["error"] or "", at)
    own_clock = (run["options"] or {}).get("max_ahead", 0) is None or not run["watermark"]
    newest = grown if own_clock else _epoch(run["watermark"])
    detail = _trouble(run)
    if now - grown > QUIET:
        since = run["watermark"] if not own_clock else utc_text(datetime.fromtimestamp(grown, UTC))
        return Status("quiet", f"No records since {words.clock(since)}", detail)
    behind = max(0.0, now - newest)
    if behind > BEHIND:
        return Status("catching_up", f"Catching up · {words.age(behind)} behind", detail)
    return Status("live", f"Live · {words.age(behind)} behind", detail)


def _trouble(run: Mapping[str, Any]) -> str:
    """What the pipeline itself says is wrong."""
    live = run.get("live") or {}
    if live.get("degraded"):
        return f"{words.percent(live.get('bad_ratio'))} of the newest records cannot be read"
    return str(live.get("trouble") or "")


def _batch(run: Mapping[str, Any], alive: bool) -> Status:
    read = words.short(run["records_read"] or 0)
    if alive:
        return Status("working", f"Reading · {read} records so far")
    if run["state"] == "done":
        return Status(
            "batch", f"Run finished {words.clock(run['finished_at'])}", f"{read} records read from files"
        )
    at = run["finished_at"] or run["heartbeat"]
    said = {"failed": "Run failed", "cancelled": "Run cancelled"}.get(run["state"], "Run stopped")
    return Status("stopped", f"{said} {words.clock(at)}", run["error"] or "", at)


def _last_read(store: Store, run_id: str, now: float) -> float:
    """When a run last read something, as its samples of the last hour say; without them now."""
    since = utc_text(datetime.fromtimestamp(now - 3600, UTC))
    found = [at for at, figures in samples(store, run_id, since) if figures.get("read")]
    return _epoch(found[-1]) if found else now


def _epoch(text: str | None) -> float:
    at = words.moment(text)
    return 0.0 if at is None else at.timestamp()
