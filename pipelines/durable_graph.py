"""The streaming graph for engines that keep state by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import apache_beam as beam

from callbeam_io.sink import WriteResults, drain_key
from callbeam_io.sources.reading import LiveFeed
from callbeam_io.sources.unbounded import FeedSource
from callbeam_io.store import mends
from pipelines import graph
from pipelines.dataflow import ReadFeeds
from pipelines.durable_rules import StoreRules, worker_store
from pipelines.preflight import PreparedLive
from transforms.cleaning import Prepare
from transforms.errors import StoreError
from transforms.live_settings import LiveSettings
from transforms.packets import PacketCoder

DURABLE_SHARDS: Final = 8


@dataclass(frozen=True)
class Drained:
    """Whether a run was told to drain: a setting in the store, so that any worker can ask; picklable."""

    url: str
    run_id: str

    def __call__(self) -> bool:
        """Asks the store; while it is away nobody was told."""
        try:
            return bool(worker_store(self.url).control(drain_key(self.run_id)))
        except StoreError as error:
            if not mends(error):
                raise
            return False


def build_durable(pipeline: beam.Pipeline, prepared: PreparedLive, run_id: str) -> None:
    """Wires the run: on Dataflow Pub/Sub is read by the service itself, all else by our own source."""
    config, runner = prepared.config, prepared.engine.runner
    feeds = [LiveFeed(f, config.lateness or 0) for f in prepared.feeds]
    prepare = Prepare(config.clean_settings(), config.reference, config.max_ahead)
    drained = Drained(config.output, run_id)
    if runner == "DataflowRunner":
        read = ReadFeeds(run_id, feeds, prepare, config.early_every, drained, config.pubsub_id_label)
        source: FeedSource | ReadFeeds = read
        splits = read.splits
    else:
        source = FeedSource(run_id, feeds, prepare, PacketCoder(), config.early_every, drained)
        splits = sum(len(f.feed.splits()) for f in feeds)
    rulings = StoreRules(config.output, run_id, config.consent_default)
    settings = LiveSettings(
        run_id, config.live_plan(), config.reference, DURABLE_SHARDS, splits, durable=True, rulings=rulings
    )
    sink = WriteResults(config.output, run_id, append=False, keep_windows=config.keep_windows)
    graph.build_live(pipeline, settings, runner, source, sink)
