"""Good records kept as Parquet beside the store: for drill-down, simulation, "why", rule history and resuming.

Files stand under ``<folder>/run=<run_id>/day=<YYYY-MM-DD>/shard=<k>/<seq>.parquet``. A file is written whole,
under another name first, and never changed; the table ``record_files`` says which files count, so that what a
crash left behind is not seen and is swept up by the next run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_MICROS_PER_DAY: Final = 86_400_000_000


def folder_of(url: str) -> Path:
    """The folder of a store's kept records: ``<file>.records`` beside SQLite, else ``$CALLBEAM_RECORDS`` or
    ``callbeam.records`` here."""
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return Path(url.removeprefix("sqlite:///").split("?")[0] + ".records")
    return Path(os.environ.get("CALLBEAM_RECORDS") or "callbeam.records")


@dataclass(frozen=True)
class KeptRecords:
    """The kept records of one run.

    Attributes:
        folder: of the store, see `folder_of`.
        run_id: of the run.
    """

    folder: Path
    run_id: str

    @property
    def _root(self) -> Path:
        return self.folder / f"run={self.run_id}"

    def write(self, shard: int, seq: int, records: pa.Table) -> list[dict[str, Any]]:
        """Writes records of a shard, one file per day (UTC); gives rows for the table ``record_files``."""
        rows = []
        for day, part in _by_day(records):
            name = f"day={_day_text(day)}/shard={shard:02d}/{seq:08d}.parquet"
            _write_whole(self._root / name, part)
            start = part.column("start").to_numpy()
            rows.append(
                {
                    "path": name,
                    "shard": shard,
                    "seq": seq,
                    "rows": part.num_rows,
                    "first": int(start.min()) // 1_000_000,
                    "last": int(start.max()) // 1_000_000,
                }
            )
        return rows

    def unreadable(self, error: Exception) -> str:
        """What is wrong with records that could not be read, for people."""
        if isinstance(error, FileNotFoundError):
            return f"records that run {self.run_id} kept are gone from the disk"
        return f"the kept records of run {self.run_id} cannot be read: {error}"

    def read(self, paths: list[str], columns: list[str] | None = None) -> pa.Table | None:
        """The records of some files, in their order; None for none.

        Args:
            paths: as in ``record_files``.
            columns: those of them that are there; None: all.
        """
        tables = [pq.ParquetFile(self._root / p).read(columns) for p in paths]
        return pa.concat_tables(tables, promote_options="default") if tables else None

    def sweep(self, counted: set[str]) -> None:
        """Deletes files that no row counts: what a crash, compaction or the end of their time left."""
        for path in self._root.glob("day=*/shard=*/*"):
            if path.relative_to(self._root).as_posix() not in counted:
                path.unlink(missing_ok=True)
        for folder in [*self._root.glob("day=*/shard=*"), *self._root.glob("day=*")]:
            if not any(folder.iterdir()):
                folder.rmdir()


def _day_text(day: int) -> str:
    return str(np.datetime64(day, "D"))


def _by_day(records: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    days = records.column("start").to_numpy() // _MICROS_PER_DAY
    for day in np.unique(days):
        yield int(day), records if (days == day).all() else records.filter(pa.array(days == day))


def _write_whole(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name("." + path.name)
    with part.open("wb") as file:
        pq.write_table(table, file, compression="zstd", compression_level=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def ipc_bytes(table: pa.Table) -> bytes:
    """A table as compressed Arrow IPC."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_ipc_bytes(payload: bytes) -> pa.Table:
    """The inverse of `ipc_bytes`."""
    return pa.ipc.open_stream(pa.py_buffer(payload)).read_all()
