"""A PostgreSQL server for tests, from the binaries of the machine."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg

from servers.processes import ServerFailed, ServerProcess, free_port, wait_until

HINT = "no PostgreSQL server binaries: install postgresql (or put them on PATH), see make servers"


@cache
def postgres_bin() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: of pg_config, of PATH, or the system's newest; or None."""
    candidates: list[Path] = []
    if config := shutil.which("pg_config"):
        named = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(named.stdout.strip()))
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).parent)
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(installed, key=lambda p: float(p.parent.name), reverse=True)
    return next((p for p in candidates if (p / "initdb").exists() and (p / "postgres").exists()), None)


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """`postgres_process`, where only its URL is wanted."""
    with postgres_process(folder) as (url, _):
        yield url


@contextmanager
def postgres_process(folder: Path) -> Iterator[tuple[str, ServerProcess]]:
    """A fresh server on a free port of 127.0.0.1: the SQLAlchemy URL of an empty database in it, and its process.

    The log is in `folder`; the data are not, since a server refuses to run as root and another user could not
    reach them there. Nothing is synced to disk. Raises ServerFailed.
    """
    binaries = postgres_bin()
    if binaries is None:
        raise ServerFailed(HINT)
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="callbeam-postgres-"))
    user = _user()
    if user:
        shutil.chown(home, user)
    data, port = home / "data", free_port()
    _make_data(binaries, data, user)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "50",
        "deadlock_timeout": "100ms",
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    program = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *flags]
    server = ServerProcess([*_as_user(user), *program], folder / "server.log")
    try:
        server.start()
        wait_until(lambda: _answers(port), "PostgreSQL", 30, server)
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres", server
    finally:
        server.terminate()
        shutil.rmtree(home, ignore_errors=True)


def _user() -> str | None:
    """Whom to run it as: nobody else unless this is root."""
    if os.geteuid() != 0:
        return None
    return next(name for name in ("postgres", "nobody") if name in {u.pw_name for u in pwd.getpwall()})


def _as_user(user: str | None) -> list[str]:
    if user is None:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups", "--"]


def _make_data(binaries: Path, data: Path, user: str | None) -> None:
    """An empty cluster; texts sort by the rules of English where it can do that: users' clusters often do."""
    command = [*_as_user(user), str(binaries / "initdb"), "-D", str(data), "--no-sync"]
    command += ["-A", "trust", "-U", "postgres", "-E", "UTF8"]
    english = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
    for locale in (english, ["--locale=C"]):
        done = subprocess.run(
            [*command, *locale], capture_output=True, text=True, cwd=data.parent, check=False
        )
        if done.returncode == 0:
            return
        shutil.rmtree(data, ignore_errors=True)
    raise ServerFailed(f"initdb failed: {done.stderr.strip()}")


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=postgres connect_timeout=2").close()
        return True
    except psycopg.OperationalError:
        return False
