"""Opening a store: URLs, files, schema and its versions."""

import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text
from stores import store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import TABLES, Store, open_store
from callbeam_io.store.changes import newest_change
from callbeam_io.store.engines import make_engine, parse_url, shown
from callbeam_io.store.migrations import SCHEMA_VERSION, migrate
from callbeam_io.store.tables import RUN_TABLES, key_names
from callbeam_io.store.web_consent import record_consent
from transforms.errors import OptionError
from transforms.schema import TABLE_KEYS, TABLE_VALUES


def test_tables_of_the_schema_have_its_columns_and_keys_in_order() -> None:
    for name, keys in TABLE_KEYS.items():
        table = TABLES[name]
        assert key_names(table) == ("run_id", *(n for n, _ in keys))
        assert table.c.keys() == ["run_id", *(n for n, _ in keys), *(n for n, _ in TABLE_VALUES[name])]


def test_run_tables_are_those_with_a_run_id() -> None:
    assert {"subscribers", "rejects", "promotions", "rule_activations", "shard_state"} <= set(RUN_TABLES)
    assert not {"runs", "deliveries", "consent", "rules"} & set(RUN_TABLES)


def test_a_new_store_has_every_table(store: Store) -> None:
    assert set(inspect(store.engine).get_table_names()) == set(TABLES)
    assert [row["version"] for row in store.rows("schema_version")] == [SCHEMA_VERSION]


def test_opening_again_changes_nothing(store_url: str) -> None:
    for _ in range(2):
        store = open_store(store_url)
        assert store.count("schema_version") == 1
        store.close()


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(store_url: str) -> None:
    store = open_store(store_url)
    with store.writing() as connection:
        connection.execute(TABLES["schema_version"].insert().values(version=99))
    store.close()
    with pytest.raises(OptionError, match=r"schema version 99.*at most [0-9]+.*update callbeam"):
        open_store(store_url)


def test_migrations_run_in_order_and_once(store_url: str) -> None:
    store = open_store(store_url)
    first, second = SCHEMA_VERSION + 1, SCHEMA_VERSION + 2
    steps = {
        first: lambda c: c.execute(text("ALTER TABLE regions ADD COLUMN two TEXT")),
        second: lambda c: c.execute(text("ALTER TABLE regions ADD COLUMN three TEXT")),
    }
    for _ in range(2):
        migrate(store.engine, migrations=steps, version=second)
    assert [c["name"] for c in inspect(store.engine).get_columns("regions")][-2:] == ["two", "three"]
    assert [row["version"] for row in store.rows("schema_version")] == [SCHEMA_VERSION, first, second]
    store.close()


def test_a_store_of_the_first_version_becomes_as_a_new_one(store_url: str) -> None:
    """The tables of version 1, as they were: what came later is taken away by hand."""
    store = open_store(store_url)
    new = _described(store)
    later = {"rules": ["sentence"], "rule_versions": ["sentence"]}
    later["deliveries"] = ["run_id", "due_at", "expires_at", "attempts", "next_at", "detail"]
    later["deliveries"] += ["rule_version", "offer", "zones", "quiet"]
    with store.writing() as connection:
        for name in ("state", "subscriber"):
            connection.execute(text(f"DROP INDEX deliveries_by_{name}"))
        for table, columns in later.items():
            for column in columns:
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        _drop_triggers(connection)
        for table in ("run_samples", "state_changes", "jobs", "consent_changes"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE schema_version SET version = 1"))
    assert _described(store) != new
    store.close()
    store = open_store(store_url)
    assert _described(store) == new
    record_consent(store, "+12025550123", "2026-01-01 00:00:00", True, "page")
    assert newest_change(store) == 1
    store.close()


def _drop_triggers(connection: Connection) -> None:
    events = ("insert", "update", "delete")
    if connection.dialect.name == "postgresql":
        for name in ("lock_consent_changes", *(f"note_consent_{event}" for event in events)):
            connection.execute(text(f"DROP FUNCTION {name} CASCADE"))
    else:
        for name in (f"{table}_{event}_noted" for table in ("consent", "suppressed") for event in events):
            connection.execute(text(f"DROP TRIGGER {name}"))


def _described(store: Store) -> dict[str, object]:
    """Name, type and nullability of every column of every table, and its indexes."""
    found = inspect(store.engine)
    return {
        table: (
            [(c["name"], repr(c["type"]), c["nullable"]) for c in found.get_columns(table)],
            sorted((i["name"] or "", i["column_names"]) for i in found.get_indexes(table)),
        )
        for table in sorted(found.get_table_names())
    }


def test_a_migration_that_fails_leaves_the_old_version(store_url: str) -> None:
    store = open_store(store_url)

    def broken(connection: object) -> None:
        connection.execute(text("ALTER TABLE regions ADD COLUMN two TEXT"))  # type: ignore[attr-defined]
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        migrate(store.engine, migrations={SCHEMA_VERSION + 1: broken}, version=SCHEMA_VERSION + 1)
    assert "two" not in [c["name"] for c in inspect(store.engine).get_columns("regions")]
    assert store.count("schema_version") == 1
    store.close()


def test_a_database_of_another_application_is_refused(store_url: str) -> None:
    engine = make_engine(parse_url(store_url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (name TEXT)"))
    engine.dispose()
    with pytest.raises(OptionError, match=r"another application: users"):
        open_store(store_url)


def test_a_store_that_must_exist(store_url: str) -> None:
    with pytest.raises(OptionError, match=r"no result store.*run the pipeline first"):
        open_store(store_url, create=False)


@pytest.mark.parametrize(
    "url",
    [
        "callbeam.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u@h/d",
        "postgres://u@h/d",
        "postgresql+psycopg2://u@h/d",
        "sqlite:////proc/no/such/folder/x.db",
    ],
)
def test_urls_where_no_store_can_be(url: str) -> None:
    with pytest.raises(OptionError, match=r"expected sqlite:///callbeam.db or postgresql"):
        open_store(url)


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(OptionError, match=r"cannot be opened") as caught:
        open_store("postgresql+psycopg://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)


def test_a_driver_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(OptionError, match=r"callbeam\[postgres\]"):
        open_store("postgresql+psycopg://me@127.0.0.1:1/db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(OptionError, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("not a database")


def test_passwords_are_not_shown_and_the_driver_is_not_sqlite3() -> None:
    url = parse_url("postgresql://me:secret@host/db")
    assert shown(url) == "postgresql+psycopg://me:***@host/db"
    assert parse_url("sqlite:///x.db").drivername == "sqlite+adbc"
    assert shown(parse_url("sqlite:////tmp/x.db")) == "sqlite:////tmp/x.db"


def test_a_sqlite_store_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a b%20é.db")
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA page_size").scalar() == 8192
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    files = sorted(p for p in tmp_path.iterdir())
    assert [p.name for p in files] == ["a b é.db", "a b é.db-shm", "a b é.db-wal"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}
    store.close()


def test_many_that_open_a_new_store_at_once(store_url: str) -> None:
    start = threading.Barrier(8)

    def versions(_: int) -> int:
        start.wait()
        store = open_store(store_url)
        try:
            return store.count("schema_version")
        finally:
            store.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(versions, range(8))) == [1] * 8
