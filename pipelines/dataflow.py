"""Live feeds on Dataflow: Pub/Sub by the service's own reader, all else by ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource

from callbeam_io.sources.reading import LiveFeed, Preparer
from callbeam_io.sources.unbounded import FeedSource
from transforms.packets import Packet, PacketCoder


@dataclass
class ReadFeeds(beam.PTransform):
    """``Pipeline -> PCollection`` of packets: Pub/Sub by Dataflow's own reader, all else by ours.

    Attributes:
        key: of the run.
        feeds: in the order of ``--input``.
        prepare: makes packets of parsed batches.
        tick_every: seconds between packets without records.
        drained: whether the run was told to drain.
        id_label: attribute by which the service knows repeated Pub/Sub messages; None: Pub/Sub's own id.
    """

    key: str
    feeds: list[LiveFeed]
    prepare: Preparer
    tick_every: float
    drained: Callable[[], bool]
    id_label: str | None = None

    @property
    def splits(self) -> int:
        """Number of readers."""
        return sum(1 if _is_pubsub(f) else len(f.feed.splits()) for f in self.feeds)

    def expand(self, pbegin: Any) -> beam.PCollection[Packet]:
        """A branch per subscription and one for all other feeds, flattened."""
        from callbeam_io.sources.pubsub_native import ReadMessages  # needs the gcp extra

        branches = []
        for number, live in enumerate(self.feeds):
            if _is_pubsub(live):
                key = f"{self.key}/{number}/messages"
                how = (live.lateness, self.tick_every, Packet, self.id_label)
                read = ReadMessages(live.feed, self.prepare, key, *how)
                branches.append(pbegin | f"PubSub{number}" >> read)
        others = [f for f in self.feeds if not _is_pubsub(f)]
        if others:
            source = FeedSource(self.key, others, self.prepare, PacketCoder(), self.tick_every, self.drained)
            branches.append(pbegin | "Feeds" >> ReadFromUnboundedSource(source))
        return branches | "AllFeeds" >> beam.Flatten()


def _is_pubsub(live: LiveFeed) -> bool:
    return live.feed.name.startswith("pubsub://")
