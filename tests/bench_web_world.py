"""A store of a million subscribers with all that the pages show, made once, and the web app on a copy of it."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callbeam_io.store import open_store
from callbeam_io.store.web_indexes import index_people

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = Path.home() / ".cache" / "callbeam" / "bench"
PASSWORD: Final = "sesame-of-the-benchmark"
RECORDS_EACH: Final = 10
DAYS: Final = 30
_GOOD: Final = "3600d"  # so that deliveries wait, however old the cached store is


def _rule(name: str, code: str, control: float, *conditions: dict[str, object]) -> dict[str, object]:
    offer = {"code": code, "text": f"Reply {code}", "channel": "sms", "expires_after": _GOOD}
    when = {"combinator": "and", "rules": list(conditions)}
    return {"name": name, "when": when, "offer": offer, "control_share": control}


def _at_least(field: str, value: int, window: str, **where: list[str]) -> dict[str, object]:
    return {
        "field": field,
        "operator": ">=",
        "value": value,
        "window": window,
        **({"where": where} if where else {}),
    }


RULES: Final = [
    _rule(
        "Long-distance package",
        "LD10",
        0.1,
        _at_least("international", 3, "7d"),
        _at_least("interactions", 1, "6h"),
    ),
    _rule("Busy day", "BUSY", 0.05, _at_least("calls", 4, "1d")),
    _rule("Bank shopper", "BANK5", 0.0, _at_least("interactions", 2, "6h", business_type=["Banking"])),
]


def environment() -> dict[str, str]:
    """For processes of the project."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "io")))
    return {**os.environ, "PYTHONPATH": paths, "CALLBEAM_ADMIN_PASSWORD": PASSWORD}


def kept_store(people: int) -> Path:
    """The store's file in the user's cache; made by the generator and the batch pipeline where it is missing."""
    folder = CACHE / f"web-{people}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make(folder, people)
        done.touch()
    return folder / "results.db"


def _make(folder: Path, people: int) -> None:
    """Rules that are on, ten records for everybody in 30 days, consents, and all that the pipeline makes of them."""

    def call(module: str, *args: str) -> None:
        command = [sys.executable, "-m", module, *args]
        subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)

    url = f"sqlite:///{folder / 'results.db'}"
    (folder / "rules.json").write_text(json.dumps(RULES))
    amount = ["--people", str(people), "--records", str(people * RECORDS_EACH), "--days", str(DAYS)]
    call("pipelines.generate", *amount, "--output", "records.csv")
    call("pipelines.rules", "add", "rules.json", "--store", url)
    call(
        "pipelines.run", "--input", "records.csv", "--directory", str(folder / "records.directory.csv"),
        "--consent", "records.consent.csv", "--rules", "store", "--contact_cap", "none", "--deliver",
        "--keep_records", "9999d", "--default_region", "US", "--output", url,
    )  # fmt: skip
    (folder / "records.csv").unlink()
    store = open_store(url)
    index_people(store, str(store.newest_run()))
    store.close()


def copied(kept: Path, folder: Path) -> str:
    """The URL of a copy: sessions, audit lines and runs are written to it. The kept records are shared."""
    place = folder / kept.name
    for suffix in ("", "-wal"):
        source = kept.with_name(kept.name + suffix)
        if source.exists():
            shutil.copyfile(source, place.with_name(source.name))
    place.with_name(f"{place.name}.records").symlink_to(f"{kept}.records")
    return f"sqlite:///{place}"


@dataclass
class Reply:
    """An answer: how long it took in all, bytes on the wire, the body unpacked."""

    status: int
    seconds: float
    size: int
    body: bytes
    headers: dict[str, str]


class Browser:
    """A connection that stays open, with the cookies of one who is signed in."""

    def __init__(self, address: str) -> None:
        host = urllib.parse.urlsplit(address).netloc
        self._connection = http.client.HTTPConnection(host, timeout=120)
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Reply:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, **form: str) -> Reply:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urllib.parse.urlencode(form), kind)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        sent = {"Accept-Encoding": "gzip", "Cookie": self.cookie, **headers}
        begun = time.perf_counter()
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        raw = answer.read()
        seconds = time.perf_counter() - begun
        found = {k.lower(): v for k, v in answer.getheaders()}
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].partition(";")[0]
        text = gzip.decompress(raw) if found.get("content-encoding") == "gzip" else raw
        return Reply(answer.status, seconds, len(raw), text, found)

    def stream(self, path: str) -> tuple[float, int]:
        """Reads an answer as it comes: seconds until its first byte, its size."""
        begun, size = time.perf_counter(), 0
        self._connection.request("GET", path, None, {"Cookie": self.cookie})
        answer = self._connection.getresponse()
        first = time.perf_counter() - begun
        while part := answer.read(1 << 20):
            size += len(part)
        return first, size

    def token(self, path: str) -> str:
        """The token of the forms of a page."""
        found = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', self.get(path).body)
        if found is None:
            raise SystemExit(f"no form on {path}")
        return found[1].decode()

    def sign_in(self) -> Browser:
        """As the administrator."""
        form = {"username": "admin", "password": PASSWORD, "csrf_token": self.token("/signin")}
        if self.post("/signin", **form).status != 302:
            raise SystemExit("the benchmark could not sign in")
        return self


@dataclass
class Web:
    """``python -m webui`` in a process of its own."""

    address: str
    pid: int

    def browser(self) -> Browser:
        """One that is signed in."""
        return Browser(self.address).sign_in()


@contextmanager
def web(url: str) -> Iterator[Web]:
    """The web app on a store, on a free port."""
    command = [sys.executable, "-m", "webui", "--store", url, "--port", "0"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the web app did not start")
        yield Web(found[0], process.pid)
    finally:
        process.terminate()
        process.wait(30)
