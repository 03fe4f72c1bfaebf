"""From a store's URL to an engine; what is wrong with the URL is found here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from callbeam_io.store import adbc_dialect
from transforms.errors import OptionError, StoreError

LOCK_WAIT: Final = 30.0

_ENGINE: Final[dict[str, Any]] = {
    "max_overflow": 60,  # a page's threads never wait for a connection
    "hide_parameters": True,  # they hold people's phone numbers, and errors end in logs
}
_FORMS: Final = "sqlite:///callbeam.db or postgresql+psycopg://user@host/database"
_POSTGRES: Final = ("postgresql", "postgresql+psycopg")
_SQLITE: Final = ("sqlite", "sqlite+pysqlite", "sqlite+adbc")


def parse_url(text: str) -> URL:
    """A store's URL, a SQLite file's path made absolute; OptionError where no store can be there."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise _wrong(repr(text), "give --output a URL") from error
    if url.drivername in _POSTGRES:
        return _with_password(url, password_of(url)).set(drivername="postgresql+psycopg")
    if url.drivername not in _SQLITE:
        raise _wrong(shown(url), "no other database or driver is supported")
    if not url.database or url.database == ":memory:" or url.host:
        raise _wrong(shown(url), "name a file after three slashes: several processes use the store")
    return URL.create("sqlite+adbc", database=str(Path(url.database).absolute()))


def password_of(url: URL) -> str | None:
    """The password in a URL, wherever it stands there."""
    named = url.query.get("password")
    return url.password or (named if isinstance(named, str) else None)


def _with_password(url: URL, password: str | None) -> URL:
    bare = url.difference_update_query(["password"])
    return URL.create(
        bare.drivername, bare.username, password, bare.host, bare.port, bare.database, bare.query
    )


def without_password(text: str) -> tuple[str, dict[str, str]]:
    """A store's URL as a command line may show it, and the environment that brings its password to PostgreSQL's
    client; other texts stay as they are.

    >>> without_password("postgresql+psycopg://me:hush@here/db")
    ('postgresql+psycopg://me@here/db', {'PGPASSWORD': 'hush'})
    """
    try:
        url = make_url(text)
    except ArgumentError:
        return text, {}
    password = password_of(url)
    if url.drivername not in _POSTGRES or not password:
        return text, {}
    return _with_password(url, None).render_as_string(hide_password=False), {"PGPASSWORD": password}


def shown(url: URL) -> str:
    """The URL as it may be shown: without its password, in the form that people write."""
    return url.set(drivername=url.drivername.replace("+adbc", "")).render_as_string(hide_password=True)


def is_sqlite(url: URL) -> bool:
    """Whether the store is a file."""
    return url.get_backend_name() == "sqlite"


def _wrong(what: str, todo: str) -> OptionError:
    return OptionError(f"no result store can be at {what}", _FORMS, todo)


def make_engine(url: URL, *, create: bool = True, lock_wait: float = LOCK_WAIT) -> Engine:
    """An engine for a URL of `parse_url`, tried out by one connection.

    Args:
        url: where the store is.
        create: make the file of a SQLite store where it is missing.
        lock_wait: seconds that a writer waits for another one before it gives up.

    Raises OptionError: a folder that cannot be written, a file that is no database or, without ``create``,
    missing, a driver that is not installed, a server that does not answer.
    """
    engine = _sqlite_engine(url, create, lock_wait) if is_sqlite(url) else _postgres_engine(url, lock_wait)
    try:
        with engine.connect():
            return engine
    except DBAPIError as error:
        engine.dispose()
        raise OptionError(
            f"the result store {shown(url)} cannot be opened: {reason(error)}", _FORMS
        ) from error


def _sqlite_engine(url: URL, create: bool, lock_wait: float) -> Engine:
    path = Path(str(url.database))
    if not path.exists():
        if not create:
            raise OptionError(
                f"there is no result store {shown(url)}", "an existing file", "run the pipeline first"
            )
        _make_file(path, url)
    elif not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise OptionError(f"the result store {shown(url)} cannot be written", "a file and folder that can")
    pragmas = (f"busy_timeout={lock_wait * 1000:.0f}", *adbc_dialect.PRAGMAS)
    engine = create_engine(url, connect_args={"pragmas": pragmas}, **_ENGINE)
    adbc_dialect.begin_by_option(engine)
    return engine


def _make_file(path: Path, url: URL) -> None:
    """An empty database that only its owner can read: it will hold people's phone numbers."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        todo = "make the folder, or name another file"
        raise OptionError(
            f"the result store {shown(url)} cannot be made: {error.strerror}", _FORMS, todo
        ) from error


def _postgres_engine(url: URL, lock_wait: float) -> Engine:
    try:
        return create_engine(
            url,
            pool_pre_ping=True,  # the server may have been restarted
            connect_args={"connect_timeout": 10, "options": _session_options(url, lock_wait)},
            **_ENGINE,
        )
    except ImportError as error:
        what = f"the driver of the result store {shown(url)} is not installed"
        raise OptionError(what, "the package psycopg", "pip install 'callbeam[postgres]'") from error


def _session_options(url: URL, lock_wait: float) -> str:
    own = url.query.get("options", "")
    return f"-c lock_timeout={lock_wait * 1000:.0f} {own if isinstance(own, str) else ' '.join(own)}"


def reason(error: BaseException) -> str:
    """Why a database refused, in its own first line, without the statement and its values."""
    original = error.orig if isinstance(error, DBAPIError) else error
    lines = str(original).strip().splitlines() or [type(original).__name__]
    return lines[0].removeprefix("IO: ").removeprefix("Failed to step query: ")


@contextmanager
def store_errors(engine: Engine, doing: str) -> Iterator[None]:
    """What the database refuses becomes a StoreError that says what was being done.

    The database's own error may quote rows, with people's numbers: it is the StoreError's ``__context__`` but
    no traceback shows it.
    """
    try:
        yield
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        text = reason(error)
        what = f"{doing} the result store {shown(engine.url)} failed: {text}{_advice(text)}"
        raise StoreError(what) from None


_LASTING: Final = ("constraint", "malformed", "not a database", "no such ", "syntax error")


def mends(error: StoreError) -> bool:
    """Whether waiting can help: another process writes, the disk is full, the server is away."""
    cause = error.__context__
    original = cause.orig if isinstance(cause, DBAPIError) else cause
    passing = type(original).__mro__ if original is not None else ()
    names = {kind.__name__ for kind in passing}  # of whichever driver
    return "OperationalError" in names and not any(word in str(original) for word in _LASTING)


def _advice(text: str) -> str:
    """What to do about the failures that happen to everybody."""
    if "disk is full" in text or "No space left" in text:
        return ". The disk is full: make room, then run again"
    if "locked" in text or "lock timeout" in text:
        return ". Another process has been writing for too long: wait for it, or end it"
    if "malformed" in text or "not a database" in text:
        return ". The file is damaged: put it aside and run again"
    return ""
