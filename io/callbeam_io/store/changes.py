"""Whose consents changed, noted by the database itself: whoever writes them, in whatever way.

A pipeline asks every second. A look at a million consents takes seconds, the newest number in this log none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, text

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES

WATCHED: Final = ("consent", "suppressed")
KEPT: Final = 100_000
"""Changes that are remembered at least."""
MANY: Final = 10_000
"""Rows that are one change when they are written together."""

_LOG: Final = TABLES["consent_changes"]
_FORGET: Final = f"DELETE FROM consent_changes WHERE id <= (SELECT max(id) FROM consent_changes) - {KEPT}"
_SIDES: Final = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}


def watch_consents(connection: Connection) -> None:
    """Makes the triggers that fill the log, in a store that has its tables."""
    statements = _postgres() if connection.dialect.name == "postgresql" else _sqlite()
    for statement in statements:
        connection.execute(text(statement))


@contextmanager
def noted_as_one(connection: Connection, table: str, rows: int) -> Iterator[None]:
    """Many rows of a watched table in SQLite, which triggers would make three times as slow, are one change of all.

    Args:
        connection: in a transaction.
        table: that is about to be written.
        rows: how many will be.
    """
    if table not in WATCHED or rows < MANY or connection.dialect.name != "sqlite":
        yield
        return
    for event in _SIDES:
        connection.execute(text(f"DROP TRIGGER {table}_{event.lower()}_noted"))
    yield
    for statement in _sqlite((table,)):
        connection.execute(text(statement))
    newest = connection.scalar(select(func.max(_LOG.c.id))) or 0
    connection.execute(delete(_LOG))
    connection.execute(insert(_LOG).values(id=newest + 2))  # a number is missing: the log does not reach back


def _sqlite(tables: Sequence[str] = WATCHED) -> list[str]:
    """A trigger per table and kind of change, for each row."""
    found = []
    for table in tables:
        for event, sides in _SIDES.items():
            notes = [
                f"INSERT INTO consent_changes (subscriber) VALUES ({side}.subscriber);" for side in sides
            ]
            name = f"{table}_{event.lower()}_noted"
            body = " ".join([*notes, f"{_FORGET};"])
            found.append(f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN {body} END")
    return found


def _postgres() -> list[str]:
    """The same for whole statements. The log is locked before anything is written: its numbers ascend in the order
    of commits, and two writers never wait for each other."""
    begin = "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$"
    found = [begin.format("lock_consent_changes", "LOCK TABLE consent_changes IN EXCLUSIVE MODE;")]
    for event, sides in _SIDES.items():
        notes = "".join(
            f"INSERT INTO consent_changes (subscriber) SELECT subscriber FROM {side.lower()}_rows; "
            for side in sides
        )
        found.append(begin.format(f"note_consent_{event.lower()}", f"{notes}{_FORGET};"))
    for table in WATCHED:
        found.append(
            f"CREATE TRIGGER {table}_locked BEFORE INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION lock_consent_changes()"
        )
        for event, sides in _SIDES.items():
            rows = " ".join(f"{side} TABLE AS {side.lower()}_rows" for side in sides)
            found.append(
                f"CREATE TRIGGER {table}_{event.lower()}_noted AFTER {event} ON {table} "
                f"REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION note_consent_{event.lower()}()"
            )
    return found


def newest_change(store: StoreBase) -> int:
    """The number of the last change of consents or suppressions; 0 before the first one."""
    with store.reading() as connection:
        return int(connection.scalar(select(func.max(_LOG.c.id))) or 0)


def changed_between(store: StoreBase, after: int, until: int, most: int) -> list[str] | None:
    """Whose consents changed, by the changes ``after < number <= until``.

    Returns:
        Subscribers, each once. None where there are more than ``most``, or where the log no longer reaches back.
    """
    wanted = select(_LOG.c.subscriber).where(_LOG.c.id > after, _LOG.c.id <= until).distinct().limit(most + 1)
    with store.reading() as connection:
        oldest = int(connection.scalar(select(func.min(_LOG.c.id))) or 0)
        found = list(connection.scalars(wanted))
    return None if len(found) > most or oldest > after + 1 else found
