"""Stores for tests: a fresh one per test, on SQLite and on a real PostgreSQL."""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from servers.postgres import HINT, postgres_bin, postgres_server

from callbeam_io.store import Store, open_store

ENGINES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@cache
def _server() -> str:
    """One server for the whole test run."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="callbeam-postgres-log-"))
    return stack.enter_context(postgres_server(Path(folder)))


def postgres_url() -> str:
    """URL of an empty schema; skips where there is no server."""
    if postgres_bin() is None:
        pytest.skip(HINT)
    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(_server().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[arg-type]
    return f"{_server()}?options=-csearch_path%3D{name}"


def fresh_url(engine: str, folder: Path) -> str:
    """URL of a store that is not there yet."""
    return f"sqlite:///{folder}/results.db" if engine == "sqlite" else postgres_url()


@pytest.fixture(name="store_url", params=ENGINES)
def url_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store that is not there yet, on each engine."""
    return fresh_url(request.param, tmp_path)


@pytest.fixture(name="store")
def store_fixture(store_url: str) -> Iterator[Store]:
    """An empty store, on each engine."""
    opened = open_store(store_url)
    yield opened
    opened.close()


def start_child(code: str) -> "subprocess.Popen[str]":
    """Another Python process that can import the project; its output and input are pipes."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "io", root / "tests")))}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True, env=environment)


def new_run(store: Store, mode: str = "batch") -> str:
    """A run that is under way."""
    return store.start_run(mode=mode, runner="TestRunner", options={"input": ["a.csv"], "window": "all"})


def hours(*calls: int, first: int = 0) -> pa.Table:
    """Rows of T1: one per number of calls, for the hours from `first` on."""
    n = len(calls)
    return pa.table(
        {
            "window_start": ["1970-01-01 00:00:00"] * n,
            "hour": list(range(first, first + n)),
            "window_end": ["9999-12-31 00:00:00"] * n,
            "calls": list(calls),
            "answered": [0] * n,
            "messages": [0] * n,
            "duration_s": [0] * n,
        }
    )


def calls(store: Store, run_id: str | None = None) -> list[int]:
    """The numbers of calls in T1 by hour."""
    return [row["calls"] for row in store.rows("duration_by_hour", run_id)]
