"""Work that is done ahead, on a thread of its own, so that nobody waits for it: the map, indexes of big runs."""

from __future__ import annotations

import logging
import threading
from typing import Final

from callbeam_io.store import Store
from callbeam_io.store.web_indexes import index_people, is_indexed
from callbeam_io.store.web_people import People
from callbeam_io.store.web_queries import StoreError
from webui.geo import world

_LOG: Final = logging.getLogger(__name__)
MANY: Final = 50_000
"""Subscribers of a run from which on lists without indexes are felt to be slow."""
EVERY: Final = 5.0


def start(store: Store) -> None:
    """Begins it."""
    threading.Thread(target=_work, args=(store,), name="preparation", daemon=True).start()


def _work(store: Store) -> None:
    if world.edition() is not None:
        world.codes()
    ready, pause = "", threading.Event()
    while not pause.wait(EVERY):
        try:
            ready = prepare_newest(store, ready)
        except StoreError as error:
            _LOG.warning("lists stay slow for now: %s", error)


def prepare_newest(store: Store, ready: str = "") -> str:
    """Makes the indexes of the newest run that is done, if it is big; gives its run_id.

    A stream is left alone: it is being written to.
    """
    run_id = store.newest_run(finished=True)
    if run_id is None or run_id == ready:
        return ready
    if not is_indexed(store, run_id) and People(store, run_id).count() >= MANY:
        index_people(store, run_id)
    return run_id
