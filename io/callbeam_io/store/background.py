"""Writing beside the work that makes the results: a thread with a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from callbeam_io.store.arrow import for_store
from callbeam_io.store.engines import mends
from callbeam_io.store.tables import table_named
from callbeam_io.store.writer import Also, Rows, TableWriter
from transforms.errors import StoreError

MAX_BYTES: Final = 128 << 20
GATHER_ROWS: Final = 250_000
"""Rows of a fresh run that are worth a transaction. Each one rewrites the pages of the key's index that its
rows fall into, nearly all of them: 64 transactions of 16,000 rows take twice as long as 4 of 250,000."""

START_ROWS: Final = 10_000
"""Rows of a fresh run at which a transaction begins; the rows that come meanwhile join it."""

COMPANY: Final = 0.2
"""Seconds that a transaction of a fresh run, which keeps other writers out, waits for more rows."""

PAUSE: Final = 1.0
"""Seconds between two attempts of a patient writer."""


@dataclass
class _Job:
    run_id: str
    tables: dict[str, pa.Table]
    append: bool
    counts: Mapping[str, Any]
    also: Also | None
    done: tuple[Callable[[], object], ...] = ()
    number: int = 1

    @property
    def rows(self) -> int:
        return sum(t.num_rows for t in self.tables.values())

    @property
    def size(self) -> int:
        return sum(t.nbytes for t in self.tables.values())

    def takes(self, later: _Job) -> bool:
        """Whether one transaction for both does what two would do."""
        return (
            self.also is None
            and (self.run_id, self.append) == (later.run_id, later.append)
            and all(later.tables[n].schema == t.schema for n, t in self.tables.items() if n in later.tables)
        )

    def with_later(self, later: _Job) -> _Job:
        tables = dict(self.tables)
        for name, rows in later.tables.items():
            tables[name] = pa.concat_tables([tables[name], rows]) if name in tables else rows
        counts, done = {**self.counts, **later.counts}, self.done + later.done
        return _Job(self.run_id, tables, self.append, counts, later.also, done, self.number + later.number)


@dataclass(frozen=True)
class _Again:
    """What can be gone through again from its beginning."""

    parts: Callable[[], Iterator[dict[str, pa.Table]]]

    def __iter__(self) -> Iterator[dict[str, pa.Table]]:
        return self.parts()


class BackgroundWriter:
    """Takes tables in order and writes them on a thread of its own; what waits may share a transaction.

    Rows of fresh runs (``append``) are held back until there are `START_ROWS` of them, or `flush`, and share
    transactions of `GATHER_ROWS`; all else is written at once. After a failure everything raises it: what was
    waiting is lost. A patient writer tries again and again where waiting can help (`engines.mends`): meanwhile
    `trouble` says why, `put` waits as soon as too much is waiting, and `flush` waits.

    Args:
        writer: does the writing; it may be used beside this.
        max_bytes: of tables that wait: `put` waits while there are more.
    """

    def __init__(self, writer: TableWriter, max_bytes: int = MAX_BYTES) -> None:
        self.writer = writer
        self.patient = False
        self.trouble: str | None = None
        self._max_bytes = max_bytes
        self._jobs: deque[_Job] = deque()
        self._put = self._done = self._hurry = 0  # numbers of jobs: put, written, wanted written now
        self._closed = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="callbeam-writer", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def _usable(self) -> bool:
        return self._error is None and not self._closed

    def put(
        self,
        run_id: str,
        tables: Mapping[str, Rows],
        *,
        append: bool = False,
        counts: Mapping[str, Any] | None = None,
        also: Also | None = None,
        done: Callable[[], object] | None = None,
    ) -> None:
        """Hands in one transaction (arguments as of `TableWriter.write`); waits while too much is waiting.

        ``done`` is called on the writer's thread once it is committed.

        Raises StoreError of an earlier transaction; ValueError: a table or column that does not exist.
        """
        ready = {name: for_store(table_named(name), rows) for name, rows in tables.items()}
        job = _Job(run_id, ready, append, dict(counts or {}), also, (done,) if done else ())
        with self._changed:
            while self._jobs and self._bytes() + job.size > self._max_bytes and self._usable:
                self._hurry = self._put
                self._changed.notify_all()
                self._changed.wait()
            self._raise()
            self._jobs.append(job)
            self._put += 1
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits until everything that was put before is committed; raises StoreError if it could not be."""
        with self._changed:
            wanted = self._hurry = self._put
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= wanted or not self._usable)
            self._raise()

    def check(self) -> None:
        """Raises StoreError where an earlier transaction could not be written."""
        with self._changed:
            self._raise()

    def close(self) -> None:
        """Writes what waits and ends the thread; raises StoreError if something could not be written.

        Patience ends here.
        """
        with self._changed:
            self.patient = False
            self._changed.notify_all()
        try:
            if not self._closed:
                self.flush()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._thread.join()
            self.writer.close()

    def _bytes(self) -> int:
        return sum(job.size for job in self._jobs)

    def _raise(self) -> None:
        if self._error is not None:
            raise StoreError(str(self._error)) from self._error
        if self._closed:
            raise StoreError(f"the writer of {self.writer.name} is closed")

    def _work(self) -> None:
        while (job := self._take()) is not None:
            taken = [job]
            try:
                while not self._try(taken):
                    with self._changed:
                        self._changed.wait_for(lambda: not self.patient, PAUSE)
            except Exception as error:  # whatever it is, the thread that flushes has to hear of it
                self._fail(error)
                return
            for done in (d for one in taken for d in one.done):
                done()
            with self._changed:
                self._done += sum(one.number for one in taken)
                self._changed.notify_all()

    def _try(self, taken: list[_Job]) -> bool:
        """Writes a transaction, and adds the jobs that join it; False where it is worth another attempt."""
        job = taken[0]
        counts = dict(job.counts)

        def company() -> Iterator[dict[str, pa.Table]]:
            counts.update({n: v for one in taken[1:] for n, v in one.counts.items()})
            yield from (one.tables for one in taken[1:])
            while (later := self._join(taken)) is not None:
                taken.append(later)
                counts.update(later.counts)
                yield later.tables

        more = _Again(company) if job.append and job.also is None else ()
        try:
            self.writer.write(
                job.run_id, job.tables, append=job.append, counts=counts, also=job.also, more=more
            )
        except StoreError as error:
            if not (self.patient and mends(error)):
                raise
            self.trouble = str(error)
            return False
        self.trouble = None
        return True

    def _take(self) -> _Job | None:
        """The next transaction; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_due())
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            while self._jobs and job.takes(self._jobs[0]) and job.rows < GATHER_ROWS:
                job = job.with_later(self._jobs.popleft())
            self._changed.notify_all()
            return job

    def _join(self, taken: list[_Job]) -> _Job | None:
        """The next job that shares the transaction of a fresh run; None where there is none, or enough."""
        if sum(job.rows for job in taken) >= GATHER_ROWS:
            return None
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed or self._hurry == self._put, COMPANY)
            if not self._jobs or not all(job.takes(self._jobs[0]) for job in taken) or self._jobs[0].also:
                return None
            job = self._jobs.popleft()
            self._changed.notify_all()
            return job

    def _is_due(self) -> bool:
        if self._hurry > self._done or not all(job.append for job in self._jobs):
            return bool(self._jobs)
        return sum(job.rows for job in self._jobs) >= min(START_ROWS, GATHER_ROWS)

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._jobs.clear()
            self._changed.notify_all()
