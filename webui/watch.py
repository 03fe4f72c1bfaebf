"""``python -m webui.watch``: notes and tells how the live pipeline is doing, for a store without a web app.

Web apps do the same. Of all processes of a store one does it, whichever comes first; another takes over when it ends.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from callbeam_io.alerts import Teller, load_alerts, untold
from callbeam_io.store import Store, locks, open_store
from callbeam_io.store.web_queries import RequestError, StoreError
from webui.pulse import Pulse
from webui.statebook import StateBook

LOCK: Final = "alerts"
_STANDBY: Final = 2
"""How many times as long a process that does not watch waits between looks whether it may."""
DONE, FAILED, WRONG = 0, 1, 2


class Watch:
    """Notes changes of state and has them told, while it holds the store's lock for that.

    A change is first a row of ``state_changes``, then told, then marked as told: what a process that died left
    untold is told by the one that takes over.

    Args:
        store: that is watched.
        pulse: says how the newest run is doing.
        teller: tells changes.
        clock: seconds since 1970.
        every: seconds between looks.
    """

    def __init__(
        self,
        store: Store,
        pulse: Pulse,
        teller: Teller,
        clock: Callable[[], float] = time.time,
        every: float = 1.0,
    ) -> None:
        self._store, self._pulse, self._teller = store, pulse, teller
        self._clock, self._every = clock, every
        self._book = StateBook(store)
        self._lock: locks.RunLock | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Looks again and again on a thread of its own."""
        threading.Thread(target=self.run, name="watch", daemon=True).start()

    def run(self) -> None:
        """Looks again and again until `stop`; then another process may."""
        self._teller.start()
        while not self._stop.wait(self._every if self._lock is not None else _STANDBY * self._every):
            self.step()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def stop(self) -> None:
        """Ends `run`, at its next look."""
        self._stop.set()

    def step(self) -> None:
        """Looks once."""
        if not self._is_mine():
            self._book.catch_up()
            return
        for change in self._book.note(self._pulse.status(), self._pulse.run(), self._clock()):
            self._teller.put(change)

    def _is_mine(self) -> bool:
        """Whether this process watches. While the store is away, the one that did goes on and says so."""
        try:
            if self._lock is not None and not self._lock.held():
                self._lock = None
            if self._lock is None:
                self._lock = locks.try_take(self._store.engine, LOCK)
                if self._lock is not None:
                    self._take_over()
        except StoreError:
            pass  # the status says it
        return self._lock is not None

    def _take_over(self) -> None:
        for change in untold(self._store):
            self._teller.put(change)


def main(argv: Sequence[str] | None = None) -> int:
    """Watches until it is stopped; 2: the request was wrong, 1: the store failed."""
    flags = argparse.ArgumentParser(prog="callbeam watch", description=(__doc__ or "").partition("\n\n")[2])
    flags.add_argument(
        "--store", default="sqlite:///callbeam.db", metavar="URL", help="result store (%(default)s)"
    )
    wanted = flags.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        store = open_store(wanted.store, create=False)
        alerts = load_alerts(store)
    except (RequestError, StoreError) as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG if isinstance(error, RequestError) else FAILED
    watch = Watch(store, Pulse(store), Teller(store))
    _until_stopped(watch)
    nobody = "" if alerts.url or alerts.host else "; nobody is told before /alerts is set up"
    print(f"callbeam: watching {store.name}{nobody}", flush=True)
    watch.run()
    store.close()
    return DONE


def _until_stopped(watch: Watch) -> None:
    def end(_: int, __: FrameType | None) -> None:
        watch.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
