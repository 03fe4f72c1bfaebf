"""The pages of a stream of very many people that goes on: lists, which have no indexes here, and the dashboard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from bench_stream import PER_FILE, Feed, folder_feed, parts, start
from bench_web_chromium import VISITED, refreshes, visit
from bench_web_pages import answers, lists
from bench_web_world import web
from browser import browser as chromium_browser

from callbeam_io.store import open_store

EACH = 2
"""Records for each person before the pages are asked for."""
RATE = 5_000
"""Records a second from then on."""


@contextmanager
def stream(url: str, people: int) -> Iterator[None]:
    """A pipeline on a store: records of nearly everybody, then more of them all the time."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    where, send = folder_feed(folder / "in")
    data, over = parts(people * (EACH + 2), people, 24), threading.Event()
    for part in islice(data, people * EACH // PER_FILE):
        send(part)
    process = start(where, folder, "--allowed_lateness", "1h")
    try:
        process.wait_for(lambda run: run["records_read"] >= people * EACH // PER_FILE * PER_FILE)
        threading.Thread(target=_feed, args=(data, send, over), daemon=True).start()
        yield
    finally:
        over.set()
        process.kill()


def _feed(data: Iterator[bytes], send: Feed, over: threading.Event) -> None:
    for part in data:
        lines = part.splitlines(keepends=True)
        for at in range(0, len(lines), RATE):
            if over.wait(1):
                return
            send(b"".join(lines[at : at + RATE]))


def live_pages(url: str, people: int, rounds: int) -> Iterator[str]:
    """The list of subscribers in many ways, then the dashboard in Chromium: drawn, and refreshed."""
    with stream(url, people), web(url) as server, chromium_browser() as chromium:
        store = open_store(url)
        run_id = store.newest_run()
        number = store.rows("subscribers", run_id, limit=1)[0]["subscriber"]
        yield f"A stream with {store.count('subscribers', run_id):,} subscribers at {RATE:,} records a second"
        yield ""
        browser = server.browser()
        browser.get("/subscribers")
        threading.Event().wait(5)  # those who look at a list wait once
        yield from answers(server, lists(number), rounds)
        yield ""
        yield VISITED
        yield visit(chromium, server, browser, "dashboard", "/dashboard").row()
        yield visit(chromium, server, browser, "countries", "/templates/regions").row()
        seen = refreshes(chromium, server, browser, "/dashboard", "/dashboard/live", 8)
        yield f"Refresh of a dashboard on which everything changes: {seen.said()}"
        store.close()
