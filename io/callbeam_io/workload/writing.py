"""A workload as files: the records, and beside them directory, consent list and planted truth."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from callbeam_io.workload.clock import zone_of
from callbeam_io.workload.dirt import FIRST_BAD
from callbeam_io.workload.formats import format_of, writer
from callbeam_io.workload.interactions import CONFLICT, GOOD
from callbeam_io.workload.plan import BLOCK
from callbeam_io.workload.workload import Workload
from transforms.errors import OptionError

ORDERS: Final = ("time", "shuffled")
_AT: Final = "%Y-%m-%dT%H:%M:%SZ"
_MOST_HEAPS: Final = 200
"""Files that are open at once while shuffling."""


@dataclass(frozen=True)
class Written:
    """What stands in the file now: lines by fate; the conflicting are some of the duplicates."""

    output: Path
    format: str
    good: int = 0
    duplicates: int = 0
    conflicting: int = 0
    rejects: int = 0

    @property
    def records(self) -> int:
        """All lines."""
        return self.good + self.duplicates + self.rejects


def beside(output: Path, what: str) -> Path:
    """The name of a file that belongs to the output: ``cdrs.csv.gz`` -> ``cdrs.<what>.csv``."""
    stem = output.with_suffix("") if output.suffix.lower() == ".gz" else output
    return stem.with_name(f"{stem.stem}.{what}.csv")


def write_workload(
    workload: Workload,
    output: Path,
    name: str | None = None,
    order: str = "time",
    progress: Callable[[int], object] = lambda records: None,
) -> Written:
    """Writes the records of the period and beside them ``.directory.csv``, ``.consent.csv``, ``.truth.csv``.

    Args:
        workload: whose.
        output: the file of the records, ``.gz`` allowed for text; its folder is made where it is missing.
        name: one of `formats.FORMATS`, where the extension does not say it.
        order: ``time``, or ``shuffled`` (through temporary files in the output's folder).
        progress: told how many more records are written.

    Memory stays flat: a block at a time, shuffled or not.

    Raises:
        OptionError: no such format or order, an offset where a zone's name is needed.
        OSError: the files cannot be written.
    """
    name = format_of(output, name)
    if name == "pipes" and zone_of(workload.settings.zone).utcoffset(None):
        zone = f"--zone {workload.settings.zone}"
        raise OptionError(zone, "a zone by name such as Asia/Kolkata: stamps of this format carry no offset")
    if order not in ORDERS:
        raise OptionError(f"--order {order}", f"one of {', '.join(ORDERS)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    frames = workload.frames()
    if order == "shuffled":
        frames = shuffled(frames, workload.total, output.parent, workload.settings.seed)
    fates = np.zeros(256, dtype=np.int64)
    with writer(output, name, utc=workload.utc) as out:
        for frame in ahead(frames):
            out.write(frame)
            fates += np.bincount(frame["dirt"].to_numpy(), minlength=256)
            progress(len(frame))
    write_tables(workload, output)
    return _written(output, name, fates)


def ahead(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same frames, each made while the one before it is written."""
    rest = iter(frames)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(next, rest, None)
        while (frame := made.result()) is not None:
            made = pool.submit(next, rest, None)
            yield frame


def shuffled(frames: Iterable[pl.DataFrame], total: int, folder: Path, seed: int) -> Iterator[pl.DataFrame]:
    """The same records in an order of chance, by way of heaps on disk that fit in memory one by one.

    `total` is about how many there are; the heaps are uncompressed Arrow, gone at the end.
    """
    rng = np.random.default_rng([seed, total])
    heaps = min(max(1, math.ceil(total / BLOCK)), _MOST_HEAPS)
    with tempfile.TemporaryDirectory(prefix=".shuffle-", dir=folder) as name:
        paths = [Path(name) / f"{heap}.arrows" for heap in range(heaps)]
        _scatter(frames, paths, rng)
        for path in paths:
            if path.exists():
                heap = pl.DataFrame(pa.ipc.open_stream(path.read_bytes()).read_all())
                path.unlink()
                yield heap[rng.permutation(len(heap))]


def _scatter(frames: Iterable[pl.DataFrame], paths: list[Path], rng: np.random.Generator) -> None:
    """Every record to a heap of chance."""
    with ExitStack() as stack:
        open_heaps: dict[int, pa.RecordBatchStreamWriter] = {}
        for frame in frames:
            heap = rng.integers(0, len(paths), len(frame))
            order, ends = np.argsort(heap, kind="stable"), np.cumsum(np.bincount(heap, minlength=len(paths)))
            sorted_rows = frame[order].to_arrow(compat_level=pl.CompatLevel.oldest())
            for i, end in enumerate(ends):
                first = int(ends[i - 1]) if i else 0
                if i not in open_heaps:
                    open_heaps[i] = stack.enter_context(pa.ipc.new_stream(paths[i], sorted_rows.schema))
                open_heaps[i].write_table(sorted_rows.slice(first, int(end) - first))


def write_tables(workload: Workload, output: Path) -> None:
    """Writes directory, consent list and truth, beside the output."""
    consent = workload.consent().with_columns(pl.col("at").dt.strftime(_AT))
    tables = {"directory": workload.directory(), "consent": consent, "truth": workload.people()}
    for what, table in tables.items():
        part = beside(output, what).with_suffix(".part")
        table.write_csv(part)
        part.replace(beside(output, what))


def _written(output: Path, name: str, fates: npt.NDArray[np.int64]) -> Written:
    return Written(
        output,
        name,
        good=int(fates[GOOD]),
        duplicates=int(fates[GOOD + 1 : FIRST_BAD].sum()),
        conflicting=int(fates[CONFLICT]),
        rejects=int(fates[FIRST_BAD:].sum()),
    )
