"""What the web app reads beyond `reads.Reads`: the run to speak of, windows, summaries of many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, and_, func, select

from callbeam_io.store import locks
from callbeam_io.store.base import StoreBase
from callbeam_io.store.filters import Condition, conditions
from callbeam_io.store.reads import Reads
from callbeam_io.store.tables import TABLES
from transforms.errors import CallbeamError as CallbeamError
from transforms.errors import RequestError as RequestError
from transforms.errors import StoreError as StoreError
from transforms.schema import ALL_END as ALL_END
from transforms.schema import ALL_START as ALL_START
from transforms.schema import BUSINESS_TYPES as BUSINESS_TYPES
from transforms.schema import TIME_FORMAT as TIME_FORMAT

RUNS: Final = TABLES["runs"]


def shown_run(store: StoreBase) -> dict[str, Any] | None:
    """The row of the run that the status is about: a stream that is running, else the newest of all."""
    streaming = and_(RUNS.c.mode == "streaming", RUNS.c.state == "running")
    newest_stream = select(func.max(RUNS.c.run_id)).where(streaming).scalar_subquery()
    newest = select(func.max(RUNS.c.run_id)).where(RUNS.c.pruned_at.is_(None)).scalar_subquery()
    wanted = RUNS.c.run_id == func.coalesce(newest_stream, newest)
    with store.reading() as connection:
        row = connection.execute(select(RUNS).where(wanted)).mappings().first()
    return None if row is None else dict(row)


def is_worked_on(store: StoreBase, run_id: str) -> bool:
    """Whether a process holds the lock of a run."""
    return not locks.is_free(store.engine, run_id)


def windows(store: StoreBase, table: str, run_id: str, limit: int = 1000) -> list[tuple[str, str]]:
    """Start and end of the windows that have rows in a table of a run, the newest first."""
    found = TABLES[table]
    pairs = select(found.c.window_start, func.max(found.c.window_end)).where(found.c.run_id == run_id)
    ordered = pairs.group_by(found.c.window_start).order_by(found.c.window_start.desc()).limit(limit)
    with store.reading() as connection:
        return [(row[0], row[1]) for row in connection.execute(ordered)]


def run_row(store: StoreBase, run_id: str) -> dict[str, Any] | None:
    """The row of a run that is not being deleted, or None."""
    with store.reading() as connection:
        wanted = select(RUNS).where(RUNS.c.run_id == run_id, RUNS.c.pruned_at.is_(None))
        row = connection.execute(wanted).mappings().first()
    return None if row is None else dict(row)


def analysis_rows(store: Reads, table: str, run_id: str, window_start: str | None) -> list[dict[str, Any]]:
    """Rows of one window of an analysis, or those of all windows added up.

    Rows of ``type_graph`` also have ``caller_tag`` and ``called_tag``.
    """
    if window_start is not None:
        rows = store.rows(table, run_id, where={"window_start": window_start})
    else:
        rows = _added_up(store, TABLES[table], run_id)
    return rows if table != "type_graph" else _with_tags(rows, tags_of_types(store, run_id))


_SUMMED: Final = ("calls", "answered", "messages", "duration_s")


def _added_up(store: StoreBase, table: Table, run_id: str) -> list[dict[str, Any]]:
    keys = [c for c in table.primary_key.columns if c.name not in ("run_id", "window_start")]
    keys += [c for c in table.columns if c.name == "tag"]
    times = [
        func.min(table.c.window_start).label("window_start"),
        func.max(table.c.window_end).label("window_end"),
    ]
    sums = [func.sum(table.c[name]).label(name) for name in _SUMMED]
    statement = select(*keys, *times, *sums).where(table.c.run_id == run_id).group_by(*keys)
    with store.reading() as connection:
        found = connection.execute(statement).mappings()
        return [{**row, **{name: int(row[name] or 0) for name in _SUMMED}} for row in found]


def tags_of_types(store: StoreBase, run_id: str) -> dict[str, str]:
    """The tag of each business type: as the run's results have it, else the usual one."""
    found = TABLES["business_types"]
    pairs = select(found.c.business_type, found.c.tag).where(found.c.run_id == run_id).distinct()
    with store.reading() as connection:
        return dict(BUSINESS_TYPES) | {row[0]: row[1] for row in connection.execute(pairs)}


def _with_tags(rows: list[dict[str, Any]], tags: dict[str, str]) -> list[dict[str, Any]]:
    for row in rows:
        for side in ("caller", "called"):
            name = row[f"{side}_type"]
            row[f"{side}_tag"] = tags.get(name, name)
    return rows


def grouped(
    store: StoreBase,
    table: str,
    run_id: str | None,
    by: Sequence[str],
    *,
    where: Mapping[str, Condition] | None = None,
    sums: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Rows counted (``count``) and summed by some columns, the most first.

    Args:
        store: to read from.
        table: its name.
        run_id: of the run; None: the table holds no runs.
        by: columns.
        where: as of `reads.Reads.rows`.
        sums: columns to sum.
    """
    found = TABLES[table]
    columns = [found.c[name] for name in by]
    wanted = conditions(found, where or {})
    wanted += [] if run_id is None else [found.c.run_id == run_id]
    count = func.count().label("count")
    summed = [func.sum(found.c[name]).label(name) for name in sums]
    statement = (
        select(*columns, count, *summed).where(*wanted).group_by(*columns).order_by(count.desc(), *columns)
    )
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


@dataclass(frozen=True)
class Milestones:
    """How far a store has come: records read, people with a consent, rules that are on, promotions."""

    records: int
    consents: int
    rules_on: int
    promotions: int


def milestones(store: StoreBase) -> Milestones:
    """Counts over everything in the store."""
    rules, promotions, consent = TABLES["rules"], TABLES["promotions"], TABLES["consent"]
    counts = [
        select(func.coalesce(func.sum(RUNS.c.records_good), 0)),
        select(func.count()).select_from(consent).where(consent.c.opted_in.is_(True)),
        select(func.count()).select_from(rules).where(rules.c.enabled.is_(True)),
        select(func.count()).select_from(promotions),
    ]
    with store.reading() as connection:
        return Milestones(*(int(connection.scalar(c) or 0) for c in counts))


def records_by_type(store: StoreBase, run_id: str) -> dict[str, int]:
    """Calls and messages per business type over all windows that are kept."""
    found = TABLES["business_types"]
    total = func.sum(found.c.calls + found.c.messages)
    statement = (
        select(found.c.business_type, total).where(found.c.run_id == run_id).group_by(found.c.business_type)
    )
    with store.reading() as connection:
        return {row[0]: int(row[1] or 0) for row in connection.execute(statement)}
