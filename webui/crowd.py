"""The people of a run: lists of very many of them are narrowed and sorted in memory, see `web_people_columns`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from callbeam_io.store import web_indexes, web_queries
from callbeam_io.store.standing import Standing
from callbeam_io.store.store import Store
from callbeam_io.store.web_people import People
from callbeam_io.store.web_people_columns import PeopleColumns, read_columns
from webui import words
from webui.moments import contact_time
from webui.preparation import MANY
from webui.services import cached, services, store

_FRESH: Final = 30.0
OLDEST: Final = 120.0
"""Seconds after which the columns of a live run are not looked at any more."""


def people_of(
    run_id: str, where: Mapping[str, Any] | None = None, standing: Standing | None = None
) -> People:
    """The subscribers of a run that pass some filters, found by the run's indexes where it has them."""
    indexed = cached(("indexed", run_id), 5, lambda: web_indexes.is_indexed(store(), run_id))
    return People(store(), run_id, where or {}, indexed, standing=standing)


def crowd_of(run_id: str, where: Mapping[str, Any] | None = None, standing: Standing | None = None) -> People:
    """The same for lists. Of a big run that is live they may be in the order of a minute ago (``columns.at``)."""
    people = people_of(run_id, where, standing)
    return People(people.store, run_id, people.where, people.indexed, _columns(run_id), standing)


def _columns(run_id: str) -> PeopleColumns | None:
    """Those of a big run, if they are there; they are read anew beside the work while they are asked for."""
    run = cached(("run", run_id), 2, lambda: web_queries.run_row(store(), run_id))
    read = partial(_read, store(), run_id, contact_time(run))
    found = services().crowds.soon(run_id, _FRESH, read, wait=0)
    return found[0] if found and _holds(found[0], run) else None


def _holds(columns: PeopleColumns, run: Mapping[str, Any] | None) -> bool:
    """Whether they are those of a run as it ended, or as it was not long ago."""
    ended = None if run is None else words.moment(run["finished_at"])
    if ended is not None:
        return columns.at > ended.timestamp() + 1  # the store's times are whole seconds
    return time.time() - columns.at < OLDEST


def _read(opened: Store, run_id: str, at: str) -> list[PeopleColumns]:
    """One, or none where there are few people: for them the store is as quick, and up to date."""
    return [read_columns(opened, run_id, at)] if People(opened, run_id).count() >= MANY else []
