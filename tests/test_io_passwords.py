"""A PostgreSQL password never stands on a command line, where everybody on the machine may read it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from stores import postgres_url

from callbeam_io.jobs import Jobs
from callbeam_io.rule_desk import RuleDesk
from callbeam_io.store import open_store
from callbeam_io.store.engines import parse_url, shown, without_password
from pipelines.config import hide_password

SECRET = "hush-4711-hush"


def test_the_address_and_its_password_are_parted() -> None:
    for text in (
        f"postgresql://me:{SECRET}@here:5433/db?options=-csearch_path%3Dx",
        f"postgresql://me@here:5433/db?password={SECRET}&options=-csearch_path%3Dx",
    ):
        address, secret = without_password(text)
        assert make_url(address) == make_url("postgresql://me@here:5433/db?options=-csearch_path%3Dx")
        assert secret == {"PGPASSWORD": SECRET}
        assert parse_url(text).password == SECRET and SECRET not in shown(parse_url(text))
        assert SECRET not in hide_password(text)
    for text in ("sqlite:///x.db", "postgresql://me@here/db", "no address"):
        assert without_password(text) == (text, {})


@pytest.fixture
def url() -> str:
    """Of a store with a password; the server of the tests takes any."""
    return make_url(postgres_url()).set(password=SECRET).render_as_string(hide_password=False)


def seen(name: str) -> Iterator[str]:
    """The command lines or the environments of all processes that may be looked at."""
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        with suppress(OSError):
            yield path.read_bytes().decode("utf-8", "replace")


def has_secret(name: str) -> list[str]:
    return [text for text in seen(name) if SECRET in text]


@pytest.mark.postgres
def test_the_client_takes_it_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address, secret = without_password(url)
    for name, value in secret.items():
        monkeypatch.setenv(name, value)
    store = open_store(address)
    with store.reading() as connection:
        assert connection.connection.driver_connection.info.password == SECRET  # type: ignore[union-attr]
    store.close()


@pytest.mark.postgres
def test_no_process_of_the_web_app_shows_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the files of the sample
    store = open_store(url)
    jobs, desk = Jobs(store, url, tmp_path), RuleDesk(url)
    job_id = jobs.start("sample", {"people": "60", "days": "2"}, "admin")
    try:
        assert desk.language()["fields"]
        began, told = time.monotonic(), False
        while (row := jobs.job(job_id)) and row["state"] == "running" and time.monotonic() < began + 90:
            assert not has_secret("cmdline")
            told = told or len(has_secret("environ")) >= 3  # the desk, the job and its watch
            time.sleep(0.1)
        assert row is not None and row["state"] == "done" and told, jobs.tail(job_id)
        assert SECRET not in jobs.tail(job_id) and SECRET not in str(row)
    finally:
        jobs.cancel(job_id)
        desk.close()
        store.close()
