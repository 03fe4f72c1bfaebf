"""A drained run that goes on with other templates or windows: the tables that this changes begin anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, update

from callbeam_io.kept import from_ipc_bytes, ipc_bytes
from callbeam_io.store import Store
from callbeam_io.store.tables import TABLES
from pipelines.config import LIVE_SUBSCRIBER_WINDOW, RunConfig
from transforms.columns.cells import Layout, laid_anew
from transforms.columns.windows import parse_window
from transforms.schema import TEMPLATES

_STATE: Final = TABLES["shard_state"]
_RUNS: Final = TABLES["runs"]


def definitions(options: Mapping[str, Any]) -> dict[str, str]:
    """The result tables of a run and the window of each, from the column ``options`` of ``runs``."""
    window = options["plan"]["window"]
    subscribers = window if options["window_given"] else str(parse_window(LIVE_SUBSCRIBER_WINDOW))
    wanted = [t for t in options["plan"]["templates"] if t in TEMPLATES]
    return {t: subscribers if t == "subscribers" else window for t in wanted}


def changed_tables(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """The tables that are not defined as they were, those that are filled no more among them."""
    old, new = definitions(before), definitions(now)
    return tuple(t for t in TEMPLATES if old.get(t) != new.get(t))


def begin_anew(store: Store, run_id: str, config: RunConfig) -> tuple[str, ...]:
    """Makes the saved state of a drained run what it would be if the changed tables had been empty; all or nothing.

    Their rows go, and only records that come from now on count in them. All else goes on.

    Returns:
        The changed tables.
    """
    before, now = store.run(run_id)["options"], config.as_options()
    changed = changed_tables(before, now)
    if not changed:
        return ()
    options = {**before, "plan": now["plan"], "window_given": now["window_given"]}
    with store.writing() as connection:
        for table in (TABLES[t] for t in changed):
            connection.execute(delete(table).where(table.c.run_id == run_id))
        _rewrite_state(store, connection, run_id, changed, _layouts(before, config))
        connection.execute(update(_RUNS).where(_RUNS.c.run_id == run_id).values(options=options))
    return changed


def _layouts(before: Mapping[str, Any], config: RunConfig) -> tuple[Layout, Layout]:
    """The numberings of cells, of the run as it was and of the tables that go on."""
    reference, now = config.reference(), definitions(config.as_options())
    groups = {t: w for t, w in definitions(before).items() if t != "subscribers"}
    window = parse_window(next(iter(groups.values()), "all"))
    new = Layout.of(config.plan.groups, reference, window)
    return Layout.of(tuple(groups), reference, window), new.only(t for t in groups if now.get(t) == groups[t])


def _rewrite_state(
    store: Store,
    connection: Connection,
    run_id: str,
    changed: tuple[str, ...],
    layouts: tuple[Layout, Layout],
) -> None:
    """Drops subscribers that count no more, numbers cells anew, and notes since when tables count."""
    mine = _STATE.c.run_id == run_id
    if "subscribers" in changed:
        connection.execute(delete(_STATE).where(mine, _STATE.c.kind == "callers"))
    for row in store.rows("shard_state", run_id, where={"kind": "cells"}):
        place = mine & (_STATE.c.shard == row["shard"]) & (_STATE.c.kind == "cells")
        cells = laid_anew(from_ipc_bytes(row["payload"]), *layouts)
        connection.execute(
            update(_STATE).where(place).values(payload=ipc_bytes(cells))
            if cells.num_rows
            else delete(_STATE).where(place)
        )
    for row in store.rows("shard_state", run_id, where={"kind": "run"}):
        head = json.loads(row["payload"])
        head["since"] = {**head.get("since", {}), **dict.fromkeys(changed, head["seq"])}
        here = mine & (_STATE.c.kind == "run")
        connection.execute(update(_STATE).where(here).values(payload=json.dumps(head).encode()))
