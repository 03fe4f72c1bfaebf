"""Deleting what is old: runs beyond --keep_runs, windows of a stream beyond --keep_windows."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Table, delete, literal_column, select

from callbeam_io.store.base import StoreBase
from callbeam_io.store.runs import FINISHED, RUNS, change, kept
from callbeam_io.store.tables import RUN_TABLES, TABLES
from callbeam_io.store.types import utc_text

WINDOW_TABLES: Final = tuple(n for n, t in TABLES.items() if "window_start" in t.primary_key.columns)
"""Tables with a row per window: `subscribers` is none of them."""

_CHUNK: Final = 20_000
"""Rows deleted in one transaction, so that other writers need not wait long."""


class Pruning(StoreBase):
    """Deletes old runs and windows."""

    def prune_runs(self, keep: int) -> list[str]:
        """Deletes all but the newest ``keep`` finished runs, with their rows in all tables.

        The newest run that is done and the newest stream (it can be resumed) are always among those kept.

        Returns:
            The run_ids of those deleted.
        """
        with self.writing() as connection:
            for run_id in _superfluous(connection, keep):
                connection.execute(change(run_id).values(pruned_at=utc_text()))
            # and those of an earlier deletion that was cut short
            doomed = list(connection.scalars(select(RUNS.c.run_id).where(~kept()).order_by(RUNS.c.run_id)))
        for run_id in doomed:
            for name in RUN_TABLES:
                self._delete_rows(TABLES[name], run_id)
            with self.writing() as connection:
                connection.execute(delete(RUNS).where(RUNS.c.run_id == run_id))
        return doomed

    def prune_windows(self, run_id: str, keep: int) -> None:
        """`drop_old_windows` in a transaction of its own."""
        with self.writing() as connection:
            drop_old_windows(connection, run_id, keep)

    def _delete_rows(self, table: Table, run_id: str) -> None:
        place: Any = literal_column("rowid" if self.engine.dialect.name == "sqlite" else "ctid")
        same = table.alias()
        some = select(place).select_from(same).where(same.c.run_id == run_id).limit(_CHUNK)
        while True:
            with self.writing() as connection:
                if connection.execute(delete(table).where(place.in_(some))).rowcount == 0:
                    return


def drop_old_windows(connection: Connection, run_id: str, keep: int) -> None:
    """Leaves the newest ``keep`` windows of a run in each table with windows, in the caller's transaction."""
    for table in (TABLES[name] for name in WINDOW_TABLES):
        same = table.alias()
        starts = select(same.c.window_start).where(same.c.run_id == run_id).distinct()
        oldest = starts.order_by(same.c.window_start.desc()).offset(keep - 1).limit(1)
        start, own = table.c.window_start, table.c.run_id == run_id
        too_old = start < oldest.scalar_subquery()  # of none where there are fewer windows
        connection.execute(delete(table).where(own, too_old))


def _superfluous(connection: Connection, keep: int) -> list[str]:
    rows = connection.execute(
        select(RUNS.c.run_id, RUNS.c.state, RUNS.c.mode)
        .where(RUNS.c.state.in_(FINISHED), kept())
        .order_by(RUNS.c.run_id.desc())
    ).all()
    protected = {next((r.run_id for r in rows if r.state == "done"), None)}
    protected.add(next((r.run_id for r in rows if r.mode == "streaming"), None))
    others = [r.run_id for r in rows if r.run_id not in protected]
    return others[max(keep - (len(rows) - len(others)), 0) :]
