"""A real browser for tests and pictures: Chromium, a server on a small store, and a window that is signed in."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from webui_world import PASSWORDS, World, number
from werkzeug.serving import make_server

CHROMIUM = next(
    (found for n in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(n))), None
)
NOT_PAGES = (
    "/data",
    "/figures",
    "/static",
    "/status",
    "/healthz",
    "/metrics",
    "/api/v1",
    "/signout",
    "/find",
)
OTHERS = (
    "/templates/duration_by_hour",
    "/templates/business_types",
    "/templates/type_graph",
    "/templates/regions",
    "/templates/subscribers",
    f"/subscribers/{number(0)}",
    f"/subscribers/{number(0)}/why",
    "/records/regions?region=DE",
    "/rules/bank-shopper",
    "/rules/bank-shopper/on",
)
"""Pages whose addresses name something."""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium by Playwright; skips where one of them is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make servers)")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The app on a port of this machine; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def every_page(world: World, role: str = "admin") -> list[str]:
    """The addresses of all pages: those without a name in them by themselves, and `OTHERS`."""
    found = []
    for rule in world.app.url_map.iter_rules():
        path = rule.rule
        if rule.arguments or "GET" not in (rule.methods or ()) or path.startswith(NOT_PAGES):
            continue
        answer = world.get(path, role)
        if answer.status_code == 200 and answer.mimetype == "text/html" and "<html" in answer.text:
            found.append(path)
    return sorted(found) + [path for path in OTHERS if world.get(path, role).status_code == 200]


class Visit:
    """A browser window that is signed in and remembers what went wrong."""

    def __init__(self, chromium: Any, address: str, user: str = "admin", **context: Any) -> None:
        self.address, self.troubles = address, list[str]()
        self.context = chromium.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda m: self._note(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self._note(str(e)))
        self.page.on(
            "request",
            lambda r: self._note(r.url) if not r.url.startswith((address, "data:", "blob:")) else None,
        )
        self.page.goto(f"{address}/signin")
        self.page.fill("#username", user)
        self.page.fill("#password", PASSWORDS[user])
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{address}/")

    def _note(self, text: str) -> None:
        self.troubles.append(f"{self.page.url}: {text}")

    def open(self, path: str) -> None:
        """Goes to a page and waits until its charts are drawn."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=15_000)

    def width(self) -> int:
        """How wide the page wants to be."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))
