"""Google Pub/Sub as a live feed: messages are pulled into a spool beside the store and read from there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from callbeam_io.formats.payloads import MessageParser, message_parser
from callbeam_io.sources.feeds import Chunk, Position, SplitReader
from callbeam_io.sources.messages import CHUNK_BYTES, Pace, parse_messages
from callbeam_io.sources.pubsub_pull import Puller, reason_of, subscriber
from callbeam_io.sources.spool import Segment, Spool
from transforms.errors import InputError, RunError, StoreError

_CHECK_TIMEOUT: Final = 5.0
_EXPECTED: Final = "pubsub://projects/PROJECT/subscriptions/NAME"
_INPUT: Final = re.compile(r"pubsub://(projects/[^/?#\s]+/subscriptions/[^/?#\s]+)/?")


@dataclass(frozen=True)
class PubSubFeed:
    """A subscription; see `callbeam_io.sources.feeds.Feed`. One pipeline reads it at a time.

    Attributes:
        subscription: ``projects/P/subscriptions/S``.
        parser: of its messages.
        spool: folder for messages that were acknowledged but are in no snapshot yet; the same when the run
            goes on.
    """

    subscription: str
    parser: MessageParser
    spool: Path

    lateness = 86400
    accelerated = False

    @property
    def name(self) -> str:
        """``pubsub://projects/P/subscriptions/S``."""
        return f"pubsub://{self.subscription}"

    def check(self) -> None:
        """Raises InputError when the service does not answer or has no such subscription."""
        try:
            with subscriber() as client:
                client.get_subscription(subscription=self.subscription, timeout=_CHECK_TIMEOUT, retry=None)
        except exceptions.PermissionDenied:
            return  # who may pull may often not look; the pull will say
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise InputError(
                f"--input {self.name}: {reason_of(error)}", "a subscription that can be pulled from"
            ) from error

    def splits(self) -> Sequence[str]:
        """One: the service has no partitions."""
        return ("messages",)

    def open(self, split: str, position: Position) -> SplitReader:
        """Reads on; None: from the oldest message in the spool, then what the service has."""
        return PubSubReader(self, position)


class PubSubReader:
    """Reads the spool in order; see `callbeam_io.sources.feeds.SplitReader`.

    A position is ``[segment, message]``, the next one to read.
    """

    def __init__(self, feed: PubSubFeed, position: Sequence[int] | None) -> None:
        self._feed = feed
        self._segment, self._message = position or (0, 0)
        self._pace = Pace(most=50_000)
        self._held: tuple[Segment, list[str], list[bytes]] | None = None
        self._spool = Spool(feed.spool, self._segment)
        self._must_be_there()
        self._puller = Puller(feed.subscription, self._spool)
        self._puller.reads_from(self._segment)

    def poll(self, timeout: float) -> Chunk | None:
        """The next messages of the spool as one chunk.

        Raises:
            StoreError: the spool cannot be read.
            RunError: pulling ended.
        """
        if self._puller.failure is not None:
            raise RunError(f"{self._feed.subscription}: pulling failed") from self._puller.failure
        if self._spool.first_after(self._segment, timeout) is None:
            return None
        ids: list[str] = []
        payloads: list[bytes] = []
        size = 0
        while len(ids) < self._pace.messages and size < CHUNK_BYTES:
            taken = self._take(self._pace.messages - len(ids))
            if taken is None:
                break
            ids += taken[0]
            payloads += taken[1]
            size += sum(map(len, taken[1]))
        self._puller.reads_from(self._segment)
        batch = parse_messages(self._feed.parser, payloads, ids, self._feed.subscription)
        self._pace.saw(len(ids), batch.num_rows, size)
        return Chunk(batch, [self._segment, self._message], size)

    def commit(self, position: Position) -> None:
        """Deletes the segments that are wholly before the position."""
        if position is not None:
            self._spool.commit(position[0])

    def lag(self) -> int | None:
        """Messages in the spool; None while the service may have more."""
        if not self._puller.drained:
            return None
        return max(0, self._spool.waiting(self._segment)[0] - self._message)

    def trouble(self) -> str | None:
        """What the last pull met."""
        return self._puller.trouble

    def ended(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Stops pulling; what is in the spool stays there."""
        self._puller.close()
        self._spool.close()

    def _take(self, most: int) -> tuple[list[str], list[bytes]] | None:
        """Up to so many messages of one segment, and moves behind them."""
        segment = self._spool.first_after(self._segment)
        if segment is None:
            return None
        if segment.number != self._segment:
            self._segment, self._message = segment.number, 0
        if self._held is None or self._held[0] != segment:
            self._held = (segment, *self._spool.read(segment))
        _, ids, payloads = self._held
        part = slice(self._message, self._message + most)
        self._message += most
        if self._message >= segment.messages:
            self._segment, self._message, self._held = segment.number + 1, 0, None
        return ids[part], payloads[part]

    def _must_be_there(self) -> None:
        """Within a segment one can only go on if it is still there."""
        segment = self._spool.first_after(self._segment)
        if self._message and (segment is None or segment.number != self._segment):
            self._spool.close()
            raise StoreError(
                f"the spool {self._feed.spool} has no segment {self._segment}, which is to be read on: its "
                "messages are lost to this run. Bring the folder back, or start with --fresh"
            )


def open_pubsub(text: str, input_format: str, timezone: str, spool: Path) -> PubSubFeed:
    """The feed of a ``pubsub://`` input; its spool is a folder of its own in ``spool``.

    Raises:
        InputError: it cannot be read.
    """
    found = _INPUT.fullmatch(text)
    if not found:
        raise InputError(f"--input {text}", _EXPECTED)
    name = "-".join(found[1].split("/")[1::2]) + f"-{hashlib.sha256(found[1].encode()).hexdigest()[:8]}"
    return PubSubFeed(found[1], message_parser(input_format, timezone), spool.absolute() / name)
