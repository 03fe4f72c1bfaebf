"""From when on counts what a page records: in a live run from its next decision on, else from now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from callbeam_io.store import utc_text
from webui import words

STEP: Final = 5
"""Seconds between decisions of a stream that does not say."""


def record_time(run: Mapping[str, Any] | None) -> str:
    """The next moment at which a live run decides, in its own time; without one, this machine's clock.

    Args:
        run: the row of the run that is shown.
    """
    mark = words.moment(run["watermark"]) if run is not None and is_live(run) else None
    if run is None or mark is None:
        return utc_text()
    step = pane_of(run)
    seconds = (int(mark.timestamp()) // step + 1) * step
    return utc_text(datetime.fromtimestamp(seconds, UTC))


def pane_of(run: Mapping[str, Any]) -> int:
    """Seconds from one decision of a run to the next."""
    return int(((run["options"] or {}).get("rule_settings") or {}).get("pane") or STEP)


def contact_time(run: Mapping[str, Any] | None) -> str:
    """The moment for which pages ask whether somebody may be contacted: all that was recorded counts by then."""
    return max(utc_text(), record_time(run))


def is_live(run: Mapping[str, Any]) -> bool:
    """Whether it is a stream that is running."""
    return bool(run["mode"] == "streaming" and run["state"] == "running")
