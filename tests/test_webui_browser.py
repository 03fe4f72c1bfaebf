"""The pages in a real browser: quiet console, no request to another host, keyboard, no JavaScript."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from webui_world import PASSWORDS, World, number, seed_batch, seed_promotions, seed_stream
from werkzeug.serving import make_server

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")

CHROMIUM = next(
    (found for n in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(n))), None
)
PAGES = [
    "/",
    "/dashboard",
    "/templates/duration_by_hour",
    "/templates/business_types",
    "/templates/type_graph",
    "/templates/regions",
    "/templates/subscribers",
    "/subscribers",
    f"/subscribers/{number(0)}",
    "/promotions",
    "/consent",
    "/runs",
    "/rejects",
    "/generator",
    "/users",
    "/audit",
    "/account",
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on this machine, with results and a stream."""
    world = World(tmp_path_factory.mktemp("browser"))
    seed_batch(world.store)
    seed_promotions(world.store, seed_stream(world.store))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    world.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make servers)")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visit:
    """A browser window that is signed in and remembers what went wrong."""

    def __init__(self, chromium: Any, address: str, **context: Any) -> None:
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
        self.page.fill("#username", "admin")
        self.page.fill("#password", PASSWORDS["admin"])
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


@pytest.mark.parametrize(
    ("scheme", "width", "pages"),
    [("light", 1440, PAGES), ("dark", 390, PAGES[1:9:2])],
    ids=["desktop, light", "phone, dark"],
)
def test_every_page_is_quiet_and_fits(
    chromium: Any, address: str, scheme: str, width: int, pages: list[str]
) -> None:
    visit = Visit(chromium, address, color_scheme=scheme, viewport={"width": width, "height": 900})
    for path in pages:
        visit.open(path)
        assert visit.width() <= width, path
        assert visit.page.evaluate("document.documentElement.dataset.bsTheme") == scheme
        charts = visit.page.locator("[data-fig]").count()
        assert visit.page.locator("[data-fig] svg.main-svg").count() >= charts
    assert visit.troubles == []
    visit.context.close()


def test_the_theme_is_remembered_and_charts_follow_it(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address, color_scheme="light")
    visit.open("/templates/business_types")
    before = visit.page.locator("[data-fig] .bars path").first.get_attribute("style")
    visit.page.click("#theme")
    visit.page.wait_for_selector(f"[data-fig] .bars path:not([style='{before}'])", state="attached")
    visit.open("/dashboard")
    assert visit.page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert visit.troubles == []
    visit.context.close()


def test_a_slash_finds_a_number(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    visit.open("/dashboard")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("202 555 0042")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(f"{address}/subscribers/{number(42)}")
    visit.context.close()


def test_filters_change_the_list_in_place_and_work_without_javascript(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    visit.open("/subscribers?run=")
    visit.page.evaluate("window.kept = 1")
    visit.page.select_option("#f-tag", "Health")
    visit.page.wait_for_selector("text=14 subscribers")
    assert visit.page.evaluate("window.kept") == 1 and "tag=Health" in visit.page.url
    assert visit.troubles == []
    visit.context.close()
    plain = Visit(chromium, address, java_script_enabled=False)
    plain.page.goto(f"{address}/subscribers")
    plain.page.select_option("#f-tag", "Health")
    plain.page.click("text=Filter >> visible=true")
    assert plain.page.locator("text=14 subscribers").count() == 1
    plain.context.close()
