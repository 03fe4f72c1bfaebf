"""A run whose graph is only checked: Dataflow's client takes it and sends nothing."""

from __future__ import annotations

from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.sink import WriteResults
from callbeam_io.sources.files import FileSource
from pipelines import graph
from pipelines.durable_graph import build_durable
from pipelines.preflight import Prepared, PreparedLive

RUN_ID: Final = "dry-run"


def dry_run(prepared: Prepared | PreparedLive) -> beam.Pipeline:
    """Builds the graph of a run and hands it to the client; gives the pipeline to look at."""
    pipeline, config = beam.Pipeline(options=PipelineOptions([*prepared.engine.args])), prepared.config
    if isinstance(prepared, PreparedLive):
        build_durable(pipeline, prepared, RUN_ID)
    else:
        source = FileSource(tuple(prepared.inputs.blocks))
        graph.build(pipeline, config, RUN_ID, source, WriteResults(config.output, RUN_ID), prepared.book)
    pipeline.run()
    return pipeline
