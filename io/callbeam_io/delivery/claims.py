"""Deliveries that are about to be sent: claimed together, noted together, a transaction each."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, func

from callbeam_io.delivery import rate as rates
from callbeam_io.delivery.gate import GO
from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.passing import judged, turn_back
from callbeam_io.delivery.rate import BUCKET, Bucket, bucket_of
from callbeam_io.delivery.webhook import AGAIN, SENT, Answer
from callbeam_io.store import deliveries
from callbeam_io.store.deliveries import DELIVERIES, WAITING, Key, key_of
from callbeam_io.store.store import Store

ATTEMPTS: Final = 12
"""After so many a delivery has failed: about three hours with the waits between them."""
_LEASE: Final = 60
"""Seconds for which nobody else sends what one process is about to: longer than a call can take."""
_GIVE_WAY: Final = 0.25
"""Seconds of waiting for the store from which on others wait as well; they look again ten times a second."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 3600.0
Row = dict[str, Any]
Ended = tuple[Row, Answer | None]
"""A delivery and what became of it; None: it was not tried."""


def claim(store: Store, now: float, bucket: Bucket, most: int) -> list[Row]:
    """What may be sent at this moment, with its attempt counted; the others get what the gate says.

    Args:
        store: of the deliveries.
        now: seconds since 1970.
        bucket: of the rate, as of now.
        most: at most as many.

    Nothing where the store was long in the hands of another writer: whoever waits to withdraw something goes first.
    """
    begun = time.monotonic()
    with store.writing() as connection:
        if time.monotonic() - begun > _GIVE_WAY:
            return []
        rows = deliveries.due(connection, text_of(now), min(int(bucket.tokens), most))
        found = judged(connection, rows, now)
        going = [row for row, verdict in found if verdict.state == GO]
        attempts = func.coalesce(DELIVERIES.c.attempts, 0) + 1
        keys = [key_of(row) for row in going]
        deliveries.change_all(connection, keys, WAITING, attempts=attempts, next_at=text_of(now + _LEASE))
        turn_back(connection, [one for one in found if one[1].state != GO], now)
        rates.keep(connection, bucket.without(len(going)))
    return [{**row, "attempts": (row["attempts"] or 0) + 1} for row in going]


def note(store: Store, ended: Sequence[Ended], now: float) -> int:
    """Writes down what became of claimed deliveries; gives how many were sent."""
    answered: dict[tuple[tuple[str, str | None], ...], list[Key]] = {}
    untried = [key_of(row) for row, answer in ended if answer is None]
    for row, answer in ended:
        if answer is not None:
            answered.setdefault(tuple(_values(row, answer, now).items()), []).append(key_of(row))
    if not ended:
        return 0
    with store.writing() as connection:
        for values, keys in answered.items():
            sent = ("state", "sent") in values  # it has gone, even where somebody withdrew it meanwhile
            deliveries.change_all(connection, keys, *(() if sent else (WAITING,)), **dict(values))
        if untried:
            _give_back(connection, untried, now)
    return sum(answer is not None and answer.state == SENT for _, answer in ended)


def _values(row: Row, answer: Answer, now: float) -> dict[str, str | None]:
    if answer.state == AGAIN and row["attempts"] < ATTEMPTS:
        wait = max(answer.wait, backoff(row["attempts"]))
        return {"next_at": text_of(math.ceil(now + wait)), "detail": answer.detail}
    state = "sent" if answer.state == SENT else "failed"
    return {"state": state, "at": text_of(now), "next_at": None, "detail": answer.detail}


def _give_back(connection: Connection, keys: list[Key], now: float) -> None:
    """They wait on as before, and count for the rate no more."""
    deliveries.change_all(connection, keys, WAITING, attempts=DELIVERIES.c.attempts - 1, next_at=None)
    bucket = bucket_of(rates.settings(connection, BUCKET).get(BUCKET), now)
    rates.keep(connection, bucket.without(-len(keys)))


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: doubling from 5 s to an hour, the last half of it at random."""
    whole = min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)
    return whole * random.uniform(0.5, 1.0)
