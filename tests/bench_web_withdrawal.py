"""How long a withdrawal takes while a stream at full speed and a sender work on the same store."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench_stream import folder_feed, parts, start
from bench_web_world import Browser, copied, environment, web
from sqlalchemy import update
from webhook_receiver import receiver

from callbeam_io.delivery.rate import RATE
from callbeam_io.delivery.webhook import save_webhook
from callbeam_io.store import TABLES, Store, deliveries, open_store

A_MINUTE = 1_800
"""Messages that are sent a minute."""


class Arrivals(list[tuple[dict[str, str], bytes]]):
    """What a receiver got, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[float, bytes]] = []

    def append(self, message: tuple[dict[str, str], bytes]) -> None:
        self.at.append((time.monotonic(), message[1]))
        super().append(message)

    def last(self, subscriber: str) -> float | None:
        """When the last message about somebody came."""
        return max((at for at, body in list(self.at) if f'"{subscriber}"'.encode() in body), default=None)


@dataclass
class Withdrawn:
    """Seconds from the request of each withdrawal.

    Attributes:
        answered: until the page said that it is done.
        stopped: until nothing waited for this person any more.
        late: until the last message about this person came, if one came after the request.
    """

    answered: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def row(self) -> str:
        """Of the table of `measured`."""
        late = f"{len(self.late)}, the last after {max(self.late):.2f} s" if self.late else "none"
        said = f"{max(self.answered):.2f} s | {max(self.stopped):.2f} s | {late}"
        return f"| {len(self.answered)} | {said} |"


@contextmanager
def sender(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m pipelines.deliver`` on a store."""
    command = [sys.executable, "-m", "pipelines.deliver", "--store", url]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def next_ones(store: Store, after: int, count: int) -> list[str]:
    """People whose messages are the next ones to be sent, after so many others."""
    with store.reading() as connection:
        rows = deliveries.due(connection, "9999-12-31 00:00:00", after + 5 * count)
    return list(dict.fromkeys(row["subscriber"] for row in rows[after:]))[:count]


def withdraw(browser: Browser, store: Store, arrivals: Arrivals, people: Sequence[str]) -> Withdrawn:
    """Opts people out one after the other on their pages, waits, and looks what came for them."""
    found, asked = Withdrawn(), dict[str, float]()
    token = browser.token("/account")
    for person in people:
        asked[person] = begun = time.monotonic()
        reply = browser.post(f"/subscribers/{person}/why", do="opt_out", csrf_token=token)
        if reply.status != 302:
            raise SystemExit(f"opting out was answered by {reply.status}")
        found.answered.append(time.monotonic() - begun)
        while store.count("deliveries", where={"subscriber": person, "state": deliveries.WAITING}):
            time.sleep(0.01)
        found.stopped.append(time.monotonic() - begun)
    time.sleep(2.5)
    for person, begun in asked.items():
        last = arrivals.last(person)
        if last is not None and last > begun:
            found.late.append(last - begun)
    return found


def measure(kept: Path, records: int, people: int) -> Withdrawn:
    """People opt out while a stream works through records as fast as it can."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = copied(kept, folder)
        server = stack.enter_context(receiver())
        server.got = arrivals = Arrivals()
        store = open_store(url)
        stack.callback(store.close)
        save_webhook(store, server.hook)
        store.set_control(RATE, A_MINUTE)
        with store.writing() as connection:
            connection.execute(update(TABLES["deliveries"]).values(quiet=""))  # whatever the time of the day
        stack.enter_context(sender(url))
        page = stack.enter_context(web(url)).browser()
        where, send = folder_feed(folder / "in")
        for part in parts(records, 100_000):
            send(part)
        stack.callback(start(where, folder, "--allowed_lateness", "1h").kill)
        before = len(arrivals)
        while len(arrivals) < before + 20:
            time.sleep(0.05)
        return withdraw(page, store, arrivals, next_ones(store, 20, people))


def measured(kept: Path, records: int, people: int) -> Iterator[str]:
    """The same as a table."""
    yield "| withdrawals | answered within | nothing waits any more within | messages after the request |"
    yield "|---:|---:|---:|---|"
    yield measure(kept, records, people).row()
