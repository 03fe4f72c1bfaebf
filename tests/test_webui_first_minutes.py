"""From sign-in to the first promotion in a browser: few clicks, and nothing typed but the password."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, served
from webui_world import HASHES, PASSWORDS

from callbeam_io.store import open_store, web_accounts
from webui import WebConfig, create_app, desk

pytestmark = pytest.mark.browser
MOST_CLICKS = 12


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web app on an empty store with one user."""
    url = f"sqlite:///{tmp_path / 'first.db'}"
    store = open_store(url)
    web_accounts.add_user(store, "admin", HASHES["admin"], "admin", must_change=False)
    app = create_app(WebConfig(url), store)
    with served(app) as found:
        yield found
    desk.close(app)
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


def test_an_uploaded_file_is_read_without_javascript(address: str, tmp_path: Path) -> None:
    header = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"
    rows = [f"{i},+1202555{i:04d},+13125550100,2026-03-02T10:00:00Z,30,VOICE,0,ANSWERED" for i in range(90)]
    (tmp_path / "calls.csv").write_text("\n".join([header, *rows, ""]))
    with browser() as chromium:
        page = chromium.new_context(
            java_script_enabled=False, viewport={"width": 390, "height": 844}
        ).new_page()
        page.goto(f"{address}/signin")
        page.fill("#password", PASSWORDS["admin"])
        clicks = Clicks(page)
        clicks.on("button", "Sign in")
        clicks.on("link", "Read a file")
        page.set_input_files("#f-file", tmp_path / "calls.csv")
        clicks.on("button", "Look at it first")
        clicks.on("button", "Start the run")
        clicks.on("link", "Results", wait=60_000)  # the page comes again by itself
        page.wait_for_url("**/dashboard?run=*")
        assert page.locator(".tile", has_text="Records read").inner_text().split()[2] == "90"


def test_from_sign_in_to_the_first_promotion(address: str) -> None:
    with browser() as chromium:
        page = chromium.new_page()
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
