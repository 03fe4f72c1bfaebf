"""A streaming run from start to its last word."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.sink import COMMITTED, WriteResults
from callbeam_io.sources.live import LiveReader
from callbeam_io.sources.reading import LiveFeed
from callbeam_io.sources.unbounded import PUMPS, PumpSource
from callbeam_io.store import Store, writer_for
from pipelines import graph
from pipelines.anew import begin_anew
from pipelines.deliveries import LiveDeliveries
from pipelines.durable_job import DurableJob
from pipelines.earlier import decisions_of
from pipelines.livebook import LiveBook
from pipelines.orders import Orders, go_on
from pipelines.orphans import end_children, guard_children
from pipelines.patience import patiently, unless_away
from pipelines.preflight import PreparedLive
from pipelines.pump import Pump
from pipelines.resume import find_resumable
from pipelines.rulebook import BookSpec
from pipelines.signals import draining
from pipelines.snapshots import Loaded, Positions, Snapshots, take
from pipelines.status import LiveStatus
from pipelines.summary import summary
from transforms.cleaning import Prepare
from transforms.errors import CallbeamError, RequestError, StoreError
from transforms.live_settings import LiveSettings
from transforms.packets import PacketCoder
from transforms.registry import LiveRun, forget, live_run
from transforms.threads import thread_count

DONE, FAILED, WRONG, CANCELLED = 0, 1, 2, 130
LIVE_SHARDS = max(2, thread_count())
_POLL = 0.2


def run_live(prepared: PreparedLive, words: Sequence[str] = ()) -> int:
    """Runs until everything finite is read, or until it is told to stop.

    Args:
        prepared: what was asked for.
        words: of the command line, to go on with others where an order says so.
    """
    config, store = prepared.config, prepared.store
    started = time.monotonic()
    try:
        run_id, resumed = begin(prepared)
    except RequestError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG
    live: LiveJob | DurableJob
    live = DurableJob(prepared, run_id) if prepared.engine.durable else LiveJob(prepared, run_id, resumed)
    deliveries = LiveDeliveries(prepared, run_id)
    try:
        deliveries.start()
        live.run()
    except KeyboardInterrupt:
        cancelled(store, run_id)
    except Exception as error:
        return failed(store, run_id, error)
    finally:
        live.close()
        deliveries.close()
    patiently(lambda: store.finish_run(run_id, "done"))
    store.prune_runs(config.keep_runs)
    engine = f"{prepared.engine.runner} ({prepared.engine.why})"
    print(summary(store, store.run(run_id), config, prepared.notes, engine, time.monotonic() - started))
    go_on(store, run_id, words)
    return DONE


def begin(prepared: PreparedLive) -> tuple[str, bool]:
    """The run's id: of a new run, or of the one to go on with."""
    config, store = prepared.config, prepared.store
    old = None if config.fresh or prepared.engine.durable else find_resumable(store, config)
    if old is None:
        return store.start_run(
            mode="streaming", runner=prepared.engine.runner, options=config.as_options()
        ), False
    store.resume_run(old)
    anew = begin_anew(store, old, config)
    print(f"callbeam: going on with run {old} (--fresh starts anew)", file=sys.stderr)
    if anew:
        print(f"callbeam: begun anew with other windows or templates: {', '.join(anew)}", file=sys.stderr)
    return old, True


def cancelled(store: Store, run_id: str) -> NoReturn:
    """Marks the run and ends this process: the engine's threads would go on."""
    try:
        store.finish_run(run_id, "cancelled")
        print(f"callbeam: run {run_id} cancelled; it can be resumed", file=sys.stderr, flush=True)
    except StoreError as error:  # it is found to be dead by whoever looks next
        print(f"callbeam: run {run_id} cancelled: {error}", file=sys.stderr, flush=True)
    finally:
        end_children()
        os._exit(CANCELLED)


def failed(store: Store, run_id: str, error: Exception) -> int:
    """Marks the run and says why."""
    text = str(error) if isinstance(error, CallbeamError) else f"{type(error).__name__}: {error}"
    unless_away(lambda: store.finish_run(run_id, "failed", error=text))
    print(f"callbeam: run {run_id} failed: {text}", file=sys.stderr)
    return FAILED


@dataclass
class LiveJob:
    """One streaming run on an engine in this process."""

    prepared: PreparedLive
    run_id: str
    resumed: bool
    _seq: int = 0
    _error: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.prepared.config
        self.state: LiveRun = live_run(self.run_id)
        kept = KeptRecords(folder_of(config.output), self.run_id)
        retention = max(config.live_plan().retention, config.keep_records)
        self.snapshots = Snapshots(self.prepared.store, kept, retention, LIVE_SHARDS)
        loaded = self.snapshots.load() if self.resumed else Loaded(0, {}, {}, {}, False)
        shards = self.snapshots.shards  # those of the saved state, where there is one
        self.settings = LiveSettings(
            self.run_id, config.live_plan(), config.reference, shards, 1, durable=False
        )
        self._restore(loaded)
        self.reader = self._reader(loaded)
        self.book = self._book()
        self.orders = Orders(self.prepared.store, self.run_id)
        self.pump = Pump(
            self.reader,
            self.state,
            self._save,
            config.snapshot_every,
            config.stop_rows,
            pane=self.settings.live.plan.window.pane,
            may_save=lambda: self.snapshots.idle,
            before_tick=self.book.turn,
        )
        self.writer = writer_for(config.output, patient=True)
        self.status = LiveStatus(
            *(self.prepared.store, self.run_id, self.reader, self.state, self.snapshots, self.writer),
            fresh=self.pump.fresh,
            max_bad_ratio=config.max_bad_ratio,
        )

    def _book(self) -> LiveBook:
        config, store = self.prepared.config, self.prepared.store
        spec = self.prepared.book or BookSpec((), config.output, config.consent_default)
        types, pane = config.reference().types, config.rule_settings.pane
        return LiveBook(store, self.state, self.run_id, spec, config.rules, types, pane)

    def _reader(self, loaded: Loaded) -> LiveReader:
        config = self.prepared.config
        prepare = Prepare(config.clean_settings(), config.reference, config.max_ahead)
        feeds = [LiveFeed(f, config.lateness or 0) for f in self.prepared.feeds]
        return LiveReader(feeds, prepare, loaded.positions, loaded.watermarks, config.early_every)

    def _restore(self, loaded: Loaded) -> None:
        self._seq = loaded.seq
        tables = self.state.last(self.settings.new_tables)
        book = self.prepared.book
        rules = book.rules if book else ()
        tables.decisions.catch_up(*decisions_of(self.prepared.store, self.run_id, rules))
        for number, saved in loaded.shards.items():
            shard = self.state.shard(number, self.settings.new_shard)
            saved.restore(shard)
            tables.put(number, shard.all_cells(), quiet=True)
            tables.put_counts(number, dict(shard.counts), shard.callers.population.tolist())

    def run(self) -> None:
        """Starts the engine, watches it, and saves the state at the end."""
        config = self.prepared.config
        PUMPS[self.run_id] = self.pump
        COMMITTED[self.run_id] = self.pump.fresh.committed
        self.snapshots.sweep()
        self.book.start(resumed=self.resumed)
        self.reader.start()
        pipeline = beam.Pipeline(options=PipelineOptions([*self.prepared.engine.args]))
        keep = config.keep_windows
        sink = WriteResults(config.output, self.run_id, append=False, keep_windows=keep, wait=False)
        source = PumpSource(self.run_id, PacketCoder())
        graph.build_live(pipeline, self.settings, self.prepared.engine.runner, source, sink)
        result = pipeline.run()
        guard_children(self.prepared.engine.runner)
        engine = threading.Thread(target=self._wait, args=(result,), name="engine", daemon=True)
        with draining(self.reader.drain):
            engine.start()
            self._watch(engine)
            if self._error:
                raise self._error[0]
            self._keep_state()

    def _wait(self, result: Any) -> None:
        try:
            result.wait_until_finish()
        except BaseException as error:
            self._error.append(error)

    def _watch(self, engine: threading.Thread) -> None:
        """Beats, shows the status, and stops when told to."""
        deadline = self.prepared.config.stop_seconds
        until = None if deadline is None else time.monotonic() + deadline
        while engine.is_alive():
            engine.join(_POLL)
            self.status.tick()
            self.writer.check()  # the step that writes does not wait: it would hear of a failure late
            if (until is not None and time.monotonic() > until) or self.orders.told():
                self.reader.drain()

    def _keep_state(self) -> None:
        """Saves the state at the end, with the status shown meanwhile: it may have to wait for the store."""
        self._save(*self.reader.checkpoint(), drained=True)
        while not self.snapshots.idle:
            self.status.tick()
            time.sleep(_POLL)
        self.snapshots.wait()
        self.writer.flush()
        self.status.beat()
        self.status.sample()

    def _save(self, positions: Positions, watermarks: dict[str, int], *, drained: bool = False) -> None:
        """Takes a snapshot and hands it to the writer; what it covers is committed once it is in the store."""
        self._seq += 1
        snapshot = take(self.state, self._seq, positions, watermarks, drained=drained)
        self.snapshots.save(snapshot, self.writer, done=lambda: self.reader.commit(positions))

    def close(self) -> None:
        """Stops the readers and frees the state."""
        self.book.close()
        self.snapshots.close()
        self.reader.close()
        PUMPS.pop(self.run_id, None)
        COMMITTED.pop(self.run_id, None)
        forget(self.run_id)
