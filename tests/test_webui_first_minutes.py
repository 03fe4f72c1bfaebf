"""From sign-in to the first promotion in a browser: few clicks, and nothing typed but the password."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM
from webui_world import HASHES, PASSWORDS
from werkzeug.serving import make_server

from callbeam_io.store import open_store, web_accounts
from webui import WebConfig, create_app

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
MOST_CLICKS = 12


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web app on an empty store with one user."""
    url = f"sqlite:///{tmp_path / 'first.db'}"
    store = open_store(url)
    web_accounts.add_user(store, "admin", HASHES["admin"], "admin", must_change=False)
    app = create_app(WebConfig(url), store)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    jobs = app.extensions["callbeam"].jobs
    for row in jobs.running():
        jobs.cancel(row["job_id"])
    store.close()
    shutil.rmtree(jobs.folder, ignore_errors=True)


class Clicks:
    """Clicks, and counts them."""

    def __init__(self, page: Any) -> None:
        self.page, self.count = page, 0

    def on(self, role: str, name: str, wait: float = 10_000) -> None:
        self.page.get_by_role(role, name=name).first.click(timeout=wait)
        self.count += 1


def test_from_sign_in_to_the_first_promotion(address: str) -> None:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make servers)")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda e: troubles.append(str(e)))
        page.goto(f"{address}/signin")
        page.fill("#password", PASSWORDS["admin"])
        clicks = Clicks(page)
        clicks.on("button", "Sign in")
        clicks.on("button", "Load sample data")
        clicks.on("link", "Go on", wait=60_000)  # there when it is loaded
        clicks.on("link", "Choose a rule")
        clicks.on("link", "Switch on Insurance offer")
        clicks.on("button", "Switch on")
        clicks.on("link", "Welcome")
        clicks.on("button", "Run again with the rules that are on")
        clicks.on("link", "Go on", wait=60_000)
        clicks.on("link", "See who and why")
        page.wait_for_url("**/subscribers/*/why")
        assert "Insurance offer" in page.content() and clicks.count <= MOST_CLICKS
        number = page.url.split("/")[-2]
        page.set_viewport_size({"width": 390, "height": 844})  # the search is there on a phone too
        page.locator("#search").click()
        page.keyboard.type(number.replace("%2B", "+")[-10:])
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/subscribers/{number}")
        assert troubles == []
        browser.close()
