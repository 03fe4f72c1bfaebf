"""The result store: SQLAlchemy tables on SQLite or PostgreSQL, columnar writes, the life of runs."""

from callbeam_io.store.background import BackgroundWriter
from callbeam_io.store.engines import LOCK_WAIT, mends
from callbeam_io.store.pruning import drop_old_windows
from callbeam_io.store.registry import PATIENT_LOCK_WAIT, close_writers, writer_for
from callbeam_io.store.runs import set_run_values
from callbeam_io.store.store import ConsentCounts, Store, open_store
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import json_text, utc_text
from callbeam_io.store.writer import TableWriter

__all__ = [
    "LOCK_WAIT",
    "PATIENT_LOCK_WAIT",
    "TABLES",
    "BackgroundWriter",
    "ConsentCounts",
    "Store",
    "TableWriter",
    "close_writers",
    "drop_old_windows",
    "json_text",
    "mends",
    "open_store",
    "set_run_values",
    "utc_text",
    "writer_for",
]
