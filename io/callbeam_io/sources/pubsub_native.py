"""Google Pub/Sub on Dataflow: the service's own reader, which also drops what Pub/Sub delivers again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.transforms.periodicsequence import PeriodicImpulse

from callbeam_io.formats.payloads import MessageParser
from callbeam_io.sources.live import MICROS
from callbeam_io.sources.messages import parse_messages
from callbeam_io.sources.reading import Preparer

_BATCH: Final = 1000


class Subscription(Protocol):
    """What is read of a feed; see `callbeam_io.sources.pubsub.PubSubFeed`."""

    @property
    def name(self) -> str:
        """The input."""

    @property
    def subscription(self) -> str:
        """``projects/P/subscriptions/S``."""

    @property
    def parser(self) -> MessageParser:
        """Of its messages."""


@dataclass
class ReadMessages(beam.PTransform):
    """``Pipeline -> PCollection`` of elements made of a subscription's messages, with ticks among them.

    Each worker judges lateness against the greatest start that it has read itself: Dataflow's own watermark is
    that of publishing, not of the records.

    Attributes:
        feed: the subscription.
        prepare: makes elements of parsed batches.
        key: tells these elements apart from those of other readers of the run.
        lateness: seconds.
        tick_every: seconds between elements without records.
        element: type of the elements.
        id_label: attribute of a message by which Dataflow knows it again; None: Pub/Sub's own id.
    """

    feed: Subscription
    prepare: Preparer
    key: str
    lateness: int
    tick_every: float
    element: type
    id_label: str | None = None

    def expand(self, pbegin: Any) -> beam.PCollection[Any]:
        """Messages in batches, and ticks."""
        read = ReadFromPubSub(
            subscription=self.feed.subscription, id_label=self.id_label, with_attributes=True
        )
        parse = _ParseFn(self.feed, self.prepare, self.key, self.lateness)
        packets = (
            pbegin
            | "ReadFromPubSub" >> read
            | "Batch" >> beam.BatchElements(min_batch_size=1, max_batch_size=_BATCH)
            | "Parse" >> beam.ParDo(parse).with_output_types(self.element)
        )
        tick = _TickFn(self.prepare, self.key)
        ticks = (
            pbegin
            | "EveryFewSeconds" >> PeriodicImpulse(fire_interval=self.tick_every)
            | "Tick" >> beam.ParDo(tick).with_output_types(self.element)
        )
        return (packets, ticks) | "PacketsAndTicks" >> beam.Flatten()


_GREATEST: Final[dict[str, int]] = {}
"""Greatest start that this process has read, in microseconds, by reader."""


class _ParseFn(beam.DoFn):
    """Messages -> an element."""

    def __init__(self, feed: Subscription, prepare: Preparer, key: str, lateness: int) -> None:
        self._subscription, self._parser = feed.subscription, feed.parser
        self._prepare, self._key, self._lateness = prepare, key, lateness

    def process(self, messages: list[PubsubMessage]) -> Iterator[Any]:
        payloads = [m.data for m in messages]
        ids = [m.message_id or str(n) for n, m in enumerate(messages)]
        ready = self._prepare.clean(parse_messages(self._parser, payloads, ids, self._subscription))
        before = _GREATEST.get(self._key)
        horizon = None if before is None else before - self._lateness * MICROS
        now = max((m for m in (before, ready.greatest) if m is not None), default=None)
        if now is not None:
            _GREATEST[self._key] = now
        yield self._prepare.finish(ready, horizon, {"watermark": now, "split": self._key, "idle": False})


class _TickFn(beam.DoFn):
    """An impulse -> an element without records, which lets shards show what changed."""

    def __init__(self, prepare: Preparer, key: str) -> None:
        self._prepare, self._key = prepare, key

    def process(self, _: Any) -> Iterator[Any]:
        header = {"watermark": _GREATEST.get(self._key), "split": self._key, "idle": False, "tick": True}
        yield self._prepare.finish(None, None, header)
