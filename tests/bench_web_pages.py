"""The pages that are measured, and what the server needs for them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from bench_web_world import Browser, Web

from callbeam_io.store import open_store

SERVED = "| page | first (ms) | median (ms) | p95 (ms) | bytes |\n|---|---:|---:|---:|---:|"


@dataclass
class Page:
    """A page, where it is, and what was measured of it: milliseconds and bytes of its answers."""

    name: str
    path: str
    times: list[float] = field(default_factory=list)
    size: int = 0

    def ask(self, browser: Browser) -> None:
        """One question, which has to be answered by 200."""
        reply = browser.get(self.path)
        if reply.status != 200:
            raise SystemExit(f"{self.path} is answered by {reply.status}")
        self.times.append(reply.seconds * 1000)
        self.size = reply.size

    def row(self) -> str:
        """Of a table under `SERVED`."""
        first, *warm = self.times
        p95 = float(np.percentile(warm, 95))
        return f"| {self.name} | {first:,.0f} | {statistics.median(warm):.0f} | {p95:.0f} | {self.size / 1000:.1f} kB |"


def lists(number: str) -> list[Page]:
    """The list of subscribers, narrowed and sorted in many ways."""
    asked = {
        "first page": "",
        "tag and type": "?tag=Business&business_type=Banking",
        "three filters, by talk time": "?tag=Business&hour=18&min_calls=5&sort=-duration_s",
        "weekday, abroad": "?weekday=4&min_abroad=3&sort=-international",
        "middle page, by last seen": "?sort=-last_seen&page=10000",
        "last page, by calls": "?page=20000",
        "last page, by number": "?sort=subscriber&page=20000",
        "beginning of a number": "?q=%2B1202",
        "a number": f"?q={number.replace('+', '%2B')}",
        "who may be contacted": "?contact=yes&sort=-duration_s",
        "nobody": "?tag=Agency&min_calls=5000",
    }
    return [Page(f"subscribers: {name}", f"/subscribers{query}") for name, query in asked.items()]


def pages(url: str) -> list[Page]:
    """The pages that people look at."""
    store = open_store(url)
    promotion = store.rows("promotions", limit=1)[0]
    store.close()
    number, rule = promotion["subscriber"], promotion["rule_id"]
    found = {
        "welcome": "/",
        "dashboard": "/dashboard",
        "talk time by hour": "/templates/duration_by_hour",
        "business types": "/templates/business_types",
        "who calls whom": "/templates/type_graph",
        "countries": "/templates/regions",
        "subscriber habits": "/templates/subscribers",
        "records behind a number": "/records/regions?region=FR&measure=calls",
        "find people": "/audience",
        "a subscriber": f"/subscribers/{number}",
        "why": f"/subscribers/{number}/why?rule_id={rule}",
        "promotions": "/promotions",
        "promotions, held back": "/promotions?rule_id=busy-day&outcome=held_back",
        "deliveries": "/promotions/deliveries",
        "rules": "/rules",
        "a rule": f"/rules/{rule}",
        "consent": "/consent",
        "runs": "/runs",
        "rejects": "/rejects",
        "generator": "/generator",
    }
    return [*(Page(name, path) for name, path in found.items()), *lists(number)]


def answers(server: Web, asked: Sequence[Page], rounds: int) -> Iterator[str]:
    """All pages, round by round, as a table."""
    browser = server.browser()
    for _ in range(rounds):
        for page in asked:
            page.ask(browser)
    yield SERVED
    yield from (page.row() for page in asked)
