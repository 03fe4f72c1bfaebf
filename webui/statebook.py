"""Changes of state of the live pipeline, noted in the store: live, catching up, no records, stopped, unreachable."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from callbeam_io.alerts import mark_told
from callbeam_io.store import Store, utc_text
from callbeam_io.store.states import Change, newest_state, note_state
from callbeam_io.store.web_queries import StoreError

if TYPE_CHECKING:
    from webui.pulse import Status

HOLD: Final = 3.0
"""Seconds that a state lasts before it is noted: what comes and goes within them is no news."""
STREAMING: Final = frozenset({"live", "catching_up", "quiet"})
UNREACHABLE: Final = "unreachable"
STOPPED: Final = "stopped"
NAMES: Final[Mapping[str, str]] = {
    "live": "Live",
    "catching_up": "Catching up",
    "quiet": "No records",
    STOPPED: "Stopped",
    UNREACHABLE: "Store unreachable",
}
TONES: Final[Mapping[str, str]] = {
    "live": "ok",
    "catching_up": "warn",
    "quiet": "warn",
    STOPPED: "bad",
    UNREACHABLE: "bad",
}


class StateBook:
    """Notes what the status line says. Kept here is only what the store cannot be told yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted = ""
        self._seen: tuple[str, float] = ("", 0.0)
        self._waiting: list[Change] = []

    def note(self, status: Status, run: Mapping[str, Any] | None, now: float) -> list[Change]:
        """Looks at a status; gives the changes that nobody else has noted, to be told.

        Args:
            status: as judged just now.
            run: that it is about.
            now: seconds since 1970.
        """
        if status.kind != UNREACHABLE:
            self._remember()
        state = self._state(status, run)
        if state != self._seen[0]:
            self._seen = (state, now)
        if not state or state == self._noted or now - self._seen[1] < HOLD:
            return []
        began = utc_text(datetime.fromtimestamp(self._seen[1], UTC))
        at = min(status.as_of or began, began) if state == STOPPED else began
        if run is not None and run["mode"] == "streaming":
            detail = f"{status.text}. {status.detail}" if status.detail else status.text
            return self._told(Change(at, state, detail, str(run["run_id"])))
        detail = "The live run ended" if state == STOPPED else f"{status.text}. {status.detail}"
        return self._told(Change(at, state, detail))

    def catch_up(self) -> None:
        """Tells the store what it could not be told while it was away, also where somebody else watches it now."""
        if self._waiting:
            self._remember()

    def _state(self, status: Status, run: Mapping[str, Any] | None) -> str:
        """The state to note; empty where there is none: of what is read at once there is no state."""
        if status.kind == UNREACHABLE:
            return UNREACHABLE
        if run is not None and run["mode"] == "streaming" and status.kind in NAMES:
            return status.kind
        return STOPPED if self._noted in STREAMING else ""  # a stream ended, and something else came after it

    def _remember(self) -> None:
        """What holds, as the store says, which first hears that it was away: that was told then."""
        with suppress(StoreError):  # the status line says it, and the next look tries again
            while self._waiting:
                noted = note_state(self._store, self._waiting[0])
                if noted is not None:
                    mark_told(self._store, noted.at)
                self._waiting.pop(0)
            newest = newest_state(self._store)
            self._noted = "" if newest is None else newest.state

    def _told(self, change: Change) -> list[Change]:
        if change.state == UNREACHABLE:
            self._noted = UNREACHABLE
            self._waiting.append(change)
            return [change]
        try:
            noted = note_state(self._store, change)
            if noted is not None and change.state == STOPPED and not self._noted:
                mark_told(self._store, noted.at)  # it was so before anybody looked: old news
                noted = None
        except StoreError:
            return []
        self._noted = change.state
        return [] if noted is None else [noted]
