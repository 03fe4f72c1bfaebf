"""What the pages share: the store, what watches it, and short-lived answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from flask import current_app

from callbeam_io.jobs import Jobs
from callbeam_io.store import Store
from callbeam_io.store.web_queries import StoreError
from webui.config import WebConfig
from webui.pulse import Pulse

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_KEY = "callbeam"
_KEPT = 256
WORTH = 20


class ShortCache:
    """Answers that many browsers ask for at once: made once, kept for a moment, never the only copy.

    What takes long to make is kept for longer, so that no answer keeps a processor busy with itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = _KEPT) -> None:
        self._clock, self._most = clock, most
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._kept: dict[Hashable, tuple[float, float, Any]] = {}
        self._making: set[Hashable] = set()

    def get(self, key: Hashable, seconds: float, make: Callable[[], T]) -> T:
        """The answer of this key, made by ``make`` when it is older than ``seconds``; others wait for it.

        An answer is good for `WORTH` times as long as it took to make, if that is longer.
        """
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            found = self._kept.get(key)
            begun = self._clock()
            if found is not None and begun - found[0] < max(seconds, found[1] * WORTH):
                return cast(T, found[2])
            answer = make()
            now = self._clock()
            with self._guard:
                self._kept[key] = (now, now - begun, answer)
                self._forget()
            return answer

    def soon(self, key: Hashable, seconds: float, make: Callable[[], T], wait: float = 0.3) -> T | None:
        """The newest answer that is there, at once; an old one is made anew beside the work.

        None where there is none yet and it is not made within ``wait`` seconds. ``make`` runs on a thread of its
        own: it may use nothing of the request.
        """
        with self._guard:
            known = self._kept.get(key)
            begun = key in self._making
            fresh = known is not None and self._clock() - known[0] < max(seconds, known[1] * WORTH)
            if not fresh and not begun:
                self._making.add(key)
        if not fresh and not begun:
            thread = threading.Thread(target=self._make_aside, args=(key, make), daemon=True)
            thread.start()
            if known is None:
                thread.join(wait)
        with self._guard:
            found = self._kept.get(key)
        return None if found is None else cast(T, found[2])

    def _make_aside(self, key: Hashable, make: Callable[[], Any]) -> None:
        try:
            self.get(key, 0, make)
        except StoreError as error:  # the next one who asks tries again
            _LOG.warning("%s", error)
        finally:
            with self._guard:
                self._making.discard(key)

    def _forget(self) -> None:
        while len(self._kept) > self._most:
            oldest = min(self._kept, key=lambda k: self._kept[k][0])
            del self._kept[oldest]
            self._locks.pop(oldest, None)


@dataclass
class Services:
    """The app's own things: one of each per app."""

    config: WebConfig
    store: Store
    pulse: Pulse
    jobs: Jobs
    cache: ShortCache = field(default_factory=ShortCache)
    crowds: ShortCache = field(default_factory=lambda: ShortCache(most=2))


def install(app: Any, services: Services) -> None:
    """Puts them where `services` finds them."""
    app.extensions[_KEY] = services


def services() -> Services:
    """Those of the app that answers the current request."""
    return cast(Services, current_app.extensions[_KEY])


def store() -> Store:
    """The result store."""
    return services().store


def jobs() -> Jobs:
    """The commands that were started from here."""
    return services().jobs


def cached(key: Hashable, seconds: float, make: Callable[[], T]) -> T:
    """An answer kept for some seconds, see `ShortCache.get`."""
    return services().cache.get(key, seconds, make)
