"""The one step that writes results: packets of tables into the result store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa

from callbeam_io.store import json_text, utc_text, writer_for


class Tables(Protocol):
    """What the sink takes: tables by the name of the result table, and a header."""

    @property
    def header(self) -> Mapping[str, Any]:
        """``counts``: records by fate, written to the run's row; ``ended``: nothing will follow."""

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """Rows, without ``run_id``."""


@dataclass
class WriteResults(beam.PTransform):
    """Packets -> rows of a run in the result store; absolute upserts, one transaction per packet.

    Attributes:
        url: of the store.
        run_id: of the run.
        append: the run is new, so that no row of it is there yet (but for retries).
    """

    url: str
    run_id: str
    append: bool = True

    def expand(self, pcoll: beam.PCollection[Tables]) -> beam.PCollection[int]:
        """Gives the number of rows of each packet once they are written."""
        return pcoll | "WriteResults" >> beam.ParDo(
            _WriteFn(self.url, self.run_id, self.append)
        ).with_output_types(int)


class _WriteFn(beam.DoFn):
    """Hands tables to the store's writer thread; a bundle ends when all of its rows are in."""

    def __init__(self, url: str, run_id: str, append: bool) -> None:
        self._url, self._run_id, self._append = url, run_id, append

    def process(self, packet: Tables) -> Iterator[int]:
        writer = writer_for(self._url)
        counts = packet.header.get("counts")
        tables = dict(packet.tables)
        if packet.header.get("ended"):
            tables["control"] = control_row(ended_key(self._run_id), value=True)
        writer.put(self._run_id, tables, append=self._append, counts=counts)
        yield sum(t.num_rows for t in packet.tables.values())

    def finish_bundle(self) -> None:
        writer_for(self._url).flush()


def ended_key(run_id: str) -> str:
    """The setting that says that the last rows of a run are written."""
    return f"ended/{run_id}"


def drain_key(run_id: str) -> str:
    """The setting that tells the readers of a run to come to an end."""
    return f"drain/{run_id}"


def control_row(name: str, *, value: object) -> pa.Table:
    """A row of the table ``control``."""
    return pa.table({"name": [name], "value": [json_text(value)], "updated_at": [utc_text()]})
