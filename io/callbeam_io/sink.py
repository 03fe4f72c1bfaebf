"""The one step that writes results: packets of tables into the result store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

import apache_beam as beam
import pyarrow as pa
from sqlalchemy import Connection

from callbeam_io.busiest import note_subscribers
from callbeam_io.store import drop_old_windows, json_text, utc_text, writer_for

DROP_EVERY: Final = 10.0
Also = Callable[[Connection], object]


class Tables(Protocol):
    """What the sink takes: tables by the name of the result table, and a header."""

    @property
    def header(self) -> Mapping[str, Any]:
        """``counts``: records by fate, written to the run's row; ``watermark``: likewise, a second; ``decided``:
        the last pane end (second) whose promotions are among the tables; ``ended``: nothing will follow."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """Rows, without ``run_id``."""


@dataclass(frozen=True)
class ResultWriter:
    """Hands packets to the writer thread that this process has for a store.

    Attributes:
        url: of the store.
        run_id: of the run.
        append: the run is new, so that no row of it is there yet (but for retries).
        patient: wait for a store that is locked, full or away.
        wait: a bundle ends only when all of its rows are committed. Without it, whoever comes last in this process
            has to see to that by `flush`.
    """

    url: str
    run_id: str
    append: bool = True
    patient: bool = False
    wait: bool = True

    def put(self, packet: Tables, also: Also | None = None) -> None:
        """Hands over the tables of a packet; raises StoreError if an earlier one could not be written.

        Args:
            packet: tables and counts.
            also: something more to write in the same transaction.
        """
        tables = dict(packet.tables)
        notes = [control_row(ended_key(self.run_id), value=True)] if packet.header.get("ended") else []
        if packet.header.get("decided") is not None:
            notes.append(control_row(decided_key(self.run_id), value=packet.header["decided"]))
        if notes:
            tables["control"] = pa.concat_tables(notes)
        counts = packet.header.get("counts")
        if packet.header.get("watermark") is not None:
            moment = datetime.fromtimestamp(packet.header["watermark"], UTC)
            counts = {**(counts or {}), "watermark": utc_text(moment)}
        writer = writer_for(self.url, patient=self.patient)
        done = partial(_tell, self.run_id, packet.header["tick"]) if packet.header.get("tick") else None
        if self.append and "subscribers" in tables:
            note_subscribers(self.run_id, tables["subscribers"])
        writer.put(self.run_id, tables, append=self.append, counts=counts, also=also, done=done)

    def flush(self) -> None:
        """Waits until all that this process handed over is in; raises StoreError if it could not be."""
        writer_for(self.url).flush()

    def end_bundle(self) -> None:
        """Waits for the rows of a bundle, where its end means that they are in."""
        if self.wait:
            self.flush()


@dataclass
class WriteResults(beam.PTransform):
    """Packets -> rows of a run in the result store; absolute upserts, one transaction per packet.

    Attributes:
        url: of the store.
        run_id: of the run.
        append: the run is new, so that no row of it is there yet (but for retries).
        keep_windows: how many windows stay in each table with windows; None: all. For live runs, which also wait
            for a store that is locked, full or away.
        wait: a bundle ends only when all of its rows are committed: engines that keep state take it for that.
    """

    url: str
    run_id: str
    append: bool = True
    keep_windows: int | None = None
    wait: bool = True

    @property
    def writer(self) -> ResultWriter:
        """What writes, for steps before this one that have rows early."""
        patient = self.keep_windows is not None
        return ResultWriter(self.url, self.run_id, self.append, patient, self.wait)

    def expand(self, pcoll: beam.PCollection[Tables]) -> beam.PCollection[int]:
        """Gives the number of rows of each packet once they are written (or, without ``wait``, handed over)."""
        return pcoll | "WriteResults" >> beam.ParDo(
            _WriteFn(self.writer, self.keep_windows)
        ).with_output_types(int)


class _WriteFn(beam.DoFn):
    """Hands tables to the store's writer thread; a bundle ends when all of its rows are in."""

    def __init__(self, writer: ResultWriter, keep_windows: int | None) -> None:
        self._writer, self._keep_windows = writer, keep_windows

    def process(self, packet: Tables) -> Iterator[int]:
        also = None
        if self._keep_windows is not None and _is_due(self._writer.run_id, bool(packet.header.get("ended"))):
            also = partial(drop_old_windows, run_id=self._writer.run_id, keep=self._keep_windows)
        self._writer.put(packet, also)
        yield sum(t.num_rows for t in packet.tables.values())

    def finish_bundle(self) -> None:
        self._writer.end_bundle()


COMMITTED: Final[dict[str, Callable[[str], object]]] = {}
"""By run_id, in this process: what hears of each packet whose header has a ``tick`` that it is committed."""


def _tell(run_id: str, tick: str) -> None:
    if run_id in COMMITTED:
        COMMITTED[run_id](tick)


_dropped: Final[dict[str, float]] = {}


def _is_due(run_id: str, ended: bool) -> bool:
    """Whether a run's old windows have to go: every `DROP_EVERY` seconds in this process, and at its end."""
    now = time.monotonic()
    if ended or now - _dropped.setdefault(run_id, now) >= DROP_EVERY:
        _dropped[run_id] = now
        return True
    return False


def ended_key(run_id: str) -> str:
    """The setting that says that the last rows of a run are written."""
    return f"ended/{run_id}"


def drain_key(run_id: str) -> str:
    """The setting that tells the readers of a run to come to an end."""
    return f"drain/{run_id}"


def decided_key(run_id: str) -> str:
    """The setting that says until which pane end (second) the promotions of a run are in the store."""
    return f"decided/{run_id}"


def control_row(name: str, *, value: object) -> pa.Table:
    """A row of the table ``control``."""
    return pa.table({"name": [name], "value": [json_text(value)], "updated_at": [utc_text()]})
