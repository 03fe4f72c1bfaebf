"""Very many rows as CSV: some at a time, without a Python object per value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl
from sqlalchemy import select

from callbeam_io.store import arrow
from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, beyond, conditions, order, sorting
from callbeam_io.store.standing import Standing
from callbeam_io.store.tables import table_named

PAGE: Final = 20_000
_FORMULA: Final = r"^(?:[=@\t\r-]|\+[^0-9]|\+.*[^0-9])"
"""What a spreadsheet would run as a formula; numbers with their plus sign are none."""


def csv_pages(
    store: StoreBase,
    table: str,
    run_id: str,
    where: Mapping[str, Condition],
    columns: Sequence[str],
    standing: Standing | None = None,
) -> Iterator[bytes]:
    """The rows of a run in the order of the key, as lines of CSV with a header; flat memory.

    Args:
        store: to read from.
        table: its name.
        run_id: of the run.
        where: as of `reads.Reads.rows`.
        columns: the columns of the file.
        standing: of subscribers, whether they may be contacted, or None: all of them.
    """
    found = table_named(table)
    keys, after = order(found, None), None
    yield (",".join(columns) + "\r\n").encode()
    while True:
        wanted = [found.c.run_id == run_id, *conditions(found, where)]
        wanted += [] if standing is None else [standing.holds_for(found.c.subscriber)]
        wanted += [] if after is None else [beyond(keys, after)]
        statement = select(found).where(*wanted).order_by(*sorting(keys)).limit(PAGE)
        with store.reading() as connection:
            rows = pl.DataFrame(pl.from_arrow(arrow.read(connection, found, statement)))
        if rows.is_empty():
            return
        safe = rows.select(*columns).with_columns(_safe(pl.col(pl.String)))
        yield safe.write_csv(include_header=False, line_terminator="\r\n").encode()
        after = rows.select(*(c.name for c, _ in keys)).row(-1, named=True)


def _safe(cells: pl.Expr) -> pl.Expr:
    """Text with a quote before what would be a formula."""
    return pl.when(cells.str.contains(_FORMULA)).then(pl.lit("'") + cells).otherwise(cells).name.keep()
