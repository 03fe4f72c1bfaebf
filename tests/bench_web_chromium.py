"""What Chromium sees of the web app: bytes of a first visit, time until charts stand, what a refresh costs.

Bytes are those on the wire (headers too), as the browser itself counts them. Main-thread time is processor time
of the page's own thread, of everything that it did meanwhile.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Final

from bench_web_world import Browser, Web

READY: Final = """
new MutationObserver((_, watch) => {
  if (!document.documentElement.dataset.ready) return;
  watch.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.drawnAt = performance.now(); }));
}).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-ready"]});
"""
"""Notes when the frame after the last chart was shown."""
WARM: Final = 5
VISITED: Final = (
    "| page | first visit | first, drawn (ms) | warm, drawn (ms) | slowest |\n|---|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Seen:
    """One page: bytes of a first visit, milliseconds until its charts were drawn, first and warm (median, worst)."""

    name: str
    first_bytes: int
    first: float
    warm: float
    worst: float

    def row(self) -> str:
        """Of a table under `VISITED`."""
        size = f"{self.first_bytes / 1e6:.2f} MB"
        return f"| {self.name} | {size} | {self.first:,.0f} | {self.warm:,.0f} | {self.worst:,.0f} |"


@dataclass(frozen=True)
class Refresh:
    """Refreshes of a page that stays open: bytes and main-thread milliseconds of each (median, largest)."""

    count: int
    bytes: float
    most_bytes: int
    busy: float
    most_busy: float

    def said(self) -> str:
        """In words."""
        sizes = f"{self.bytes / 1000:.1f} kB (at most {self.most_bytes / 1000:.1f})"
        return f"{sizes}, {self.busy:.0f} ms of its main thread (at most {self.most_busy:.0f}), {self.count} times"


class Window:
    """A browser window with an empty cache, signed in, that counts what comes over the wire."""

    def __init__(self, chromium: Any, server: Web, browser: Browser) -> None:
        self.address = server.address
        self.context = chromium.new_context(viewport={"width": 1440, "height": 900})
        name, _, value = browser.cookie.partition("=")
        self.context.add_cookies([{"name": name, "value": value, "url": server.address}])
        self.context.add_init_script(READY)
        self.page = self.context.new_page()
        self.wire = self.context.new_cdp_session(self.page)
        self.answers: list[tuple[str, int]] = []
        self._urls: dict[str, str] = {}
        self.wire.on("Network.requestWillBeSent", self._asked)
        self.wire.on("Network.loadingFinished", self._answered)
        self.wire.send("Network.enable")
        self.wire.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _asked(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]

    def _answered(self, event: dict[str, Any]) -> None:
        self.answers.append((self._urls.get(event["requestId"], ""), int(event["encodedDataLength"])))

    def open(self, path: str) -> float:
        """Milliseconds from the beginning of the navigation until the charts stand."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=30_000)
        while (at := self.page.evaluate("window.drawnAt")) is None:
            self.page.wait_for_timeout(10)
        return float(at)

    def busy(self) -> float:
        """Processor milliseconds of the page's main thread so far."""
        found = {m["name"]: m["value"] for m in self.wire.send("Performance.getMetrics")["metrics"]}
        return float(found["TaskDuration"]) * 1000


def visit(chromium: Any, server: Web, browser: Browser, name: str, path: str) -> Seen:
    """A first visit and some warm ones."""
    window = Window(chromium, server, browser)
    first = window.open(path)
    size = sum(n for _, n in window.answers)
    warm = [window.open(path) for _ in range(WARM)]
    window.context.close()
    return Seen(name, size, first, statistics.median(warm), max(warm))


def refreshes(chromium: Any, server: Web, browser: Browser, path: str, source: str, count: int) -> Refresh:
    """An open page that refreshes itself from ``source``, so often."""
    window = Window(chromium, server, browser)
    window.open(path)
    window.page.wait_for_timeout(2000)
    window.answers.clear()
    before, costs = window.busy(), []
    while len(costs) < count:
        seen = len(window.answers)
        while len(window.answers) == seen:
            window.page.wait_for_timeout(20)
        window.page.wait_for_timeout(700)  # it is drawn, and the next one is not asked for yet
        now = window.busy()
        costs.append(now - before)
        before = now
    sizes = [n for url, n in window.answers if source in url]
    window.context.close()
    return Refresh(len(sizes), statistics.median(sizes), max(sizes), statistics.median(costs), max(costs))
