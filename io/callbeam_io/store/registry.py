"""The writers of this process: one per store, shared by all that run in it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Final

from callbeam_io.store.background import BackgroundWriter
from callbeam_io.store.engines import LOCK_WAIT
from callbeam_io.store.store import open_writer
from transforms.errors import StoreError

PATIENT_LOCK_WAIT: Final = 5.0
"""Seconds after which a patient writer says that another process keeps it waiting."""

_writers: Final[dict[tuple[int, str], BackgroundWriter]] = {}
_guard = threading.Lock()


def writer_for(url: str, *, patient: bool = False) -> BackgroundWriter:
    """The one background writer of this process for a store, made where there is none.

    Steps of a pipeline that are set up again for each bundle share it and its connection. One that has failed
    stays, until `close_writers`: rows of several steps were lost with it, and each of them has to hear of it.

    Args:
        url: of the store.
        patient: from now on the writer waits for what mends by itself, see `BackgroundWriter`.
    """
    key = (os.getpid(), url)  # a forked child must not use its parent's connections
    with _guard:
        writer = _writers.get(key)
        if writer is None or writer.closed:
            writer = _writers[key] = BackgroundWriter(
                open_writer(url, PATIENT_LOCK_WAIT if patient else LOCK_WAIT)
            )
        writer.patient = writer.patient or patient
        return writer


def close_writers() -> None:
    """Writes what waits and closes all writers of this process; what fails is logged."""
    with _guard:
        own = [key for key in _writers if key[0] == os.getpid()]
        for key in own:
            try:
                _writers.pop(key).close()
            except StoreError as error:
                logging.getLogger(__name__).error("%s", error)


atexit.register(close_writers)
