"""The sending rate: a token bucket that lives in the store, so that no stop ends in a burst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from callbeam_io.delivery.moments import text_of
from callbeam_io.store.tables import TABLES

RATE: Final = "deliveries.rate"
"""The setting: messages a minute."""
BUCKET: Final = "deliveries.bucket"
DEFAULT_RATE: Final = 60
LARGEST_RATE: Final = 60_000
_CONTROL: Final = TABLES["control"]


@dataclass(frozen=True)
class Bucket:
    """How many messages may go at once, as of a moment; it never holds more than a second's worth (or one)."""

    at: float
    tokens: float

    def at_moment(self, now: float, rate: int) -> Bucket:
        """The bucket later; a clock that was put back fills nothing."""
        gained = max(now - self.at, 0.0) * rate / 60
        return Bucket(now, min(max(rate / 60, 1.0), self.tokens + gained))

    def without(self, sent: int) -> Bucket:
        """The bucket after some messages."""
        return Bucket(self.at, self.tokens - sent)


def bucket_of(value: Mapping[str, Any] | None, now: float) -> Bucket:
    """The bucket of a setting's value; a store that never sent begins with an empty one."""
    return Bucket(float(value["at"]), float(value["tokens"])) if value else Bucket(now, 0.0)


def rate_of(value: Any) -> int:
    """The rate of a setting's value."""
    return min(max(int(value), 1), LARGEST_RATE) if isinstance(value, int | float) else DEFAULT_RATE


def keep(connection: Connection, bucket: Bucket) -> None:
    """Writes the bucket, in the caller's transaction."""
    values = {"value": {"at": bucket.at, "tokens": bucket.tokens}, "updated_at": text_of(bucket.at)}
    if connection.execute(update(_CONTROL).where(_CONTROL.c.name == BUCKET).values(**values)).rowcount == 0:
        connection.execute(insert(_CONTROL).values(name=BUCKET, **values))


def settings(connection: Connection, *names: str) -> dict[str, Any]:
    """Values of some settings; those that were never set are missing."""
    found = select(_CONTROL.c.name, _CONTROL.c.value).where(_CONTROL.c.name.in_(names))
    return {row[0]: row[1] for row in connection.execute(found)}
