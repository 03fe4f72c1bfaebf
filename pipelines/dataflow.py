"""What is particular to Dataflow: its own Pub/Sub reader, a store that its workers reach, dry runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.sink import WriteResults
from callbeam_io.sources.files import FileSource
from callbeam_io.sources.live import LiveFeed, Preparer
from callbeam_io.sources.unbounded import FeedSource
from pipelines import graph
from pipelines.preflight import Prepared, PreparedLive
from transforms.cleaning import Prepare
from transforms.live_settings import LiveSettings
from transforms.packets import Packet, PacketCoder

RUN_ID = "dry-run"


@dataclass
class ReadFeeds(beam.PTransform):
    """``Pipeline -> PCollection`` of packets: Pub/Sub by Dataflow's own reader, all else by ours.

    Attributes:
        key: of the run.
        feeds: in the order of ``--input``.
        prepare: makes packets of parsed batches.
        tick_every: seconds between packets without records.
        drained: whether the run was told to drain.
    """

    key: str
    feeds: list[LiveFeed]
    prepare: Preparer
    tick_every: float
    drained: Callable[[], bool]

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
                read = ReadMessages(live.feed, self.prepare, key, live.lateness, self.tick_every, Packet)
                branches.append(pbegin | f"PubSub{number}" >> read)
        others = [f for f in self.feeds if not _is_pubsub(f)]
        if others:
            source: UnboundedSource = FeedSource(
                self.key, others, self.prepare, PacketCoder(), self.tick_every, self.drained
            )
            branches.append(pbegin | "Feeds" >> ReadFromUnboundedSource(source))
        return branches | "AllFeeds" >> beam.Flatten()


def _is_pubsub(live: LiveFeed) -> bool:
    return live.feed.name.startswith("pubsub://")


def dry_run(prepared: Prepared | PreparedLive) -> beam.Pipeline:
    """Builds the graph of a run and hands it to Dataflow's client, which checks it and sends nothing."""
    pipeline = beam.Pipeline(options=PipelineOptions([*prepared.engine.args]))
    config = prepared.config
    if isinstance(prepared, PreparedLive):
        build_live(pipeline, prepared)
    else:
        source = FileSource(tuple(prepared.inputs.blocks))
        graph.build(pipeline, config, RUN_ID, source, WriteResults(config.output, RUN_ID), prepared.book)
    pipeline.run()
    return pipeline


def build_live(pipeline: beam.Pipeline, prepared: PreparedLive, run_id: str = RUN_ID) -> None:
    """The streaming graph on Dataflow."""
    from pipelines.durable_job import DURABLE_SHARDS, Drained  # it asks here for its source

    config = prepared.config
    feeds = [LiveFeed(f, config.lateness or 0) for f in prepared.feeds]
    prepare = Prepare(config.clean_settings(), config.reference, config.max_ahead)
    read = ReadFeeds(run_id, feeds, prepare, config.early_every, Drained(config.output, run_id))
    settings = LiveSettings(
        run_id, config.live_plan(), config.reference, DURABLE_SHARDS, read.splits, durable=True
    )
    sink = WriteResults(config.output, run_id, append=False, keep_windows=config.keep_windows)
    graph.build_live(pipeline, settings, prepared.engine.runner, read, sink)
