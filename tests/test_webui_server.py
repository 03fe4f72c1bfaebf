from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.__main__ import main

ROOT = Path(__file__).parents[1]


def start(store: str, *flags: str, password: str | None = None) -> subprocess.Popen[str]:
    """The web app in a process of its own, on a free port."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'io'}"}
    environment.pop("CALLBEAM_ADMIN_PASSWORD", None)
    if password is not None:
        environment["CALLBEAM_ADMIN_PASSWORD"] = password
    command = [sys.executable, "-m", "webui", "--store", store, "--port", "0", *flags]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, cwd=store[10:].rpartition("/")[0]
    )


def address_of(server: subprocess.Popen[str]) -> str:
    """Where it says that it is."""
    assert server.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
    assert found is not None
    return found[0]


@pytest.fixture
def first(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    server = start(f"sqlite:///{tmp_path / 'new.db'}")
    yield server
    server.terminate()
    server.wait(10)


def test_the_first_start_prints_a_password_and_a_link(first: subprocess.Popen[str]) -> None:
    address = address_of(first)
    assert first.stdout is not None
    assert re.search(r"User admin, password \w{16} \(shown only now\)", first.stdout.readline())
    link = re.search(r"http\S+/signin\?link=\S+", first.stdout.readline())
    assert link is not None
    jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with jar.open(link[0]) as page:
        text = page.read().decode()
        assert page.url == f"{address}/" and "0 of 4 done" in text
    with jar.open(link[0]) as page:
        assert page.url == f"{address}/"  # still signed in
    another = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with another.open(link[0]) as page:
        assert "used already" in page.read().decode()
    with urllib.request.urlopen(f"{address}/metrics") as page:
        assert b"callbeam_store_up 1.0" in page.read()
    proxied = urllib.request.Request(f"{address}/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(proxied)


def test_a_password_of_the_environment_is_not_printed(tmp_path: Path) -> None:
    server = start(f"sqlite:///{tmp_path / 'new.db'}", password="from outside")
    try:
        address = address_of(server)
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert answer.status == 200 and "waitress" not in str(answer.headers)
    finally:
        server.terminate()
        rest, _ = server.communicate(timeout=10)
    assert "password" not in rest and "link" not in rest


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--store", "mysql://host/database"], "sqlite:///callbeam.db"),
        (["--store", "nonsense"], "sqlite:///callbeam.db"),
        (["--store", "sqlite:////no/such/folder/x.db"], "cannot be made"),
        (["--store", "postgresql+psycopg://nobody@127.0.0.1:1/none"], "cannot be opened"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1"),
        (["--port", "99999"], "--port 99999"),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_why(
    flags: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*flags, *([] if "--port" in flags else ["--port", "0"])]) == 2
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--store", f"sqlite:///{tmp_path / 'x.db'}", "--port", str(port)]) == 2
    assert "name another --port" in capsys.readouterr().err
    assert not (tmp_path / "x.db").exists()


def test_a_file_that_is_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.db").write_text("this is no database, only a text that is long enough" * 100)
    assert main(["--store", f"sqlite:///{tmp_path / 'x.db'}", "--port", "0"]) == 2
    assert "cannot be opened" in capsys.readouterr().err
