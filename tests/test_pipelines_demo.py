"""The demonstration: something on every page within half a minute, and nothing left behind by Ctrl-C; twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHOWN = {
    "/": "4 of 4 done",
    "/templates/duration_by_hour": 'class="drill"',
    "/templates/business_types": 'class="drill"',
    "/templates/type_graph": 'class="drill"',
    "/templates/regions": 'class="drill"',
    "/templates/subscribers": "Mostly call</th>",
    "/subscribers": 'href="/subscribers/+1',
    "/audience": 'href="/subscribers/+1',
    "/rules/insurance-offer": 'class="drill"',
    "/promotions": "/why?rule_id=",
    "/promotions/deliveries": "</span>Waiting</span>",
    "/consent": " subscribers</p>",
    "/runs": "</span>running</span>",
    "/rejects": "records were not taken",
    "/audit": "rule added",
}
"""A piece of each page that is only there once it has something to show."""


class Demo:
    """A demonstration in a process of its own, in a folder, and a browser that is signed in."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "demo.txt"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"}
        command = [sys.executable, "-m", "pipelines.demo", "--port", "0", "--people", "3000"]
        command += ["--folder", str(folder / "demo")]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=folder)
        link = self._link()
        self.address = link.partition("/signin")[0]
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.get(link.removeprefix(self.address))

    def _link(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"http://\S+/signin\?link=\S+", self.log.read_text()):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def get(self, path: str) -> str:
        """The text of a page."""
        answer: Any = self.browser.open(self.address + path, timeout=30)
        return str(answer.read().decode())

    def parts(self) -> list[int]:
        """The processes that it started, and theirs."""
        said = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(a): int(b) for a, b in (line.split() for line in said.splitlines())}
        found = {self.process.pid}
        while more := {p for p, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found - {self.process.pid})

    def interrupt(self) -> int:
        """Ctrl-C; gives the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def wait_for_pages(demo: Demo, wanted: dict[str, str], seconds: float) -> None:
    """Asks for each page until it shows what is wanted of it."""
    left, end = dict(wanted), time.monotonic() + seconds
    while left:
        left = {path: text for path, text in left.items() if text not in demo.get(path)}
        assert time.monotonic() < end, f"nothing to see on {', '.join(left)}"
        time.sleep(0.5 if left else 0)


def wait_until_gone(parts: list[int], seconds: float) -> None:
    """Waits until none of some processes runs any more; the dead whom nobody has asked for do not count."""
    end = time.monotonic() + seconds
    while left := [said for pid in parts if (said := _said_of(pid)) and " (zombie)" not in said]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


def _said_of(pid: int) -> str:
    """What the system says of a process; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def test_every_page_has_something_to_show_and_nothing_is_left(tmp_path: Path) -> None:
    for pages in (SHOWN, {"/rejects": SHOWN["/rejects"], "/promotions": SHOWN["/promotions"]}):
        demo = Demo(tmp_path)
        try:
            wait_for_pages(demo, pages, 30)
            parts = demo.parts()
            assert len(parts) >= 3
            assert demo.interrupt() == 0, demo.log.read_text()
        finally:
            demo.process.kill()
        wait_until_gone(parts, 5)
        assert "Traceback" not in "".join(p.read_text() for p in tmp_path.glob("demo/*.log"))
