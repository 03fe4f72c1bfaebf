"""The interactions that the newest run kept, in memory by shard: read once, then only what is new."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.store import Store
from pipelines.shard_threads import on_threads
from transforms.columns.decisions import text_parties
from transforms.columns.hashing import shard_of
from transforms.columns.records import from_batches
from transforms.columns.rules.arrays import Ints, runs
from transforms.columns.rules.interactions import Interactions, concat, empty, from_records
from transforms.errors import RunError
from transforms.schema import RECORDS, SHARDS

File = Mapping[str, Any]
"""A row of the table ``record_files``."""
_DAY: Final = 86_400
_BUNDLE: Final = 200_000
_EVERY: Final = 20.0
_COLUMNS: Final = [f.name for f in RECORDS if f.name not in ("id", "account_id", "called_text")]


@dataclass(frozen=True)
class Shard:
    """Some subscribers' interactions.

    Attributes:
        number: of the shard, of `SHARDS`.
        rows: ascending by caller, then start.
    """

    number: int
    rows: Interactions = field(default_factory=empty)

    @cached_property
    def people(self) -> Ints:
        """The subscribers, ascending."""
        return self.rows.caller[runs(self.rows.caller)[0]]

    def of(self, code: int) -> Interactions:
        """One subscriber's interactions."""
        first, end = np.searchsorted(self.rows.caller, [code, code + 1])
        return self.rows.take(slice(int(first), int(end)))

    def few(self, people: int) -> Shard:
        """Those of the first subscribers, so many of them."""
        end = int(np.searchsorted(self.rows.caller, self.people[:people][-1], "right"))
        return Shard(self.number, self.rows.take(slice(0, end)))

    def with_more(self, more: Sequence[Interactions], since: int) -> Shard:
        """With others, and without those that start before a second."""
        parts = [self.rows, *more]
        if not more and (not len(self.rows) or int(self.rows.start.min()) >= since):
            return self
        return Shard(self.number, concat([part.drop_before(since) for part in parts]).by_caller())


@dataclass(frozen=True)
class Kept:
    """What a run kept, as far as it is in memory. Never changed in place.

    Attributes:
        run: its row of ``runs``.
        shards: the interactions.
        texts: of callers that are no numbers, by code.
        paths: the files that have been read.
        since: second from which on interactions are here.
        cut: whether the run kept older ones, too.
    """

    run: Mapping[str, Any]
    shards: Sequence[Shard] = tuple(Shard(k) for k in range(SHARDS))
    texts: Mapping[int, str] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    since: int = 0
    cut: bool = False

    @cached_property
    def parts(self) -> list[Shard]:
        """The shards that have interactions."""
        return [s for s in self.shards if len(s.rows)]

    @cached_property
    def records(self) -> int:
        """How many interactions there are."""
        return sum(len(s.rows) for s in self.parts)

    @cached_property
    def subscribers(self) -> int:
        """How many people have any."""
        return sum(len(s.people) for s in self.parts)

    @cached_property
    def first(self) -> int:
        """Second of the first one; 0 without any."""
        return min((int(s.rows.start.min()) for s in self.parts), default=0)

    @cached_property
    def last(self) -> int:
        """Second of the last one; 0 without any."""
        return max((int(s.rows.start.max()) for s in self.parts), default=0)

    def few(self, people: int) -> list[Shard]:
        """About so many subscribers with all that is theirs."""
        chosen: list[Shard] = []
        for shard in self.parts:
            if people <= 0:
                break
            chosen.append(shard.few(people))
            people -= len(shard.people)
        return chosen

    def of(self, code: int) -> Interactions:
        """One subscriber's interactions (party code)."""
        return self.shards[int(shard_of(np.array([code]), SHARDS)[0])].of(code)


class KeptHistory:
    """Keeps what the newest run with kept records has, brought up to date when somebody asks.

    Attributes:
        store: the result store.
        url: its URL, beside which the files are.
    """

    def __init__(self, store: Store, url: str) -> None:
        self.store, self.url = store, url
        self._guard = threading.Lock()
        self._kept: Kept | None = None
        self._looked = -math.inf

    def now(self) -> Kept | None:
        """What there is, as of some seconds ago at the most; None where no run has kept records.

        Raises:
            RunError: a file is damaged.
        """
        with self._guard:
            if time.monotonic() - self._looked >= _EVERY:
                run = newest_with_records(self.store)
                rows = [] if run is None else self.store.rows("record_files", run["run_id"])
                self._kept = None if run is None else self._grown(run, rows)
                self._looked = time.monotonic()
            return self._kept

    def _grown(self, run: Mapping[str, Any], files: Sequence[File]) -> Kept:
        since = _first_day(run, files)
        wanted = {f["path"]: f for f in files if f["last"] >= since}
        kept = self._kept
        if kept is None or kept.run["run_id"] != run["run_id"]:
            kept = Kept(run)
        new = [f for path, f in wanted.items() if path not in kept.paths]
        if not new and since - kept.since < _DAY:
            return kept
        texts, shards = _with_files(kept, KeptRecords(folder_of(self.url), run["run_id"]), new, since)
        return Kept(run, shards, texts, frozenset(wanted), since, kept.cut or len(wanted) < len(files))


def newest_with_records(store: Store) -> dict[str, Any] | None:
    """The newest run that kept records; None where there is none."""
    return next((run for run in store.runs() if store.count("record_files", run["run_id"])), None)


def _first_day(run: Mapping[str, Any], files: Iterable[File]) -> int:
    """The first second of the day that ``--rule_history`` reaches back to: a file holds the records of a day."""
    last = max((f["last"] for f in files), default=0)
    history = int((run["options"] or {}).get("rule_history") or last)
    return int(max(last - history, 0) // _DAY * _DAY)


def _with_files(
    kept: Kept, files: KeptRecords, new: Sequence[File], since: int
) -> tuple[dict[int, str], list[Shard]]:
    """Texts and shards with the records of more files."""
    found: list[list[Interactions]] = [[] for _ in range(SHARDS)]
    texts = dict(kept.texts)
    for named, parts in on_threads(lambda some: _read(files, some), _bundles(new)):
        texts |= named
        for number, rows in parts:
            found[number].append(rows)

    def grown(number: int) -> Shard:
        parts, found[number] = found[number], []
        return kept.shards[number].with_more(parts, since)

    return texts, list(on_threads(grown, range(SHARDS)))


def _bundles(files: Sequence[File]) -> list[list[str]]:
    """Paths of files that together have enough records to be worth a task."""
    bundles: list[list[str]] = []
    rows = _BUNDLE
    for file in sorted(files, key=lambda f: (f["shard"], f["seq"], f["path"])):
        if rows >= _BUNDLE:
            bundles.append([])
            rows = 0
        bundles[-1].append(file["path"])
        rows += file["rows"]
    return bundles


def _read(files: KeptRecords, paths: list[str]) -> tuple[dict[int, str], list[tuple[int, Interactions]]]:
    """The texts and, by shard, the interactions of some files."""
    try:
        table = files.read(paths, _COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise RunError(files.unreadable(error)) from error
    records = from_batches([] if table is None else table.to_batches())
    shard = shard_of(records.caller, SHARDS)
    rows, order = from_records(records), np.argsort(shard, kind="stable")
    edges = np.searchsorted(shard[order], np.arange(SHARDS + 1)).tolist()
    parts = [(k, rows.take(order[edges[k] : edges[k + 1]])) for k in range(SHARDS) if edges[k] < edges[k + 1]]
    return text_parties(records), parts
