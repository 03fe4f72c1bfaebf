"""What the canary tests run: a small unbounded source, its evaluator for the in-process engine, and DoFns.

They stand in a module of their own so that Beam pickles them by name, and all threads share one `SEEN`.
"""

import collections
import sqlite3
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
from apache_beam import coders, pvalue
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.transform_evaluator import _TransformEvaluator
from apache_beam.runners.direct.util import TransformResult
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

SEEN: dict[str, list[Any]] = collections.defaultdict(list)  # what the running test's pipelines noted
NO_SPLIT = "--experiments=prism_disable_sdf_split"


def note(value: Any, key: str = "out") -> None:
    """Remembers the value under the key."""
    SEEN[key].append(value)


def prism_options(binary: str, *flags: str) -> PipelineOptions:
    """Options of a job on Prism, without the flags that keep it safe."""
    base = ("--runner=PrismRunner", f"--prism_location={binary}", "--environment_type=LOOPBACK")
    return PipelineOptions([*base, *flags])


class Ticks(UnboundedSource):
    """Per part, batches 0 .. count-1 at event times 0 .. count-1 s, `pause` seconds apart.

    A batch is the part's number and `rows` int64 that are all equal to the event time.
    """

    def __init__(self, count: int, rows: int = 1, parts: int = 1, pause: float = 0, part: int = 0) -> None:
        self.count, self.rows, self.parts, self.pause, self.part = count, rows, parts, pause, part

    def split(self, desired_num_splits: int, options: Any = None) -> list["Ticks"]:
        return [Ticks(self.count, self.rows, 1, self.pause, part) for part in range(self.parts)]

    def create_reader(self, options: Any, checkpoint_mark: "Mark | None") -> "TicksReader":
        return TicksReader(self, checkpoint_mark.position if checkpoint_mark else -1)

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        return coders.PickleCoder()

    def default_output_coder(self) -> coders.Coder:
        return coders.TupleCoder((coders.VarIntCoder(), coders.BytesCoder()))


class Mark(CheckpointMark):
    """The number of the last batch that was read."""

    def __init__(self, position: int) -> None:
        self.position = position

    def finalize_checkpoint(self) -> None:
        pass


class TicksReader(UnboundedReader):
    """The watermark is the time of the last batch; when all are read, the end of time."""

    def __init__(self, source: Ticks, position: int) -> None:
        self.source, self.position, self.ended = source, position, False

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        self.ended = self.position + 1 >= self.source.count
        if not self.ended:
            time.sleep(self.source.pause)
            self.position += 1
        return not self.ended

    def get_current(self) -> tuple[int, bytes]:
        return self.source.part, np.full(self.source.rows, self.position, np.int64).tobytes()

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(self.position)

    def get_watermark(self) -> Timestamp:
        return MAX_TIMESTAMP if self.ended else Timestamp(max(self.position, 0))

    def get_checkpoint_mark(self) -> Mark:
        return Mark(self.position)

    def close(self) -> None:
        pass


def time_of(batch: tuple[int, bytes]) -> int:
    """The event time of a batch of Ticks, in seconds."""
    return int(np.frombuffer(batch[1], np.int64)[0])


def rows_of(batch: tuple[int, bytes]) -> int:
    """How many values are in a batch of Ticks."""
    return len(batch[1]) // 8


class LocalRead(beam.PTransform):
    """Reads a source on the in-process engine, by LocalReadEvaluator."""

    def __init__(self, source: UnboundedSource) -> None:
        super().__init__()
        self.source = source

    def expand(self, begin: pvalue.PBegin) -> pvalue.PCollection:
        return pvalue.PCollection(begin.pipeline, is_bounded=False)

    def get_windowing(self, inputs: Any) -> beam.Windowing:
        return beam.Windowing(GlobalWindows())


class LocalReadEvaluator(_TransformEvaluator):
    """One batch a bundle, the source's watermark as the hold, itself again until the source has ended."""

    readers: ClassVar[dict[str, TicksReader]] = {}

    def process_element(self, element: Any) -> None:
        pass

    def finish_bundle(self) -> TransformResult:
        transform, context = self._applied_ptransform.transform, self._evaluation_context
        fresh = transform.source.create_reader(None, None)
        reader = self.readers.setdefault(self._applied_ptransform.full_label, fresh)
        bundles, again = [], []
        if reader.advance():
            bundles = [context.create_bundle(next(iter(self._outputs)))]
            at = reader.get_current_timestamp()
            bundles[0].output(GlobalWindows.windowed_value(reader.get_current(), timestamp=at))
            again = [context.create_bundle(pvalue.PBegin(transform.pipeline))]
        return TransformResult(self, bundles, again, None, {None: reader.get_watermark()})


class NoteWindow(beam.DoFn):
    """Notes (window's start, value, number of the batch that the in-process source had then read)."""

    def process(self, value: int, window: Any = beam.DoFn.WindowParam) -> None:
        (reader,) = LocalReadEvaluator.readers.values()
        note((int(window.start), value, reader.position))


class CountElements(beam.DoFn):
    """Counts in one of Beam's counters, and notes each element."""

    def process(self, element: Any) -> None:
        Metrics.counter("canary", "elements").inc()
        note(element)


class SlowCount(beam.DoFn):
    """Counts per key in state, slower than Prism's tick of 100 ms; notes each count under `name`."""

    COUNT = ReadModifyWriteStateSpec("count", coders.VarIntCoder())

    def __init__(self, name: str) -> None:
        self.name = name

    def process(self, pair: tuple[str, int], count: Any = beam.DoFn.StateParam(COUNT)) -> None:
        now = (count.read() or 0) + 1
        time.sleep(0.2)
        count.write(now)
        note(now, self.name)


class KeepUntil(beam.DoFn):
    """Keeps elements in windowed state; notes how many are there when its timer fires."""

    BAG = BagStateSpec("bag", coders.VarIntCoder())
    TIMER = TimerSpec("timer", TimeDomain.WATERMARK)

    def __init__(self, at_end: bool) -> None:
        self.at_end = at_end

    def process(
        self,
        pair: tuple[str, int],
        window: Any = beam.DoFn.WindowParam,
        bag: Any = beam.DoFn.StateParam(BAG),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None:
        bag.add(pair[1])
        timer.set(window.end if self.at_end else window.max_timestamp())

    @on_timer(TIMER)
    def fire(self, bag: Any = beam.DoFn.StateParam(BAG)) -> None:
        note(len(list(bag.read())))


class Totals(beam.DoFn):
    """Running totals of rows per key, in state."""

    TOTAL = ReadModifyWriteStateSpec("total", coders.VarIntCoder())

    def process(
        self, batch: tuple[int, bytes], total: Any = beam.DoFn.StateParam(TOTAL)
    ) -> Iterable[tuple[str, int]]:
        now = (total.read() or 0) + rows_of(batch)
        total.write(now)
        yield f"total of {batch[0]}", now


def name_window(pair: tuple[int, int], window: Any = beam.DoFn.WindowParam) -> tuple[str, int]:
    """The sum of a key's window, under a name for the sink."""
    return f"{pair[0]} at {int(window.start)}", pair[1]


class Upsert(beam.DoFn):
    """Writes absolute values into the table `sums`; the greatest stays."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def process(self, row: tuple[str, int]) -> None:
        update = "DO UPDATE SET rows = excluded.rows WHERE excluded.rows >= rows"
        with sqlite3.connect(self.path, timeout=30) as store:
            store.execute(f"INSERT INTO sums VALUES (?, ?) ON CONFLICT (name) {update}", row)


def run_with_short_timeout(binary: str) -> None:
    """A job of a minute on Prism with a job server timeout of 3 s."""
    p = beam.Pipeline(options=prism_options(binary, "--streaming", NO_SPLIT, "--job_server_timeout=3"))
    read = ReadFromUnboundedSource(Ticks(count=200, pause=0.3), poll_interval=0.1)
    _ = p | read | beam.Map(lambda _: None)
    p.run().wait_until_finish()


if __name__ == "__main__":  # in a process of its own: its threads die noisily
    run_with_short_timeout(sys.argv[1])
