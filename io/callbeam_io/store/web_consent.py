"""What pages write about consent: entries for one person, whole lists, suppressions; and what follows at once."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Connection, and_, exists, insert, literal, select, true, update

from callbeam_io.store.store import Store
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text

_CONSENT: Final = TABLES["consent"]
_SUPPRESSED: Final = TABLES["suppressed"]
_DELIVERIES: Final = TABLES["deliveries"]


def record_consent(store: Store, subscriber: str, at: str, opted_in: bool, source: str) -> None:
    """What one person said. Somebody who opts out gets nothing that still waits to be sent.

    Args:
        store: where to.
        subscriber: as the store spells it.
        at: from when on it counts.
        opted_in: yes or no.
        source: who or what says so.
    """
    with store.writing() as connection:
        values = {"opted_in": opted_in, "source": source}
        _upsert(connection, _CONSENT, {"subscriber": subscriber, "at": at}, values)
        if not opted_in:
            _withdraw(connection, subscriber)


def suppress(store: Store, subscriber: str, at: str, reason: str) -> None:
    """Nobody may contact this person from then on, whatever consents say; what waits to be sent is withdrawn."""
    with store.writing() as connection:
        _upsert(connection, _SUPPRESSED, {"subscriber": subscriber, "at": at}, {"reason": reason})
        _withdraw(connection, subscriber)


def _upsert(connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
    same = and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(update(table).where(same).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values))


def _withdraw(connection: Connection, subscriber: str) -> None:
    waiting = and_(_DELIVERIES.c.subscriber == subscriber, _DELIVERIES.c.state == "waiting")
    connection.execute(update(_DELIVERIES).where(waiting).values(state="withdrawn", at=utc_text()))


def load_list(store: Store, rows: pa.Table, source: str, at: str, replaces: bool) -> int:
    """Writes a list of consents (rows as of `consent.ConsentFile`); gives how many people it took out.

    Args:
        store: where to.
        rows: subscriber, at, opted_in.
        source: of this list, unlike that of any other.
        at: from when on people count as opted out who are not in the list.
        replaces: whoever is not in the list and had said yes is opted out.
    """
    named = rows.drop_columns(["source"]).append_column(
        "source", pa.array([source] * len(rows), pa.large_string())
    )
    removed = 0

    def also(connection: Connection) -> None:
        nonlocal removed
        removed = _opt_others_out(connection, source, at) if replaces else 0
        _withdraw_all(connection)

    store.writer().write("", {"consent": named}, also=also)
    return removed


def _opt_others_out(connection: Connection, source: str, at: str) -> int:
    listed, later = _CONSENT.alias(), _CONSENT.alias()
    mentioned = exists().where(listed.c.subscriber == _CONSENT.c.subscriber, listed.c.source == source)
    overruled = exists().where(later.c.subscriber == _CONSENT.c.subscriber, later.c.at > _CONSENT.c.at)
    wanted = and_(_CONSENT.c.opted_in == true(), _CONSENT.c.at < at, ~mentioned, ~overruled)
    out = select(_CONSENT.c.subscriber, literal(at), literal(False), literal(f"not in {source}")).where(
        wanted
    )
    statement = insert(_CONSENT).from_select(["subscriber", "at", "opted_in", "source"], out)
    return int(connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount)


def _withdraw_all(connection: Connection) -> None:
    """What waits to be sent to people whose newest word is no."""
    later = _CONSENT.alias()
    overruled = exists().where(later.c.subscriber == _CONSENT.c.subscriber, later.c.at > _CONSENT.c.at)
    out = select(_CONSENT.c.subscriber).where(_CONSENT.c.opted_in.is_(False), ~overruled)
    waiting = and_(_DELIVERIES.c.state == "waiting", _DELIVERIES.c.subscriber.in_(out))
    connection.execute(update(_DELIVERIES).where(waiting).values(state="withdrawn", at=utc_text()))
