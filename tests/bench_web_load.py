"""What many open dashboards cost a stream: the same records with and without browsers that poll.

The browsers are connections of one process that ask what the page asks, at its pace, say which charts they have,
and take packed answers. They run on the same machine as the pipeline and the web app, so that their own work
counts against the web app too.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from bench_stream import folder_feed, parts, start, watch
from bench_web_world import Browser, environment, web

PACE: Final = 1.5
"""Seconds between an answer and the next question, as in ``live.js``."""


@dataclass(frozen=True)
class Polled:
    """What the browsers saw: questions, milliseconds until the answer (median, p95), bytes of an answer."""

    asked: int
    p50: float
    p95: float
    size: float


@dataclass(frozen=True)
class Streamed:
    """One run: records per second, and what the browsers saw, if there were any."""

    browsers: int
    rate: float
    polled: Polled | None

    def row(self) -> str:
        """Of the table of `compare`."""
        seen = self.polled
        said = "| | |"
        if seen is not None:
            said = f"| {seen.asked} | {seen.p50:.0f} ms, {seen.p95:.0f} ms | {seen.size / 1000:.1f} kB |"
        return f"| {self.browsers} | {self.rate:,.0f}/s {said}"


async def _open_page(address: str, cookie: str, wait: float, noted: list[tuple[float, int]]) -> None:
    """One dashboard that stays open until it is cancelled."""
    host, _, port = address.removeprefix("http://").partition(":")
    await asyncio.sleep(wait)
    reader, writer = await asyncio.open_connection(host, int(port))
    have: dict[str, str] = {}
    while True:
        path = f"/dashboard/live?theme=light&have={','.join(have.values())}"
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: gzip\r\nCookie: {cookie}\r\n\r\n"
        )
        begun = time.perf_counter()
        writer.write(head.encode())
        size, body = await _answer(reader)
        noted.append(((time.perf_counter() - begun) * 1000, size))
        figures = json.loads(body)["figures"]
        have |= {name: figure["rev"] for name, figure in figures.items()}
        await asyncio.sleep(PACE)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Bytes of an answer with its head, and its body unpacked."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    raw = await reader.readexactly(int(lines[b"content-length"]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    return len(head) + len(raw), gzip.decompress(raw) if lines.get(b"content-encoding") == b"gzip" else raw


async def _poll(address: str, cookie: str, browsers: int) -> list[tuple[float, int]]:
    """All browsers until the standard input ends."""
    noted: list[tuple[float, int]] = []
    pages = [_open_page(address, cookie, PACE * i / browsers, noted) for i in range(browsers)]
    tasks = [asyncio.create_task(page) for page in pages]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(found, asyncio.CancelledError):
            raise RuntimeError(f"a browser stopped: {found}")
    return noted


@contextmanager
def polling(address: str, browsers: int, cookie: str, out: list[Polled]) -> Iterator[None]:
    """Browsers in a process of their own; what they saw is appended to ``out``."""
    command = [sys.executable, __file__, address, str(browsers)]
    paths = f"{environment()['PYTHONPATH']}:{Path(__file__).parent}"
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, "COOKIE": cookie},
    )
    try:
        yield
        said, _ = process.communicate(timeout=30)
        out.append(Polled(*json.loads(said)))
    finally:
        process.kill()


def stream(data: Sequence[bytes], browsers: int) -> Streamed:
    """All records wait in a landing folder; the time counts until the store has counted the last one."""
    seen: list[Polled] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where, send = folder_feed(folder / "in")
        process = start(where, folder, "--allowed_lateness", "1h")
        stack.callback(process.kill)
        if browsers:
            server = stack.enter_context(web(process.url))
            cookie = Browser(server.address).sign_in().cookie
            stack.enter_context(polling(server.address, browsers, cookie, seen))
            time.sleep(2 * PACE)  # all of them are there
        for part in data:
            send(part)
        begin = time.monotonic()
        total, _ = watch(process.url, sum(part.count(b"\n") for part in data), [])
        seconds = time.monotonic() - begin
    return Streamed(browsers, total / seconds, seen[0] if seen else None)


def compare(records: int, browsers: int, rounds: int) -> Iterator[str]:
    """Runs without and with browsers by turns, as a table."""
    yield "| browsers | records | questions | answered in (median, p95) | bytes |\n|---:|---:|---:|---:|---:|"
    data, rates = list(parts(records, 100_000)), dict[int, list[float]]()
    for _ in range(rounds):
        for count in (0, browsers):
            run = stream(data, count)
            rates.setdefault(count, []).append(run.rate)
            yield run.row()
    cost = 1 - sum(rates[browsers]) / sum(rates[0])
    yield f"{browsers} browsers cost the stream {cost:.1%}"


def main() -> None:
    """The process of the browsers: address, how many; the cookie is in the environment. Prints a `Polled`."""
    address, browsers = sys.argv[1:]
    noted = asyncio.run(_poll(address, os.environ["COOKIE"], int(browsers)))
    times, sizes = zip(*noted, strict=True)
    p50, p95 = np.percentile(times, [50, 95])
    print(json.dumps([len(noted), p50, p95, float(np.median(sizes))]))


if __name__ == "__main__":
    main()
