"""A streaming run on an engine that keeps state by itself: submit, watch, drain, cancel."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from callbeam_io.sink import drain_key, ended_key
from callbeam_io.sources.unbounded import close_readers
from pipelines.durable_graph import build_durable
from pipelines.durable_rules import BookKeeper
from pipelines.durable_status import DurableStatus
from pipelines.flink import FlinkRest
from pipelines.orders import Orders
from pipelines.patience import unless_away
from pipelines.preflight import PreparedLive
from pipelines.rulebook import BookSpec, seconds_of
from pipelines.signals import draining

_POLL: Final = 1.0
_LOG_EVERY: Final = 30.0


@dataclass
class DurableJob:
    """One streaming run on Flink, or on another engine that is reached through a job server."""

    prepared: PreparedLive
    run_id: str
    _told: threading.Event = field(default_factory=threading.Event)
    _trouble: str | None = None
    _error: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        """Submits the job and waits for its end, or for the word to stop."""
        pipeline = beam.Pipeline(
            options=PipelineOptions([*self.prepared.engine.args, f"--job_name={self.job_name}"])
        )
        build_durable(pipeline, self.prepared, self.run_id)
        self.rules.start()
        with draining(self._told.set):
            result = pipeline.run()
            engine = threading.Thread(target=self._wait, args=(result,), name="engine", daemon=True)
            engine.start()
            try:
                self._watch(engine)
            except KeyboardInterrupt:
                self._cancel()
                raise

    def __post_init__(self) -> None:
        config, store = self.prepared.config, self.prepared.store
        spec = self.prepared.book or BookSpec((), config.output, config.consent_default)
        types, pane = config.reference().types, config.rule_settings.pane
        self.rules = BookKeeper(store, self.run_id, spec, config.rules, types, pane)
        self.orders = Orders(store, self.run_id)
        self.status = DurableStatus(self.prepared.engine.runner, self.job_name, self._rest())

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
        started = logged = time.monotonic()
        while engine.is_alive() and not self._ended():
            engine.join(_POLL)
            self._beat(started)
            if time.monotonic() - logged >= _LOG_EVERY:
                logged = time.monotonic()
                self._log()
        if not self._ended():
            raise self._error[0] if self._error else RuntimeError("the job ended by itself")
        self._cancel()

    def _ended(self) -> bool:
        """Whether the last rows are in the store; while it is away they are not."""
        found: list[bool] = []
        unless_away(lambda: found.append(bool(self.prepared.store.control(ended_key(self.run_id)))))
        return any(found)

    def _beat(self, started: float) -> None:
        """Heartbeat, rules and orders; a store that is away is said once."""

        def beat() -> None:
            store = self.prepared.store
            run = store.run(self.run_id)
            store.update_run(self.run_id, live=self.status.numbers(run))
            self.rules.beat(None if run["watermark"] is None else seconds_of(run["watermark"]))
            self._stop_when_told(started, run["records_read"] or 0)

        trouble = unless_away(beat)
        if trouble is not None and trouble != self._trouble:
            print(f"callbeam: {trouble} (trying again)", file=sys.stderr, flush=True)
        self._trouble = trouble

    def _stop_when_told(self, started: float, read: int) -> None:
        config = self.prepared.config
        over = config.stop_seconds is not None and time.monotonic() - started > config.stop_seconds
        enough = config.stop_rows is not None and read >= config.stop_rows
        if over or enough or self._told.is_set() or self.orders.told():
            self.prepared.store.set_control(drain_key(self.run_id), True)

    def _cancel(self) -> None:
        """Cancels the job where it runs; a live one stays RUNNING even after its sources have ended."""
        if (rest := self._rest()) is not None and (job := rest.job_named(self.job_name)):
            rest.cancel(job)

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

    def close(self) -> None:
        """Closes the readers, where the engine's worker is this process; rules change no more."""
        self.rules.close()
        close_readers(self.run_id)
