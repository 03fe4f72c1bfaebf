"""A streaming run on an engine that keeps state by itself: submit, watch, drain, cancel."""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.sink import WriteResults, drain_key, ended_key
from callbeam_io.sources.live import LiveFeed
from callbeam_io.sources.unbounded import FeedSource
from callbeam_io.store import Store, open_store
from pipelines import graph
from pipelines.flink import FlinkRest
from pipelines.preflight import PreparedLive
from transforms.cleaning import Prepare
from transforms.live_settings import LiveSettings
from transforms.packets import PacketCoder

DURABLE_SHARDS: Final = 8
_POLL: Final = 1.0
_LOG_EVERY: Final = 30.0


@dataclass(frozen=True)
class Drained:
    """Whether a run was told to drain: a setting in the store, so that any worker can ask; picklable."""

    url: str
    run_id: str

    def __call__(self) -> bool:
        """Asks the store."""
        return bool(_store(self.url).control(drain_key(self.run_id)))


@lru_cache(maxsize=4)
def _store(url: str) -> Store:
    return open_store(url, create=False)


@dataclass
class DurableJob:
    """One streaming run on Flink, or on another engine that is reached through a job server."""

    prepared: PreparedLive
    run_id: str
    _stops: int = 0
    _error: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        """Submits the job and waits for its end, or for the word to stop."""
        config = self.prepared.config
        feeds = [LiveFeed(f, config.lateness or 0) for f in self.prepared.feeds]
        splits = sum(len(f.feed.splits()) for f in feeds)
        settings = LiveSettings(
            self.run_id, config.live_plan(), config.reference, DURABLE_SHARDS, splits, durable=True
        )
        prepare = Prepare(config.clean_settings(), config.reference, config.max_ahead)
        drained = Drained(config.output, self.run_id)
        source = FeedSource(self.run_id, feeds, prepare, PacketCoder(), config.early_every, drained)
        pipeline = beam.Pipeline(
            options=PipelineOptions([*self.prepared.engine.args, f"--job_name={self.job_name}"])
        )
        sink = WriteResults(config.output, self.run_id, append=False)
        graph.build_live(pipeline, settings, self.prepared.engine.runner, source, sink)
        previous = [signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)]
        try:
            result = pipeline.run()
            engine = threading.Thread(target=self._wait, args=(result,), name="engine", daemon=True)
            engine.start()
            self._watch(engine)
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), previous, strict=True):
                signal.signal(number, handler)

    @property
    def job_name(self) -> str:
        """The job's name on the cluster."""
        return f"callbeam-{self.run_id}".lower()

    def _wait(self, result: Any) -> None:
        try:
            result.wait_until_finish()
        except BaseException as error:
            self._error.append(error)

    def _watch(self, engine: threading.Thread) -> None:
        store = self.prepared.store
        started = logged = time.monotonic()
        while engine.is_alive() and not store.control(ended_key(self.run_id)):
            engine.join(_POLL)
            store.update_run(self.run_id, live={"engine": self.prepared.engine.runner})
            self._stop_when_told(started)
            if time.monotonic() - logged >= _LOG_EVERY:
                logged = time.monotonic()
                self._log()
        if not store.control(ended_key(self.run_id)):
            raise self._error[0] if self._error else RuntimeError("the job ended by itself")
        if (rest := self._rest()) is not None and (job := rest.job_named(self.job_name)):
            rest.cancel(job)  # a live job stays RUNNING after its sources have ended

    def _stop_when_told(self, started: float) -> None:
        store, config = self.prepared.store, self.prepared.config
        over = config.stop_seconds is not None and time.monotonic() - started > config.stop_seconds
        read = store.run(self.run_id)["records_read"] or 0
        enough = config.stop_rows is not None and read >= config.stop_rows
        if over or enough or self._stops:
            store.set_control(drain_key(self.run_id), True)
        if self._stops > 1:
            if (rest := self._rest()) is not None and (job := rest.job_named(self.job_name)):
                rest.cancel(job)
            raise KeyboardInterrupt

    def _rest(self) -> FlinkRest | None:
        master = self.prepared.engine.value("--flink_master")
        return FlinkRest.of(master) if master and master not in ("[local]", "[auto]") else None

    def _log(self) -> None:
        """What Flink itself says of the job."""
        rest = self._rest()
        job = rest.job_named(self.job_name) if rest is not None else None
        if rest is None or job is None:
            return
        trouble = rest.trouble(job)
        line = f"Flink job {job}: {rest.state(job)}, checkpoints {rest.checkpoints(job)}"
        print(line + (f", last trouble: {trouble}" if trouble else ""), file=sys.stderr, flush=True)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self._stops += 1
        if self._stops == 1:
            print("callbeam: draining; once more to cancel", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is held here."""
