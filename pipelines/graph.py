"""The one place where source, templates and sink meet."""

from __future__ import annotations

import time
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource

from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.sink import WriteResults
from callbeam_io.sources.local_read import LocalRead
from pipelines.config import RunConfig
from pipelines.engines import LOCAL_STREAMING
from pipelines.keeping import KeepRecords
from pipelines.rulebook import BookSpec
from transforms.cleaning import CleanRecords, Loader
from transforms.decide import DecidePromotions
from transforms.hours import group_shards
from transforms.live import AnalyseLive
from transforms.live_collect import CountWritten
from transforms.live_local import AnalyseHere
from transforms.live_settings import LiveSettings
from transforms.packets import Packet
from transforms.schema import SHARDS
from transforms.shards import AnalyseGroups


class Source(Loader, Protocol):
    """Where elements come from, and how they become parsed batches."""

    def read(self) -> beam.PTransform:
        """``Pipeline -> PCollection`` of elements."""


def build(
    pipeline: beam.Pipeline,
    config: RunConfig,
    run_id: str,
    source: Source,
    sink: WriteResults,
    book: BookSpec | None = None,
) -> beam.PCollection[Any]:
    """Wires a batch run: read, clean, analyse by shard, decide rules, write.

    Args:
        pipeline: where the steps go.
        config: what the run is asked to do.
        run_id: of the run.
        source: of elements; its ``load`` runs on the workers.
        sink: takes packets of tables.
        book: the rules and consents; None: no rule is on.
    """
    elements = pipeline | "Read" >> source.read()
    records = elements | "Clean" >> CleanRecords(
        loader=source,
        settings=config.clean_settings(),
        reference=config.reference,
        run_id=run_id,
        shards=SHARDS,
        max_bad_ratio=config.max_bad_ratio,
    )
    groups = group_shards(records)
    results = groups | "Analyse" >> AnalyseGroups(config.plan, config.reference, sink.writer)
    if config.keep_records:
        kept = KeptRecords(folder_of(config.output), run_id)
        keep = KeepRecords(kept, int(time.time()) - config.keep_records)
        results = (results, records | "Keep" >> keep) | "ResultsAndFiles" >> beam.Flatten()
    if book is not None:
        decide = DecidePromotions(book, config.rule_settings, config.reference, sink.writer)
        results = (results, groups | "Decide" >> decide) | "ResultsAndPromotions" >> beam.Flatten()
    return results | "Write" >> sink


def build_live(
    pipeline: beam.Pipeline,
    settings: LiveSettings,
    runner: str,
    source: UnboundedSource | beam.PTransform,
    sink: beam.PTransform,
) -> beam.PCollection[Any]:
    """Wires a streaming run: read, spread over shards, keep, collect, write; one line from end to end.

    Args:
        pipeline: where the steps go.
        settings: of the live steps.
        runner: its name says how an unbounded source is read.
        source: of packets, or the transform that reads them.
        sink: takes packets of tables.
    """
    if isinstance(source, beam.PTransform):
        read: beam.PTransform = source
    elif runner == LOCAL_STREAMING:
        read = LocalRead(source, settings.run_id, Packet)
    else:
        read = ReadFromUnboundedSource(
            source, poll_interval=0.2, max_records_per_bundle=20, max_read_time_seconds=1
        )
    packets = pipeline | "Read" >> read
    if not isinstance(read, LocalRead):
        packets = packets | "Packets" >> beam.Map(_same).with_output_types(Packet)
    analyse = AnalyseLive(settings) if settings.durable else AnalyseHere(settings)
    results = packets | "Analyse" >> analyse
    return results | "Write" >> sink | "Done" >> CountWritten(settings)


def _same(packet: Packet) -> Packet:
    """The packet; the step gives it a type that every engine knows."""
    return packet
