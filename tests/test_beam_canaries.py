"""Beam's traps, each pinned by a test that FAILS when a newer Beam has changed it.

A failure here says nothing against callbeam: it says that a rule of ours rests on something that is no longer
so. Look at the trap's docstring, then at the code that obeys the rule, then decide.
"""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import apache_beam as beam
import beam_traps
import pytest
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.transform_evaluator import TransformEvaluatorRegistry
from apache_beam.runners.runner import PipelineResult
from apache_beam.testing import test_stream
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue
from beam_traps import NO_SPLIT, SEEN, Ticks, prism_options
from servers.processes import wait_until

if TYPE_CHECKING:
    from servers.flink import FlinkCluster

IN_PROCESS = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
WINDOW_S = 10


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


def test_in_process_engine_takes_our_evaluator_for_a_live_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The private hook of TransformEvaluatorRegistry runs an unbounded source with its own watermark.

    Our in-process streaming rests on it. Windows must fire while the source still reads, not at its end.
    """
    hook = TransformEvaluatorRegistry._test_evaluators_overrides
    monkeypatch.setitem(hook, beam_traps.LocalRead, beam_traps.LocalReadEvaluator)
    beam_traps.LocalReadEvaluator.readers.clear()
    with beam.Pipeline(options=IN_PROCESS) as p:
        (
            p
            | "Read" >> beam_traps.LocalRead(Ticks(count=50))
            | "Times" >> beam.Map(lambda batch: ("all", beam_traps.time_of(batch)))
            | "Window" >> beam.WindowInto(FixedWindows(WINDOW_S))
            | "Sum" >> beam.CombinePerKey(sum)
            | "Value" >> beam.Values()
            | "Note" >> beam.ParDo(beam_traps.NoteWindow())
        )
    sums = {start: total for start, total, _ in SEEN["out"]}
    assert sums == {start: sum(range(start, start + WINDOW_S)) for start in range(0, 50, WINDOW_S)}
    _, _, read_then = min(SEEN["out"])
    assert read_then < 20, "the first window fired late: is the watermark still the source's own?"


def test_in_process_engine_refuses_a_splittable_source_when_streaming() -> None:
    """A splittable DoFn (here PeriodicImpulse) with --streaming dies at submit on BundleBasedDirectRunner.

    Why live sources go through our own evaluator there. Once this passes, ReadFromUnboundedSource may do.
    """
    p = beam.Pipeline(options=IN_PROCESS)
    _ = p | PeriodicImpulse(0, 1, 1)
    with pytest.raises(RuntimeError, match="was not replaced as expected"):
        p.run()


def test_in_process_engine_counts_only_the_first_bundle() -> None:
    """Beam's counters are wrong in process as soon as there are several bundles: our runs keep counts."""
    stream = test_stream.TestStream()
    for first in range(0, 10, 2):
        stream = stream.add_elements([first, first + 1])
    p = beam.Pipeline(options=IN_PROCESS)
    _ = p | stream.advance_watermark_to_infinity() | beam.ParDo(beam_traps.CountElements())
    result = p.run()
    result.wait_until_finish()
    (counter,) = result.metrics().query(MetricsFilter().with_name("elements"))["counters"]
    assert len(SEEN["out"]) == 10
    assert counter.committed == 2


def start_slow_count(options: PipelineOptions, name: str) -> PipelineResult:
    p = beam.Pipeline(options=options)
    _ = (
        p
        | beam.Create([("key", number) for number in range(24)])
        | beam.Reshuffle()
        | beam.Map(lambda pair: pair).with_output_types(tuple[str, int])
        | beam.ParDo(beam_traps.SlowCount(name))
    )
    return p.run()


def test_prism_loses_state_unless_splitting_is_off(prism_binary: Path) -> None:
    """Prism splits a bundle that makes no progress for 100 ms and then runs the same key twice at once.

    The last commit wins: a counter over 24 elements ends at about 14, without any error. With
    --experiments=prism_disable_sdf_split it is right, so our launcher always sets that.
    """
    binary = str(prism_binary)
    default = start_slow_count(prism_options(binary), "default")
    no_split = start_slow_count(prism_options(binary, NO_SPLIT), "no split")
    default.wait_until_finish()
    no_split.wait_until_finish()
    assert len(SEEN["default"]) == len(SEEN["no split"]) == 24
    assert max(SEEN["no split"]) == 24
    assert max(SEEN["default"]) < 24, "Prism no longer loses state by default"


@pytest.mark.parametrize(("at_end", "kept"), [(True, 0), (False, 3)], ids=["window.end", "max_timestamp"])
def test_prism_drops_windowed_state_before_a_timer_at_window_end(
    prism_binary: Path, at_end: bool, kept: int
) -> None:
    """On Prism a window's state is gone once the watermark passes its max_timestamp, just before its end.

    A timer at `window.end` finds nothing, and allowed lateness does not help. So our state lives in the
    global window, with panes of its own.
    """
    stream = test_stream.TestStream().add_elements([TimestampedValue(("key", n), n) for n in range(3)])
    with beam.Pipeline(options=prism_options(str(prism_binary), "--streaming", NO_SPLIT)) as p:
        (
            p
            | stream.advance_watermark_to(2 * WINDOW_S).advance_watermark_to_infinity()
            | beam.Map(lambda pair: pair).with_output_types(tuple[str, int])
            | beam.WindowInto(FixedWindows(WINDOW_S))
            | beam.ParDo(beam_traps.KeepUntil(at_end))
        )
    assert SEEN["out"] == [kept]


def start_batching(
    options: PipelineOptions, window: beam.WindowInto, longest_s: int, name: str
) -> PipelineResult:
    p = beam.Pipeline(options=options)
    ticks = Ticks(count=40, pause=0.03)
    _ = (
        p
        | ReadFromUnboundedSource(ticks, poll_interval=0.1, max_records_per_bundle=1)
        | beam.Map(lambda batch: ("key", beam_traps.time_of(batch))).with_output_types(tuple[str, int])
        | window
        | beam.GroupIntoBatches(4, max_buffering_duration_secs=longest_s)
        | beam.Map(lambda pair: beam_traps.note(len(list(pair[1])), name))
    )
    return p.run()


def test_prism_group_into_batches_loses_the_rest_of_a_window(prism_binary: Path) -> None:
    """GroupIntoBatches sets its timer at the window's end, so Prism loses a window's last, unfilled batch.

    Of ten elements a window in batches of 4 mostly 8 come out, without any error. It is right in the global
    window, with a longest time to wait.
    """
    options = prism_options(str(prism_binary), "--streaming", NO_SPLIT)
    fixed = start_batching(options, beam.WindowInto(FixedWindows(WINDOW_S)), 0, "fixed")
    everything = start_batching(options, beam.WindowInto(GlobalWindows()), 1, "global")
    fixed.wait_until_finish()
    everything.wait_until_finish()
    assert sum(SEEN["global"]) == 40
    assert sum(SEEN["fixed"]) < 40, "no batch was lost"


def test_prism_job_dies_at_the_job_server_timeout(prism_binary: Path) -> None:
    """--job_server_timeout (300 s by default) ends a job that is still running, however well it goes.

    So our launcher sets a year.
    """
    start = time.monotonic()
    command = [sys.executable, beam_traps.__file__, str(prism_binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "DEADLINE_EXCEEDED" in done.stderr
    assert time.monotonic() - start < 50, "the job ran to its own end"


def test_flink_with_our_flags_is_exact_on_a_busy_source(
    flink_cluster: "FlinkCluster", tmp_path: Path
) -> None:
    """Without --finish_bundle_before_checkpointing Flink parks a bundle's last outputs, at times for ever.

    Loss by chance is no test, so this one holds that WITH our flags every row of a busy source arrives, in
    running totals and in windows, while checkpoints go on.
    """
    batches, rows, parts = 100, 20_000, 2
    path = tmp_path / "sink.db"
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("CREATE TABLE sums (name TEXT PRIMARY KEY, rows INTEGER)")
    options = flink_cluster.pipeline_options(
        *("--streaming", "--checkpointing_interval=1000", "--finish_bundle_before_checkpointing"),
        *("--max_bundle_time_mills=200", "--externalized_checkpoints_enabled"),
    )
    p = beam.Pipeline(options=PipelineOptions(options))
    limits = {"poll_interval": 0.2, "max_records_per_bundle": 20, "max_read_time_seconds": 1}
    source = (
        p
        | "Read" >> ReadFromUnboundedSource(Ticks(batches, rows, parts, pause=0.05), **limits)
        | "Type" >> beam.Map(lambda batch: batch).with_output_types(tuple[int, bytes])
    )
    _ = (
        source
        | "Total" >> beam.ParDo(beam_traps.Totals())
        | "WriteTotals" >> beam.ParDo(beam_traps.Upsert(path))
    )
    _ = (
        source
        | "Count"
        >> beam.MapTuple(lambda part, data: (part, len(data) // 8)).with_output_types(tuple[int, int])
        | "Window" >> beam.WindowInto(FixedWindows(WINDOW_S))
        | "Sum" >> beam.CombinePerKey(sum)
        | "Name" >> beam.Map(beam_traps.name_window)
        | "WriteWindows" >> beam.ParDo(beam_traps.Upsert(path))
    )
    expected = {f"total of {part}": batches * rows for part in range(parts)}
    for start in range(0, batches, WINDOW_S):
        expected |= {f"{part} at {start}": WINDOW_S * rows for part in range(parts)}

    def stored() -> dict[str, int]:
        with sqlite3.connect(path, timeout=30) as store:
            return dict(store.execute("SELECT name, rows FROM sums"))

    p.run()
    (job,) = flink_cluster.running_jobs()
    try:
        wait_until(lambda: stored() == expected, "all rows in the sink", 180)
    finally:
        counts = flink_cluster.checkpoints(job)
        flink_cluster.cancel(job)
    assert counts["completed"] > 0
    assert counts["restored"] == 0
