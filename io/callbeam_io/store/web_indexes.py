"""Indexes that make lists of very many people quick, made after a run was written."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import inspect, select, text

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES

_FILTERS: Final = (
    *(
        "tag",
        "business_type",
        "best_weekday",
        "best_hour",
        "calls",
        "messages",
        "duration_s",
        "international",
    ),
    *("last_seen", "subscriber"),
)
FILTERS: Final = frozenset(_FILTERS)
"""The columns of the index that holds all that a list is narrowed by, so that no row is looked at for that."""
KIND_OF_ORDER: Final = {
    "calls": "calls",
    "duration_s": "talk",
    "last_seen": "seen",
    "international": "abroad",
}
"""The other indexes: one for each order."""

_COLUMNS: Final = {"filters": _FILTERS} | {kind: (name, "subscriber") for name, kind in KIND_OF_ORDER.items()}
_NAME: Final = re.compile(r"web_[a-z]+_(\w+)")


def index_people(store: StoreBase, run_id: str) -> None:
    """Makes the indexes for a run's subscribers; takes some seconds for a million of them.

    They hold the rows of this run alone, so that later runs are written as fast as without them; a run that is
    still being written to would be slowed down. Those of runs that are gone are removed.
    """
    known = _known(store)
    with store.reading() as connection:
        runs = {_plain(run) for run in connection.scalars(select(TABLES["runs"].c.run_id))}
    mine = [(name, found[1]) for name in known if (found := _NAME.fullmatch(name))]
    changes = [f"DROP INDEX IF EXISTS {name}" for name, run in mine if run not in runs]
    literal = run_id.replace("'", "''")
    for kind, columns in _COLUMNS.items():
        if (name := index_name(kind, run_id)) not in known:
            made = f"CREATE INDEX IF NOT EXISTS {name} ON subscribers ({', '.join(columns)})"
            changes.append(f"{made} WHERE run_id = '{literal}'")
    for change in changes:
        with store.writing() as connection:  # one at a time: writers need not wait for all of them
            connection.execute(text(change))


def is_indexed(store: StoreBase, run_id: str) -> bool:
    """Whether a run has all of its indexes."""
    return {index_name(kind, run_id) for kind in _COLUMNS} <= _known(store)


def index_name(kind: str, run_id: str) -> str:
    """The name of an index of a run."""
    return f"web_{kind}_{_plain(run_id)}"


def _known(store: StoreBase) -> set[str]:
    with store.reading() as connection:
        return {str(index["name"]) for index in inspect(connection).get_indexes("subscribers")}


def _plain(run_id: str) -> str:
    return re.sub(r"\W", "_", run_id).lower()
