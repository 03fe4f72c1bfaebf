"""The schema's version and the steps from each version to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, inspect, select, text

from callbeam_io.store.adbc_dialect import WRITES
from callbeam_io.store.changes import watch_consents
from callbeam_io.store.engines import shown
from callbeam_io.store.tables import METADATA, TABLES
from callbeam_io.store.types import utc_text
from transforms.errors import OptionError

Migration = Callable[[Connection], None]


def _second(connection: Connection) -> None:
    """Deliveries with their attempts, rules in words, samples, changes of state, jobs of the web app, and
    whose consents changed."""
    key = 'VARCHAR COLLATE "C"' if connection.dialect.name == "postgresql" else "TEXT"
    added = {
        "rules": [f"sentence {key}"],
        "rule_versions": [f"sentence {key}"],
        "deliveries": [
            *(f"{name} {key}" for name in ("run_id", "due_at", "expires_at")),
            "attempts BIGINT",
            *(f"{name} {key}" for name in ("next_at", "detail")),
            "rule_version BIGINT",
            "offer TEXT",
            *(f"{name} {key}" for name in ("zones", "quiet")),
        ],
    }
    for table, columns in added.items():
        for column in columns:
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column}"))
    due = "state, due_at, rule_id, subscriber, decided_at"
    connection.execute(text(f"CREATE INDEX deliveries_by_state ON deliveries ({due})"))
    connection.execute(text("CREATE INDEX deliveries_by_subscriber ON deliveries (subscriber)"))
    _new_tables(connection, key)
    number = "BIGSERIAL" if connection.dialect.name == "postgresql" else "INTEGER"
    connection.execute(
        text(f"CREATE TABLE consent_changes (id {number} NOT NULL, subscriber {key}, PRIMARY KEY (id))")
    )
    watch_consents(connection)


def _new_tables(connection: Connection, key: str) -> None:
    connection.execute(
        text(
            f"CREATE TABLE run_samples (run_id {key} NOT NULL, at {key} NOT NULL, figures TEXT, "
            "PRIMARY KEY (run_id, at))"
        )
    )
    connection.execute(
        text(
            f"CREATE TABLE state_changes (at {key} NOT NULL, state {key}, detail {key}, run_id {key}, "
            "PRIMARY KEY (at))"
        )
    )
    connection.execute(
        text(
            f"CREATE TABLE jobs (job_id {key} NOT NULL, kind {key}, state {key}, command TEXT, "
            f"created_at {key}, created_by {key}, started_at {key}, finished_at {key}, pid BIGINT, "
            f"run_id {key}, log {key}, error {key}, PRIMARY KEY (job_id))"
        )
    )


MIGRATIONS: Final[Mapping[int, Migration]] = {2: _second}
"""Version n -> the function that brings a store of version n - 1 there, with plain SQL of that time.

A new store is made from `tables` and has the newest version at once. A change of `tables` is a new version:
its function here makes the same change to the stores that there are.
"""

SCHEMA_VERSION: Final = max(MIGRATIONS, default=1)

_LOCK_NUMBER: Final = 0x63616C6C6265616D
"""PostgreSQL's advisory lock while a schema is made or changed."""


def migrate(
    engine: Engine,
    *,
    create: bool = True,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    version: int = SCHEMA_VERSION,
) -> None:
    """Makes the tables of a new store, or brings an older one up to date; one transaction.

    Raises OptionError: the store is of a newer version, the database holds tables of another application, or,
    without ``create``, there is no store in it.
    """
    with engine.connect() as connection:
        if _found(connection) == version:
            return
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
        found = _found(connection)
        if found is None:
            _make(connection, create)
            found = version - 1
        else:
            _refuse_newer(engine, found, version)
            for number in range(found + 1, version + 1):
                migrations[number](connection)
        for number in range(found + 1, version + 1):
            connection.execute(insert(TABLES["schema_version"]).values(version=number, applied_at=utc_text()))


def _found(connection: Connection) -> int | None:
    """The store's version; None where there is no store."""
    if not inspect(connection).has_table("schema_version"):
        return None
    return connection.execute(select(func.max(TABLES["schema_version"].c.version))).scalar()


def _make(connection: Connection, create: bool) -> None:
    where = shown(connection.engine.url)
    if not create:
        raise OptionError(f"there is no result store in {where}", "a store", "run the pipeline first")
    strangers = sorted(set(inspect(connection).get_table_names()) & set(TABLES))
    if strangers:
        raise OptionError(
            f"the database {where} holds tables of another application: {', '.join(strangers)}",
            "an empty database or a result store",
            "name another database (PostgreSQL: or another schema, ?options=-csearch_path%3Dcallbeam)",
        )
    METADATA.create_all(connection)
    watch_consents(connection)


def _refuse_newer(engine: Engine, found: int, version: int) -> None:
    if found > version:
        raise OptionError(
            f"the result store {shown(engine.url)} has schema version {found}",
            f"at most {version}",
            "update callbeam, or name another store",
        )
