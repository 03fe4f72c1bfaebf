"""How fast promotions leave by webhook: a store with some that wait, a receiver in a process of its own.

    PYTHONPATH=.:io:tests python tests/bench_deliver.py [--messages 5000] [--store URL] [--unlimited]

The receiver answers at once, or after ``--answer`` milliseconds. ``--unlimited`` looks past the highest rate that
can be set (60,000 a minute).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection

from delivery_world import promotion, queue, run_with

from callbeam_io.delivery import rate
from callbeam_io.delivery.rate import RATE
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import Webhook, save_webhook
from callbeam_io.store import Store, deliveries, open_store

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Take(asyncio.Protocol):
    """Takes messages of one connection."""

    def __init__(self, wait: float) -> None:
        self._wait, self._rest = wait, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self._rest) < end + 4 + length:
                return
            self._rest = self._rest[end + 4 + length :]
            asyncio.get_running_loop().call_later(self._wait, self._transport.write, _ANSWER)


def receive(told: Connection, wait: float) -> None:
    """Says its port and answers until it is ended."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Take(wait), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def filled(url: str, messages: int) -> Store:
    """A store with so many deliveries that are due."""
    store, now = open_store(url), int(time.time())
    run_id = run_with(store, *(promotion(i, now - 60) for i in range(messages)))
    queue(store, run_id, quiet="").add_all(now)
    return store


def main() -> None:
    """Prints messages a second."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--store", default="")
    parser.add_argument("--answer", type=float, default=0.0)
    parser.add_argument("--unlimited", action="store_true")
    flags = parser.parse_args()
    if flags.unlimited:
        rate.LARGEST_RATE = 10**9  # type: ignore[misc]
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=receive, args=(theirs, flags.answer / 1000), daemon=True)
    server.start()
    port = mine.recv()
    with tempfile.TemporaryDirectory() as folder:
        store = filled(flags.store or f"sqlite:///{folder}/results.db", flags.messages)
        host = ("127.0.0.1",)
        save_webhook(
            store, Webhook(f"http://127.0.0.1:{port}/in", "sixteen letters and more", host, host, host)
        )
        store.set_control(RATE, rate.LARGEST_RATE)
        sender, begun = Sender(store), time.perf_counter()
        spent = time.process_time()
        sender.start()
        while deliveries.counts(store).get("waiting") and time.perf_counter() < begun + 60:
            time.sleep(0.1)
        took, spent = time.perf_counter() - begun, time.process_time() - spent
        counts = Counter(deliveries.counts(store))
        sender.close()
        sent = counts["sent"]
        print(f"{sent:,} sent in {took:.1f} s: {sent / took:,.0f} a second, processor {spent:.1f} s")
        store.close()
    server.terminate()


if __name__ == "__main__":
    main()
