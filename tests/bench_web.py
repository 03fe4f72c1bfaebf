"""The web app by the clock, on a store of a million subscribers. Run by ``make bench``.

The server is the real process. One client asks for page after page over a connection that stays open, so that
between two questions for one page its answers of a second ago have grown old. ``--only`` names the parts.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bench_web_load
import bench_web_withdrawal
import pytest
from bench_stream import memory_mb
from bench_web_chromium import VISITED, refreshes, visit
from bench_web_live import live_pages
from bench_web_pages import answers, pages
from bench_web_world import RULES, Web, copied, kept_store, web
from browser import browser as chromium_browser

from callbeam_io.rule_desk import RuleDesk

BROWSERS = 50


def export(server: Web) -> Iterator[str]:
    """The CSV of everybody: when it begins and ends, and the server's memory meanwhile."""
    browser, held = server.browser(), list[float]()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            held.append(memory_mb(server.pid, "VmRSS"))

    before = memory_mb(server.pid, "VmRSS")
    threading.Thread(target=look, daemon=True).start()
    begun = time.monotonic()
    first, size = browser.stream("/subscribers.csv")
    seconds = time.monotonic() - begun
    over.set()
    middle, end = max(held[: len(held) // 2]), max(held[len(held) // 2 :])
    yield "| CSV of everybody | first byte | whole | memory before | most, first half | most, second half |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield (
        f"| {size / 1e6:.0f} MB | {first * 1000:.0f} ms | {seconds:.1f} s "
        f"| {before:.0f} MB | {middle:.0f} MB | {end:.0f} MB |"
    )


def visits(url: str, server: Web) -> Iterator[str]:
    """Every page in Chromium."""
    browser = server.browser()
    yield VISITED
    with chromium_browser() as chromium:
        for page in pages(url):
            if not page.name.startswith("subscribers: ") or page.name.endswith("first page"):
                browser.get(page.path)
                yield visit(chromium, server, browser, page.name, page.path).row()
        seen = refreshes(chromium, server, browser, "/dashboard", "/dashboard/live", 5)
        yield f"Refresh of a dashboard on which nothing changes: {seen.said()}"


def counts(url: str) -> Iterator[str]:
    """What rules would have done over all kept records, as their pages ask: first about, then exactly."""
    desk = RuleDesk(url)
    yield "| rule | first answer | exact |\n|---|---:|---:|"
    for turn in range(3):
        for rule in RULES:
            begun, heard = time.monotonic(), list[float]()

            def note(_: object, begun: float = begun, heard: list[float] = heard) -> None:
                heard.append(time.monotonic() - begun)

            desk.count({**rule, "name": f"{rule['name']} {turn}"}, on_part=note, token="bench")
            exact = time.monotonic() - begun
            name = "the first one after a start" if not turn and rule is RULES[0] else rule["name"]
            if turn != 1:
                yield f"| {name} | {(heard or [exact])[0] * 1000:.0f} ms | {exact * 1000:,.0f} ms |"
    desk.close()


def with_server(kept: Path, part: Callable[[str, Web], Iterator[str]]) -> Iterator[str]:
    """A part that needs the web app on a copy of the store."""
    with tempfile.TemporaryDirectory() as name:
        url = copied(kept, Path(name))
        with web(url) as server:
            yield from part(url, server)


def on_copy(kept: Path, part: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """A part that needs a copy of the store."""
    with tempfile.TemporaryDirectory() as name:
        yield from part(copied(kept, Path(name)))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--records", type=int, default=4_000_000, help="of the streams that are disturbed")
    parser.add_argument("--only", default="pages,export,visits,counts,live,load,withdrawal")
    flags = parser.parse_args(argv)
    kept = kept_store(flags.people)
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "pages": lambda: with_server(kept, lambda url, web: answers(web, pages(url), flags.rounds)),
        "export": lambda: with_server(kept, lambda _, web: export(web)),
        "visits": lambda: with_server(kept, visits),
        "counts": lambda: on_copy(kept, counts),
        "live": lambda: on_copy(kept, lambda url: live_pages(url, flags.people, flags.rounds)),
        "load": lambda: bench_web_load.compare(flags.records, BROWSERS, 2),
        "withdrawal": lambda: bench_web_withdrawal.measured(kept, 2 * flags.records, 20),
    }
    for name in flags.only.split(","):
        try:
            for line in parts[name]():
                print(line, flush=True)
        except pytest.skip.Exception as missing:
            print(f"{name}: not measured, {missing}")
        print(flush=True)


if __name__ == "__main__":
    main()
