"""How many records a second there are of each business type, and promotions of each rule, over the last minutes.

The store holds sums; how fast they grow is seen by looking at them again and again. What was seen is kept for a
few minutes and is gone after a restart.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from callbeam_io.store import Store
from callbeam_io.store.web_queries import grouped, records_by_type, shown_run
from webui import words
from webui.moments import is_live

EVERY: Final = 2.0
KEPT: Final = 150
HOLE: Final = 10.0
_SLIDING: Final = re.compile(r"sliding:(\d+)s/(\d+)s")


@dataclass(frozen=True)
class Look:
    """Sums at a moment of this machine's clock: records by type, promotions by rule."""

    at: float
    run_id: str
    types: Mapping[str, float]
    rules: Mapping[str, float]


Series = dict[str, list[tuple[float, float | None]]]
"""Per name the moments and how fast it grew until then, per second; None where nothing is known."""


class Traffic:
    """Looks at the sums of the live run, at most every two seconds, for all browsers together."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._guard = threading.Lock()
        self._looks: deque[Look] = deque(maxlen=KEPT)

    def look(self) -> None:
        """Looks, if it is time and a stream is running."""
        with self._guard:
            now = self._clock()
            if self._looks and now - self._looks[-1].at < EVERY:
                return
            run = shown_run(self._store)
            if run is None or not is_live(run) or now - _heartbeat(run) > HOLE:
                return
            if self._looks and self._looks[-1].run_id != run["run_id"]:
                self._looks.clear()
            self._looks.append(self._sums(now, run))

    def _sums(self, now: float, run: Mapping[str, Any]) -> Look:
        share = 1 / overlap(run)
        types = {name: n * share for name, n in records_by_type(self._store, run["run_id"]).items()}
        rules = grouped(self._store, "promotions", run["run_id"], ["rule_id"])
        return Look(now, run["run_id"], types, {row["rule_id"]: row["count"] for row in rules})

    def rates(self) -> tuple[Series, Series]:
        """Of types and of rules."""
        self.look()
        with self._guard:
            looks = list(self._looks)
        return growth(looks, lambda k: k.types), growth(looks, lambda k: k.rules)


def _heartbeat(run: Mapping[str, Any]) -> float:
    at = words.moment(run["heartbeat"])
    return 0.0 if at is None else at.timestamp()


def overlap(run: Mapping[str, Any]) -> int:
    """In how many windows a record is counted."""
    window = str(((run["options"] or {}).get("plan") or {}).get("window") or "")
    found = _SLIDING.fullmatch(window)
    return 1 if found is None else max(1, int(found[1]) // int(found[2]))


def growth(looks: list[Look], sums: Callable[[Look], Mapping[str, float]]) -> Series:
    """How fast the sums grew between looks.

    A sum that became smaller (old windows were dropped) and a hole between looks are nothing that is known.
    """
    found: Series = {name: [] for look in looks for name in sums(look)}
    for before, after in pairwise(looks):
        seconds = after.at - before.at
        for name, points in found.items():
            more = sums(after).get(name, 0) - sums(before).get(name, 0)
            known = 0 < seconds <= HOLE and more >= 0
            points.append((after.at, more / seconds if known else None))
    return found
