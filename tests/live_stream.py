"""The live steps fed by Beam's TestStream: a reader's packets by hand, and what comes out of them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from record_sets import DAY, One, by_key, csv_of, small_reference

from transforms.cleaning import Prepare
from transforms.columns.analysis import Plan
from transforms.columns.clean import CleanSettings
from transforms.columns.decisions import RuleSettings
from transforms.columns.live import LivePlan
from transforms.columns.windows import Window
from transforms.live import AnalyseLive
from transforms.live_local import AnalyseHere
from transforms.live_settings import LiveSettings, Rulings
from transforms.packets import Packet
from transforms.registry import forget
from transforms.schema import TEMPLATES

OUT: dict[str, list[Packet]] = defaultdict(list)
"""What came out, by run; the engine runs in this process."""

FORGET = "forget"
MICROS = 1_000_000
Tables = dict[str, dict[tuple, dict[str, Any]]]


class Forget(beam.DoFn):
    """Passes packets on; where one says so, the process has lost all it knew of the run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def process(self, packet: Packet) -> Any:
        if packet.header.get(FORGET):
            forget(self.run_id)
        yield packet


class Note(beam.DoFn):
    """Keeps what comes out."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def process(self, packet: Packet) -> None:
        OUT[self.run_id].append(packet)


@dataclass
class ByHand:
    """A reader of one split that does what it is told."""

    window: Window
    lateness: int
    mark: int | None = None
    events: list[tuple[Packet, int]] = field(default_factory=list)
    rules: RuleSettings | None = None
    rulings: Rulings | None = None

    def read(self, *records: One) -> None:
        """A batch; late is what is behind the watermark before it."""
        rows = list(csv.DictReader(io.StringIO(csv_of(records))))
        prepare = Prepare(CleanSettings(), small_reference, None)
        ready = prepare.clean(pa.RecordBatch.from_pylist(rows))
        horizon = None if self.mark is None else self.mark - self.lateness * MICROS
        if ready.greatest is not None:
            self.mark = max(ready.greatest, self.mark or ready.greatest)
        self._give(prepare.finish(ready, horizon, self._header()))

    def tick(self, **flags: bool) -> None:
        self._give(Packet({**self._header(), "tick": True, **flags}))

    def end(self) -> None:
        self.tick(end=True)

    def _header(self) -> dict[str, Any]:
        return {"order": f"{len(self.events):06d}", "watermark": self.mark, "split": "", "idle": False}

    def _give(self, packet: Packet) -> None:
        self.events.append((packet, (self.mark or 0) // MICROS))

    def run(self, run_id: str, *, durable: bool = False) -> None:
        """Everything through the live steps; see `OUT`."""
        live = LivePlan(Plan(TEMPLATES, self.window), self.window, self.lateness, 30 * DAY, self.rules)
        settings = LiveSettings(run_id, live, small_reference, 2, 1, durable, self.rulings)
        with beam.Pipeline("BundleBasedDirectRunner", options=PipelineOptions(["--streaming"])) as p:
            _ = (
                p
                | self._stream()
                | beam.ParDo(Forget(run_id)).with_output_types(Packet)
                | (AnalyseLive(settings) if durable else AnalyseHere(settings))
                | beam.ParDo(Note(run_id))
            )
        forget(run_id)

    def _stream(self) -> TestStream:
        stream, mark = TestStream(), 0
        for packet, second in self.events:
            stream = stream.add_elements([TimestampedValue(packet, mark)])
            if second > mark:
                mark = second
                stream = stream.advance_watermark_to(mark)
        return stream.advance_watermark_to_infinity()


def folded(packets: Sequence[Packet]) -> Tables:
    """The rows as the store would hold them: of each key the last one written."""
    tables: Tables = {name: {} for name in TEMPLATES}
    for packet in packets:
        for name, table in packet.tables.items():
            if name in tables:
                tables[name] |= by_key(name, table)
    return tables


def history(packets: Sequence[Packet], table: str = "duration_by_hour") -> list[dict[str, int]]:
    """Per packet with rows of a table how many interactions each window was shown with."""
    shown = []
    for packet in packets:
        if table in packet.tables:
            windows: dict[str, int] = defaultdict(int)
            for row in packet.tables[table].to_pylist():
                windows[row["window_start"]] += row["calls"] + row["messages"]
            shown.append(dict(windows))
    return shown
