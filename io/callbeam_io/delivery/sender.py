"""The sender of a store: one, whichever process it runs in. It sends what is due, withdraws and expires."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Final

from sqlalchemy import func

from callbeam_io.delivery import rate as rates
from callbeam_io.delivery import webhook
from callbeam_io.delivery.facts import horizon, is_paused
from callbeam_io.delivery.gate import GO
from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.passing import judged, turn_back
from callbeam_io.delivery.rate import BUCKET, RATE, bucket_of, rate_of
from callbeam_io.delivery.webhook import (
    AGAIN,
    SENT,
    WEBHOOK,
    Answer,
    Post,
    Webhook,
    message_of,
    signing_webhook,
)
from callbeam_io.sealing import NoKey
from callbeam_io.store import deliveries, locks
from callbeam_io.store.deliveries import WAITING, key_of
from callbeam_io.store.store import Store
from transforms.errors import StoreError

ATTEMPTS: Final = 12
"""After so many a delivery has failed: about three hours with the waits between them."""
LOCK: Final = "deliveries"
_LEASE: Final = 60
"""Seconds for which nobody else sends what one process is about to: longer than a call can take."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 3600.0
_WORKERS: Final = 8
_EVERY: Final = 0.5
_STANDBY: Final = 2.0
"""Seconds between looks whether the process that sends is gone."""
_SHARE: Final = 20
"""Looking for withdrawals takes at most one part in so many of the time."""
_LOG: Final = logging.getLogger(__name__)
Row = dict[str, Any]


class Sender:
    """Sends the deliveries of a store while it holds the store's lock for that.

    A delivery is claimed (its attempt counted, its next one put off) before it is sent, and its end is written
    after: a process that dies in between leaves it waiting, and it is sent again with the same idempotency key.

    Args:
        store: of the deliveries.
        clock: seconds since 1970.
        post: sends one message.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, post: Post = webhook.post
    ) -> None:
        self._store, self._clock, self._post = store, clock, post
        self._lock: locks.RunLock | None = None
        self._pool = ThreadPoolExecutor(_WORKERS, "deliver")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept, self._sweep_took = -math.inf, 0.0
        self._trouble = ""

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
        claimed = self._claim(now, bucket)
        sent = 0
        calls = [self._pool.submit(self._call, hook, row) for row in claimed]
        for call in as_completed(
            calls
        ):  # written here, one after the other: threads would wait for each other
            sent += self._note(*call.result())
        return sent

    def _call(self, hook: Webhook, row: Row) -> tuple[Row, Answer]:
        return row, self._post(hook, message_of(row), self._clock())

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

    def _claim(self, now: float, bucket: rates.Bucket) -> list[Row]:
        """What may be sent at this moment, with its attempt counted; the others get what the gate says."""
        wanted = min(int(bucket.tokens), _WORKERS)
        with self._store.writing() as connection:
            found = judged(connection, deliveries.due(connection, text_of(now), wanted), now)
            going = [row for row, verdict in found if verdict.state == GO]
            claimed = {
                "attempts": func.coalesce(deliveries.DELIVERIES.c.attempts, 0) + 1,
                "next_at": text_of(now + _LEASE),
            }
            deliveries.change_waiting(connection, [key_of(row) for row in going], **claimed)
            turn_back(connection, [one for one in found if one[1].state != GO], now)
            rates.keep(connection, bucket.without(len(going)))
        return [{**row, "attempts": (row["attempts"] or 0) + 1} for row in going]

    def _note(self, row: Row, answer: Answer) -> int:
        """Writes down what became of a delivery; gives 1 where it was sent."""
        now = self._clock()
        states: tuple[str, ...] = (WAITING,)
        if answer.state == SENT:
            states = ()  # it has gone, even where somebody withdrew it meanwhile
            values: Row = {"state": "sent", "at": text_of(now), "next_at": None, "detail": answer.detail}
        elif answer.state == AGAIN and row["attempts"] < ATTEMPTS:
            wait = max(answer.wait, backoff(row["attempts"]))
            values = {"next_at": text_of(math.ceil(now + wait)), "detail": answer.detail}
        else:
            values = {"state": "failed", "at": text_of(now), "next_at": None, "detail": answer.detail}
        with self._store.writing() as connection:
            deliveries.change(connection, key_of(row), *states, **values)
        return int(answer.state == SENT)


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: doubling from 5 s to an hour, the last half of it at random."""
    whole = min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)
    return whole * random.uniform(0.5, 1.0)
