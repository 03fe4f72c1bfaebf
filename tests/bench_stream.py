"""Streaming by the clock: sustained records per second, freshness at half of it, memory. Run by ``make bench``.

Each row is a pipeline process of its own, fed by this one; the tables are T1-T5 and the type graph, sliding over
60 s by 5 s. Freshness is the time from a file's landing (or a message's delivery) until the store counts its
records. ``--minutes`` feeds a landing folder at ``--rate`` for so long, and shows the memory every 30 s.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from live_process import LiveProcess

from callbeam_io.store import open_store
from callbeam_io.workload import Workload, WorkloadSettings, render

PER_FILE = 50_000
PER_MESSAGE = 1_000
PER_HOUR = 6_000_000
"""Records in an hour of event time, with ``--minutes``."""
FILES_KEPT = 60
LOOK_EVERY = 30.0
Feed = Callable[[bytes], None]


@dataclass
class Measured:
    """What one run showed."""

    source: str
    records: int
    seconds: float
    freshness: list[float]
    peak_mb: float

    def row(self) -> str:
        p50, p99 = (np.percentile(self.freshness, q) if self.freshness else float("nan") for q in (50, 99))
        rate = self.records / self.seconds
        cells = (self.source, f"{self.records:,}", f"{rate:,.0f}/s", f"{p50:.1f} s", f"{p99:.1f} s")
        return f"| {' | '.join(cells)} | {self.peak_mb:,.0f} MB |"


def parts(records: int, people: int, hours: float = 1) -> Iterator[bytes]:
    """Canonical lines of so many hours of event time in the order of time, 50,000 a part."""
    workload = Workload(WorkloadSettings(people=people, records=records, days=hours / 24))
    waiting = b""
    for frame in workload.frames():
        waiting += render(frame, "callbeam")
        lines = waiting.split(b"\n")
        while len(lines) > PER_FILE:
            yield b"\n".join(lines[:PER_FILE]) + b"\n"
            lines = lines[PER_FILE:]
        waiting = b"\n".join(lines)
    if waiting.strip():
        yield waiting


def memory_mb(pid: int, name: str) -> float:
    """Resident memory of a process: VmRSS now, VmHWM at its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def folder_feed(folder: Path, kept: int | None = None) -> tuple[str, Feed]:
    """A landing folder; only the newest ``kept`` files stay there."""
    folder.mkdir()
    header = b"id,calling_number,called_number,start_time,duration,call_type,charge,call_result,account_id\n"
    count = 0

    def send(lines: bytes) -> None:
        nonlocal count
        part = folder / f".{count:06d}.csv"
        part.write_bytes(header + lines)
        part.rename(folder / f"{count:06d}.csv")
        if kept is not None:
            (folder / f"{count - kept:06d}.csv").unlink(missing_ok=True)
        count += 1

    return f"dir://{folder}", send


def kafka_feed(stack: ExitStack, folder: Path) -> tuple[str, Feed]:
    """A topic of four partitions, 1,000 lines a message."""
    from servers.kafka import KafkaBroker

    broker = stack.enter_context(KafkaBroker(folder))
    topic = broker.new_topic(partitions=4)

    def send(lines: bytes) -> None:
        rows = lines.splitlines()
        broker.produce(
            topic, [b"\n".join(rows[i : i + PER_MESSAGE]) for i in range(0, len(rows), PER_MESSAGE)]
        )

    return f"kafka://{broker.bootstrap}/{topic}", send


def start(where: str, folder: Path, *more: str) -> LiveProcess:
    """A pipeline that reads from there; its store and its log are in the folder."""
    flags = ["--fresh", "--input", where, "--window", "sliding:60s/5s", "--early_every", "1s", *more]
    process = LiveProcess(f"sqlite:///{folder}/results.db", *flags, log=folder / "log.txt")
    process.wait_for(lambda run: run["state"] == "running")
    return process


def measure(source: str, data: list[bytes], rate: float | None, *more: str) -> Measured:
    """One run: everything at once for the sustained rate, or paced at ``rate`` for the freshness; ``more`` flags."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "server").mkdir()
        where, send = (
            folder_feed(folder / "in") if source == "folder" else kafka_feed(stack, folder / "server")
        )
        counts = [part.count(b"\n") + (not part.endswith(b"\n")) for part in data]
        if rate is None:
            for part in data:
                send(part)
        process = start(where, folder, "--allowed_lateness", "1h", *more)
        sent: list[tuple[float, int]] = []
        if rate is not None:
            threading.Thread(target=pace, args=(send, data, counts, rate, sent), daemon=True).start()
        begin = time.monotonic()
        seen, freshness = watch(process.url, sum(counts), sent)
        seconds, peak = time.monotonic() - begin, memory_mb(process.process.pid, "VmHWM")
        process.drain(300)
        return Measured(source, seen, seconds, freshness, peak)


def pace(
    send: Feed, data: list[bytes], counts: list[int], rate: float, sent: list[tuple[float, int]]
) -> None:
    """Sends the parts at a rate, and notes when the records up to each were there."""
    started, total = time.monotonic(), 0
    for part, count in zip(data, counts, strict=True):
        time.sleep(max(0.0, started + total / rate - time.monotonic()))
        send(part)
        total += count
        sent.append((time.monotonic(), total))


def watch(url: str, total: int, sent: list[tuple[float, int]]) -> tuple[int, list[float]]:
    """Until all records are counted: how many there were, and how late each part was."""
    store, done, freshness = open_store(url), 0, []
    while True:
        read = store.runs(limit=1)[0]["records_read"] or 0
        now = time.monotonic()
        while done < len(sent) and sent[done][1] <= read:
            freshness.append(now - sent[done][0])
            done += 1
        if read >= total:
            return read, freshness
        time.sleep(0.1)


def remember(minutes: float, rate: float, people: int) -> None:
    """Feeds a landing folder at a rate, and prints the memory every `LOOK_EVERY` seconds and its slope at the end.

    Ten minutes of event time are remembered (lateness and rule history), which pass within seconds.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where, send = folder_feed(folder / "in", FILES_KEPT)
        process = start(where, folder, "--allowed_lateness", "10m", "--rule_history", "10m")
        records = int(minutes * 60 * rate)
        data = parts(records, people, math.ceil(records / PER_HOUR))
        threading.Thread(target=stream, args=(send, data, rate), daemon=True).start()
        looks = list(watch_memory(process, minutes * 60))
        process.drain(300)
    late = [(at, mb) for at, mb in looks if at > minutes * 60 / 3]
    seconds, memory = np.array(late).T
    slope = np.polyfit(seconds, memory, 1)[0] * 60
    print(f"\nMemory over the last two thirds: {slope:+.1f} MB a minute")


def stream(send: Feed, data: Iterator[bytes], rate: float) -> None:
    """Sends parts at a rate as they are made."""
    started, total = time.monotonic(), 0
    for part in data:
        time.sleep(max(0.0, started + total / rate - time.monotonic()))
        send(part)
        total += PER_FILE


def watch_memory(process: LiveProcess, seconds: float) -> Iterator[tuple[float, float]]:
    """Prints a row every `LOOK_EVERY` seconds; gives when (seconds) and how much (MB)."""
    print("| seconds | records | memory | records held | freshness p50 | p99 (runs.live, last minute) |")
    print("|---:|---:|---:|---:|---:|---:|")
    store, begin = open_store(process.url), time.monotonic()
    while time.monotonic() - begin < seconds:
        time.sleep(LOOK_EVERY)
        run, at = store.runs(limit=1)[0], time.monotonic() - begin
        memory, live = memory_mb(process.process.pid, "VmRSS"), run["live"] or {}
        figures = f"{run['records_read']:,} | {memory:,.0f} MB | {live.get('records_held', 0):,}"
        print(
            f"| {at:.0f} | {figures} | {live.get('freshness_p50')} s | {live.get('freshness_p99')} s |",
            flush=True,
        )
        yield at, memory


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=6_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--sources", default="folder,kafka")
    parser.add_argument("--minutes", type=float, help="feed a landing folder for so long instead")
    parser.add_argument("--rate", type=float, default=150_000, help="records per second with --minutes")
    flags = parser.parse_args()
    if flags.minutes:
        remember(flags.minutes, flags.rate, flags.people)
        return
    data = list(parts(flags.records, flags.people))
    print("| source | records | sustained | freshness p50 | p99 (at half the rate) | peak memory |")
    print("|---|---|---|---|---|---|")
    for source in flags.sources.split(","):
        full = measure(source, data, None)
        half = measure(source, data[: max(10, len(data) // 2)], full.records / full.seconds / 2)
        full.freshness = half.freshness
        print(full.row(), flush=True)


if __name__ == "__main__":
    main()
