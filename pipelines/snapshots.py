"""Saving a live run where the engine keeps nothing: state, positions and counts in one transaction."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from callbeam_io.kept import KeptRecords, from_ipc_bytes, ipc_bytes
from callbeam_io.store import BackgroundWriter, Store
from pipelines.patience import PAUSE
from transforms.columns.live import LiveShard
from transforms.columns.records import from_batches
from transforms.registry import LiveRun

_CALLERS_BASE_EVERY: Final = 20
_PASSING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DROP_CALLERS: Final = text(
    "DELETE FROM shard_state WHERE run_id = :run_id AND kind = 'callers' AND seq < :seq"
)
_DROP_FILES: Final = text(
    "DELETE FROM record_files WHERE run_id = :run_id AND shard = :shard AND last < :last"
)

Positions = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class Snapshot:
    """A consistent cut of a run, taken while no packet was under way; immutable Arrow tables.

    Attributes:
        seq: its number in the run.
        shards: per shard its changes since the snapshot before, and its header.
        positions: where each split goes on.
        watermarks: per feed, in microseconds.
        drained: whether the run ended with it.
    """

    seq: int
    shards: dict[int, dict[str, pa.Table]]
    headers: dict[int, dict[str, Any]]
    whole: bool
    positions: Positions
    watermarks: dict[str, int]
    drained: bool


def take(
    run: LiveRun, seq: int, positions: Positions, watermarks: dict[str, int], *, drained: bool
) -> Snapshot:
    """Collects what changed; called while nothing is under way."""
    whole = seq % _CALLERS_BASE_EVERY == 0
    shards, headers = {}, {}
    for number, shard in run.shards.items():
        tables = shard.delta()
        if whole:
            tables["callers"] = shard.callers.saved(everything=True)
        shards[number] = tables
        headers[number] = {"counts": dict(shard.counts), "watermark": shard.floor}
    return Snapshot(seq, shards, headers, whole, positions, watermarks, drained)


@dataclass
class Snapshots:
    """The snapshots of one run in the store.

    Attributes:
        store: the result store.
        kept: the folder of the run's records.
        retention: seconds behind a shard's watermark that records are kept.
        shards: number of shards of the run.
    """

    store: Store
    kept: KeptRecords
    retention: int
    shards: int
    saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._saving: deque[Future[None]] = deque()
        self._closed = threading.Event()
        self.since: dict[str, int] = {}  # tables that began anew, and the snapshot before that
        self.trouble: str | None = None

    @property
    def idle(self) -> bool:
        """Whether no snapshot is on its way to the store."""
        return all(one.done() for one in self._saving)

    def close(self) -> None:
        """Waits for room on the disk no longer."""
        self._closed.set()

    def rows(self, snapshot: Snapshot) -> dict[str, pa.Table]:
        """Writes the files of a snapshot; gives the rows that make it count, all for one transaction."""
        state, files = [], []
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        for number, tables in snapshot.shards.items():
            if "records" in tables:
                files += self.kept.write(number, snapshot.seq, tables["records"])
            for kind, payload, seq in _payloads(tables, snapshot.headers[number], snapshot.seq):
                state.append(
                    {"shard": number, "kind": kind, "seq": seq, "payload": payload, "created_at": now}
                )
        head = {
            "seq": snapshot.seq,
            "shards": self.shards,
            "drained": snapshot.drained,
            "watermarks": snapshot.watermarks,
            "since": self.since,
        }
        run = {"shard": -1, "kind": "run", "seq": 0, "payload": json.dumps(head).encode(), "created_at": now}
        offsets = [
            {"source": source, "split": split, "offset": json.dumps(position), "updated_at": now}
            for (source, split), position in snapshot.positions.items()
        ]
        tables = {"shard_state": pa.Table.from_pylist([*state, run])}
        if offsets:
            tables["source_offsets"] = pa.Table.from_pylist(offsets)
        if files:
            tables["record_files"] = pa.Table.from_pylist(files)
        return tables

    def save(self, snapshot: Snapshot, writer: BackgroundWriter, done: Callable[[], None]) -> None:
        """Saves a snapshot on a thread of its own, one after the other; then calls ``done``.

        Raises:
            StoreError: where an earlier one could not be saved.
        """
        self.wait(only_done=True)
        self._saving.append(self._pool.submit(self._save, snapshot, writer, done))

    def _save(self, snapshot: Snapshot, writer: BackgroundWriter, done: Callable[[], None]) -> None:
        tables = self._rows_patiently(snapshot)
        writer.put(
            self.kept.run_id, tables, also=lambda connection: self._delete_outdated(connection, snapshot)
        )
        writer.flush()
        self.saved_at = time.monotonic()
        done()

    def _rows_patiently(self, snapshot: Snapshot) -> dict[str, pa.Table]:
        """`rows`; a disk that is full is waited for. Files of an attempt that failed are written over."""
        while True:
            try:
                tables = self.rows(snapshot)
            except OSError as error:
                self.trouble = f"writing records to {self.kept.folder} failed: {error.strerror or error}"
                if error.errno not in _PASSING or self._closed.wait(PAUSE):
                    raise
            else:
                self.trouble = None
                return tables

    def wait(self, *, only_done: bool = False) -> None:
        """Waits for the snapshots under way; raises what one of them met."""
        while self._saving and not (only_done and not self._saving[0].done()):
            self._saving.popleft().result()

    def _delete_outdated(self, connection: Connection, snapshot: Snapshot) -> None:
        run_id = self.kept.run_id
        if snapshot.whole:
            connection.execute(_DROP_CALLERS, {"run_id": run_id, "seq": snapshot.seq})
        for number, header in snapshot.headers.items():
            last = header["watermark"] - self.retention
            connection.execute(_DROP_FILES, {"run_id": run_id, "shard": number, "last": last})

    def sweep(self) -> None:
        """Deletes files that no row counts."""
        rows = self.store.rows("record_files", self.kept.run_id)
        self.kept.sweep({r["path"] for r in rows})

    def load(self) -> Loaded:
        """The last snapshot of the run."""
        run_id = self.kept.run_id
        state = self.store.rows("shard_state", run_id)
        head = next((json.loads(r["payload"]) for r in state if r["kind"] == "run"), None)
        if head is None:
            return Loaded(0, {}, {}, {}, False)
        self.shards, self.since = head["shards"], head.get("since", {})
        positions = {
            (r["source"], r["split"]): json.loads(r["offset"])
            for r in self.store.rows("source_offsets", run_id)
        }
        files: dict[int, list[dict[str, Any]]] = {}
        for row in self.store.rows("record_files", run_id):
            files.setdefault(row["shard"], []).append(row)
        shards: dict[int, SavedShard] = {}
        for row in sorted(state, key=lambda r: (r["shard"], r["seq"])):
            if row["shard"] >= 0:
                shards.setdefault(row["shard"], SavedShard()).take(row["kind"], row["payload"])
        for number, saved in shards.items():
            mine = sorted(files.get(number, []), key=lambda f: (f["seq"], f["path"]))
            saved.records = self.kept.read([f["path"] for f in mine])
            seq = np.repeat([f["seq"] for f in mine], [f["rows"] for f in mine])
            saved.since = {table: seq > begun for table, begun in self.since.items()}
        return Loaded(head["seq"], shards, positions, head["watermarks"], head["drained"])


def _payloads(
    tables: Mapping[str, pa.Table], header: dict[str, Any], seq: int
) -> list[tuple[str, bytes, int]]:
    """Rows of ``shard_state``: subscribers add up from snapshot to snapshot, the rest is replaced."""
    rows = [("header", json.dumps(header).encode(), 0)]
    if tables["callers"].num_rows:
        rows.append(("callers", ipc_bytes(tables["callers"]), seq))
    replaced = [n for n in tables if n == "cells" or n.startswith("rule_")]
    return rows + [(name, ipc_bytes(tables[name]), 0) for name in replaced]


@dataclass
class SavedShard:
    """What the store holds of one shard; ``since`` says of tables that began anew which records count in them."""

    callers: list[pa.Table] = field(default_factory=list)
    cells: pa.Table | None = None
    records: pa.Table | None = None
    rules: dict[str, pa.Table] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    since: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def take(self, kind: str, payload: bytes) -> None:
        """Adds a row of ``shard_state``; rows come in the order of their seq."""
        if kind == "header":
            self.header = json.loads(payload)
        elif kind == "callers":
            self.callers.append(from_ipc_bytes(payload))
        elif kind == "cells":
            self.cells = from_ipc_bytes(payload)
        else:
            self.rules[kind] = from_ipc_bytes(payload)

    def restore(self, shard: LiveShard) -> None:
        """Builds the live shard."""
        log = from_batches(self.records.to_batches() if self.records is not None else [])
        counts, mark = self.header["counts"], self.header["watermark"]
        shard.restore(self.callers, self.cells, log, counts, mark, self.rules, self.since)


@dataclass(frozen=True)
class Loaded:
    """A run as its last snapshot left it."""

    seq: int
    shards: dict[int, SavedShard]
    positions: Positions
    watermarks: dict[str, int]
    drained: bool
