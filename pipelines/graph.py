"""The one place where source, templates and sink meet."""

from __future__ import annotations

from typing import Any, Protocol

import apache_beam as beam

from pipelines.config import RunConfig
from transforms.cleaning import CleanRecords, Loader
from transforms.schema import SHARDS
from transforms.shards import AnalyseShards


class Source(Loader, Protocol):
    """Where elements come from, and how they become parsed batches."""

    def read(self) -> beam.PTransform:
        """``Pipeline -> PCollection`` of elements."""


def build(
    pipeline: beam.Pipeline, config: RunConfig, run_id: str, source: Source, sink: beam.PTransform
) -> beam.PCollection[Any]:
    """Wires a batch run: read, clean, analyse by shard, write.

    Args:
        pipeline: where the steps go.
        config: what the run is asked to do.
        run_id: of the run.
        source: of elements; its ``load`` runs on the workers.
        sink: takes packets of tables.
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
    results = records | "Analyse" >> AnalyseShards(config.plan, config.reference)
    return results | "Write" >> sink
