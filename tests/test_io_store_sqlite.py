"""SQLite through ADBC: the DB-API face, the dialect, and why there is only one SQLite library."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import delete, func, insert, select, update
from stores import start_child

from callbeam_io.store import TABLES, Store, adbc_dbapi, open_store

RULES, AUDIT = TABLES["rules"], TABLES["audit_log"]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/r.db")
    yield opened
    opened.close()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[adbc_dbapi.Connection]:
    opened = adbc_dbapi.connect(str(tmp_path / "x.db"))
    opened.query("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL, d BLOB)")
    yield opened
    opened.close()


def test_a_cursor_gives_python_values(connection: adbc_dbapi.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (1, "é", 1.5, b"\0\xff"))
    cursor.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(2, None, 2, None), (3, "x", None, b"")])
    assert (cursor.rowcount, cursor.lastrowid, cursor.description) == (2, 3, None)
    assert cursor.execute("UPDATE t SET b = 'y' WHERE a > ?", (1,)).rowcount == 2
    cursor.execute("SELECT * FROM t ORDER BY a")
    assert [column[0] for column in cursor.description or ()] == ["a", "b", "c", "d"]
    assert cursor.fetchone() == (1, "é", 1.5, b"\0\xff")
    assert cursor.fetchmany(1) == [(2, "y", 2.0, None)]
    assert cursor.fetchall() == [(3, "y", None, b"")]
    assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])
    assert cursor.execute("SELECT * FROM t WHERE a > 9").fetchall() == []


def test_text_after_a_thousand_nulls(connection: adbc_dbapi.Connection) -> None:
    connection.begin(immediate=True)
    connection.write("INSERT INTO t (b) VALUES (?)", pa.table({"b": pa.array([None] * 5000 + ["late"])}))
    assert connection.query("SELECT b FROM t ORDER BY a")["b"].to_pylist() == [None] * 5000 + ["late"]


def test_transactions(connection: adbc_dbapi.Connection) -> None:
    for end, expected in ((connection.rollback, 0), (connection.commit, 1), (connection.rollback, 1)):
        connection.begin(immediate=True)
        connection.query("INSERT OR REPLACE INTO t (a) VALUES (1)")
        end()
        end()
        assert connection.number("(SELECT count(*) FROM t)") == expected


def test_errors_have_the_names_of_pep_249(connection: adbc_dbapi.Connection) -> None:
    with pytest.raises(adbc_dbapi.ProgrammingError, match="nope"):
        connection.query("SELECT nope")
    connection.query("INSERT INTO t (a) VALUES (1)")
    with pytest.raises(adbc_dbapi.IntegrityError, match="UNIQUE"):
        connection.query("INSERT INTO t (a) VALUES (1)")
    with pytest.raises(adbc_dbapi.OperationalError, match="overflow"):
        connection.query("SELECT abs(-9223372036854775807 - a) FROM t")
    with pytest.raises(adbc_dbapi.Error):
        adbc_dbapi.connect("/proc/no/such/file.db")


def test_sqlalchemy_on_it(store: Store) -> None:
    with store.writing() as connection:
        first = connection.execute(insert(AUDIT).values(username="a", detail={"x": [1, None]}))
        assert first.inserted_primary_key == (1,)
        assert connection.scalar(insert(AUDIT).values(username="b").returning(AUDIT.c.id)) == 2
        many = [{"rule_id": name, "enabled": name == "a"} for name in "abc"]
        assert connection.execute(insert(RULES), many).rowcount == 3
        assert connection.execute(update(RULES).where(RULES.c.rule_id > "a").values(priority=7)).rowcount == 2
        assert connection.execute(delete(RULES).where(RULES.c.rule_id == "b")).rowcount == 1
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(RULES)) == 2
        rows = connection.execute(select(RULES.c.rule_id, RULES.c.enabled, RULES.c.priority)).all()
        assert [tuple(row) for row in rows] == [("a", True, None), ("c", False, 7)]
        assert connection.scalars(select(AUDIT.c.detail)).all() == [{"x": [1, None]}, None]


def test_a_reader_sees_one_state(store: Store) -> None:
    count = select(func.count()).select_from(RULES)
    with store.reading() as reader:
        assert reader.scalar(count) == 0
        with store.writing() as writer:
            writer.execute(insert(RULES).values(rule_id="a"))
        assert reader.scalar(count) == 0
    with store.reading() as reader:
        assert reader.scalar(count) == 1


def test_a_reader_cannot_leave_anything_behind(store: Store) -> None:
    with store.reading() as reader:
        reader.execute(insert(RULES).values(rule_id="a"))
    assert store.count("rules") == 0


def test_nothing_of_ours_opens_a_database_with_another_library() -> None:
    """Two SQLite libraries in one process do not see each other's locks, and destroy the file."""
    for folder in ("pipelines", "transforms", "io", "webui"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"^\s*(import|from) +(sqlite3|aiosqlite|apsw)\b", path.read_text(), re.M), (
                path
            )


def test_another_process_may_use_any_library(store: Store, tmp_path: Path) -> None:
    code = f"""
import sqlite3
connection = sqlite3.connect({str(tmp_path / "r.db")!r}, timeout=20)
for n in range(50):
    connection.execute("INSERT INTO rules (rule_id) VALUES (?)", (f"child{{n}}",))
    connection.commit()
print(connection.execute("PRAGMA integrity_check").fetchall())
"""
    child = start_child(code)
    for n in range(50):
        with store.writing() as connection:
            connection.execute(insert(RULES).values(rule_id=f"parent{n}"))
    assert child.communicate()[0].strip() == "[('ok',)]"
    assert store.count("rules") == 100
