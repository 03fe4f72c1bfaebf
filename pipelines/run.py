"""``python -m pipelines.run``: call detail records in, results out."""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # the work of a step is spread over threads already

import gc
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.sink import WriteResults
from callbeam_io.sources.files import FileSource
from callbeam_io.store import Store
from pipelines import graph
from pipelines.deliveries import queue_batch
from pipelines.engines import IN_PROCESS
from pipelines.kept_plans import keep_plans
from pipelines.orphans import guard_children
from pipelines.preflight import Prepared, PreparedLive, prepare
from pipelines.progress import Progress
from pipelines.summary import fates, summary
from transforms.errors import CallbeamError, RequestError, StoreError
from transforms.tally import Tally, tally_of, too_many

DONE, FAILED, WRONG, CANCELLED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline; the exit status is 0 done, 1 failed, 2 wrong request, 130 cancelled."""
    words = list(sys.argv[1:] if argv is None else argv)
    gc.freeze()  # what is imported stays
    keep_plans()
    try:
        prepared = prepare(words)
    except RequestError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG
    if prepared.engine.is_dry:
        from pipelines.dry_run import dry_run

        dry_run(prepared)
        print("callbeam: Dataflow's client takes the graph; nothing was sent, nothing was run")
        return DONE
    if isinstance(prepared, PreparedLive):
        from pipelines.live import run_live  # what batch does not need would only cost its start

        return run_live(prepared, words)
    return run_batch(prepared)


def run_batch(prepared: Prepared) -> int:
    """A batch run from start to its last word."""
    config, store = prepared.config, prepared.store
    started = time.monotonic()
    run_id = store.start_run(mode="batch", runner=prepared.engine.runner, options=config.as_options())
    print(f"callbeam: run {run_id} begins", file=sys.stderr, flush=True)
    previous = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        run_pipeline(prepared, run_id)
        judge(store, run_id, config.max_bad_ratio)
        queued = queue_batch(prepared, run_id)
    except KeyboardInterrupt:
        store.finish_run(run_id, "cancelled")
        print(f"callbeam: run {run_id} cancelled", file=sys.stderr, flush=True)
        os._exit(CANCELLED)  # the engine's threads would go on to the end
    except Exception as error:
        return _failed(store, run_id, error)
    finally:
        signal.signal(signal.SIGTERM, previous)
    store.finish_run(run_id, "done")
    store.prune_runs(config.keep_runs)
    run = store.run(run_id)
    engine = f"{prepared.engine.runner} ({prepared.engine.why})"
    print(summary(store, run, config, (*prepared.notes, *queued), engine, time.monotonic() - started))
    return DONE


def run_pipeline(prepared: Prepared, run_id: str) -> None:
    """Builds the graph and waits for its end."""
    config = prepared.config
    tally = tally_of(run_id)
    beat = _heartbeat(prepared.store, run_id)
    with Progress(tally, prepared.inputs.bytes if prepared.engine.in_process else 0, beat):
        pipeline = beam.Pipeline(options=PipelineOptions(list(prepared.engine.args)))
        source = FileSource(tuple(prepared.inputs.blocks))
        sink = WriteResults(config.output, run_id, wait=prepared.engine.runner not in IN_PROCESS)
        graph.build(pipeline, config, run_id, source, sink, prepared.book)
        result = pipeline.run()
        guard_children(prepared.engine.runner)
        result.wait_until_finish()
        if not sink.wait:
            sink.writer.flush()


def _heartbeat(store: Store, run_id: str):  # type: ignore[no-untyped-def]
    def beat(tally: Tally) -> None:
        with suppress(StoreError):  # the writer keeps the store busy, and shows the run alive itself
            store.update_run(run_id, records_read=tally.read, records_rejected=tally.rejected)

    return beat


def judge(store: Store, run_id: str, max_bad_ratio: float) -> None:
    """Raises `TooManyRejects` where the whole input had too many."""
    run = store.run(run_id)
    read, rejected = run["records_read"] or 0, run["records_rejected"] or 0
    if read and rejected > max_bad_ratio * read:
        raise too_many(rejected, read, max_bad_ratio)


def _failed(store: Store, run_id: str, error: Exception) -> int:
    cause = tally_of(run_id).fatal or _cause(error)
    text = str(cause) if isinstance(cause, CallbeamError) else f"{type(cause).__name__}: {cause}"
    store.finish_run(run_id, "failed", error=text)
    print(f"callbeam: run {run_id} failed: {text}", file=sys.stderr)
    print(f"callbeam: {fates(store.run(run_id))}", file=sys.stderr)
    return FAILED


def _cause(error: BaseException) -> BaseException:
    """The error of callbeam behind Beam's, if there is one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, CallbeamError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error


def _as_interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
