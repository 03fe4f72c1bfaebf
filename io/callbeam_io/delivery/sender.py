"""The sender of a store: one, whichever process it runs in. It sends what is due, withdraws and expires."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final

from callbeam_io.delivery import rate as rates
from callbeam_io.delivery import webhook
from callbeam_io.delivery.calls import Lines
from callbeam_io.delivery.claims import Ended, Row, claim, note
from callbeam_io.delivery.facts import horizon, is_paused
from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.rate import BUCKET, RATE, bucket_of, rate_of
from callbeam_io.delivery.webhook import WEBHOOK, Post, Webhook, message_of, signing_webhook
from callbeam_io.sealing import NoKey
from callbeam_io.store import deliveries, locks
from callbeam_io.store.store import Store
from transforms.errors import StoreError

LOCK: Final = "deliveries"
_WORKERS: Final = 32
_MOST: Final = 500
"""Deliveries that are claimed at a time."""
_FRESH: Final = 1.0
"""Seconds for which what the gate said holds: whoever says no later than that is not contacted any more."""
_NOTED_EVERY: Final = 0.3
_EVERY: Final = 0.5
_STANDBY: Final = 2.0
"""Seconds between looks whether the process that sends is gone."""
_SHARE: Final = 20
"""Looking for withdrawals takes at most one part in so many of the time."""
_LOG: Final = logging.getLogger(__name__)


class Sender:
    """Sends the deliveries of a store while it holds the store's lock for that.

    A delivery is claimed (its attempt counted, its next one put off) before it is sent, and its end is written
    after: a process that dies in between leaves it waiting, and it is sent again with the same idempotency key.

    Args:
        store: of the deliveries.
        clock: seconds since 1970.
        post: sends one message; None: by the webhook, over connections that are kept.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, post: Post | None = None
    ) -> None:
        self._store, self._clock, self._lines = store, clock, Lines()
        self._post = post or partial(webhook.post, over=self._lines.call)
        self._lock: locks.RunLock | None = None
        self._pool = ThreadPoolExecutor(_WORKERS, "deliver")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept, self._sweep_took = -math.inf, 0.0
        self._trouble = ""
        self._reach = _WORKERS
        self._under_way: set[Future[Ended]] = set()
        self._ended: list[Ended] = []

    def start(self) -> None:
        """Goes on step after step on a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="sender", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread, waits for what is under way, and lets another process send."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown()
        self._lines.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def run(self) -> None:
        """Step after step until `close`; a store that is away is waited for."""
        while not self._stop.is_set():
            try:
                busy = self.step() > 0
                self._trouble = ""
            except (StoreError, NoKey) as error:
                busy = False
                self._say(str(error))
            self._stop.wait(0.01 if busy else _EVERY if self._lock is not None else _STANDBY)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            _LOG.warning("deliveries wait: %s", trouble)
        self._trouble = trouble

    def step(self) -> int:
        """Expires and withdraws, then sends what is due as far as rate and workers reach; gives how many.

        Raises:
            StoreError: the store is away.
            NoKey: the webhook's secret cannot be opened.
        """
        if not self.has_lock():
            return 0
        if self._under_way or self._ended:
            return self._collect()
        now = self._clock()
        self._sweep(now)
        with self._store.reading() as connection:
            found = rates.settings(connection, WEBHOOK, RATE, BUCKET)
            paused = is_paused(connection)
            some = bool(deliveries.due(connection, text_of(now), 1))
        if not found.get(WEBHOOK) or paused or not some:
            return 0
        hook = signing_webhook(self._store, found[WEBHOOK])
        if hook is None:
            return 0
        bucket = bucket_of(found.get(BUCKET), now).at_moment(now, rate_of(found.get(RATE)))
        if bucket.tokens < 1 and found.get(BUCKET):
            return 0  # it fills by itself
        self._send(hook, claim(self._store, now, bucket, self._reach))
        return self._collect()

    def _send(self, hook: Webhook, rows: list[Row]) -> None:
        """Begins to send what was claimed."""
        until = time.monotonic() + _FRESH
        self._under_way |= {self._pool.submit(self._call, hook, row, until) for row in rows}

    def _call(self, hook: Webhook, row: Row, until: float) -> Ended:
        """Sends one; not where what the gate said of it is no longer new."""
        if time.monotonic() >= until or self._stop.is_set():
            return row, None
        return row, self._post(hook, message_of(row), self._clock())

    def _collect(self) -> int:
        """Waits for what is under way and writes down what became of it; gives how many were sent.

        What cannot be written down as the store is away is kept for the next time.
        """
        begun, sent, tried, untried = time.monotonic(), 0, 0, 0
        while self._under_way or self._ended:
            done, self._under_way = wait(self._under_way, timeout=_NOTED_EVERY)
            self._ended += [call.result() for call in done]
            sent += note(self._store, self._ended, self._clock())
            given_back = sum(answer is None for _, answer in self._ended)
            tried, untried = tried + len(self._ended) - given_back, untried + given_back
            self._ended = []
        self._learn(time.monotonic() - begun, tried, untried)
        return sent

    def _learn(self, took: float, tried: int, untried: int) -> None:
        """As many are claimed at a time as can be sent while what the gate said of them is new."""
        if untried:
            self._reach = max(tried, _WORKERS)
        elif tried >= self._reach and took < _FRESH / 2:
            self._reach = min(self._reach * 2, _MOST)

    def has_lock(self) -> bool:
        """Whether this process is the store's sender, or becomes it now."""
        if self._lock is not None and not self._lock.held():
            self._lock = None
        if self._lock is None:
            self._lock = locks.try_take(self._store.engine, LOCK)
        return self._lock is not None

    def _sweep(self, now: float) -> None:
        """Expires, and withdraws what people do not want any more; for what is due the gate does both anyway."""
        begun = time.monotonic()
        if begun - self._swept < max(1.0, self._sweep_took * _SHARE):
            return
        with self._store.reading() as connection:
            until = horizon(connection, now)
        deliveries.expire(self._store, text_of(now))
        deliveries.withdraw_unwelcome(self._store, text_of(now), until)
        self._swept = time.monotonic()
        self._sweep_took = self._swept - begun
        self._lines.tidy()
