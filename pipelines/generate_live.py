"""Live records from the generator, into a landing folder, a Kafka or a Pub/Sub topic, until told to stop."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tqdm import tqdm

from callbeam_io.workload.control import SettingsFile, StoreSettings
from callbeam_io.workload.live import LIVE, SLICE, LiveStream, Texts
from callbeam_io.workload.targets import is_live_target, open_target
from callbeam_io.workload.writing import write_tables
from transforms.columns.windows import parse_duration
from transforms.errors import OptionError

_PAUSE: Final = 0.2
_MOST_PAUSE: Final = 1.0
_AGAIN: Final = 1.0
_LINES: Final = "1000"
_TABLES: Final = "data/live.csv"
ONLY_LIVE: Final = ("speed", "rate", "settings", "lines", "stop_after", "tables")
"""Flags that mean something with a live output only."""


def add_flags(group: Any) -> None:
    """Adds the flags of live outputs to a group of the command's parser."""
    for name in ("speed", "rate"):
        group.add_argument(f"--{name}", metavar="X", help=LIVE[name])
    group.add_argument(
        "--settings",
        metavar="FILE|STORE_URL",
        help="settings that go before the flags, read every second: a JSON file, or those that pages write",
    )
    group.add_argument("--lines", metavar="N", help="records in a message; 1 is one message each (1000)")
    group.add_argument(
        "--stop_after", metavar="TIME|N", help="stop after a time or a number of records (never)"
    )
    group.add_argument(
        "--tables", metavar="CSV", help=f"directory, consent and truth are written beside it ({_TABLES})"
    )


def live_output(flags: Mapping[str, Any]) -> bool:
    """Whether the flags ask for a live output.

    Raises:
        OptionError: a flag of live outputs without one.
    """
    if is_live_target(flags["output"]):
        return True
    for name in ONLY_LIVE:
        if flags[name] is not None:
            raise OptionError(
                f"--{name} {flags[name]}", "a live --output with it: dir:///path, kafka://…, pubsub://…"
            )
    return False


def run_live(flags: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Sends records as their time comes, until SIGINT, SIGTERM or ``--stop_after``; says what it sent.

    Args:
        flags: of the command.
        texts: those of them that are settings of a workload.

    Raises:
        RequestError: something in the request is wrong.
        RunError: records could not be sent.
    """
    seconds, most = _limits(flags["stop_after"])
    lines = _count(flags["lines"] or _LINES, "--lines")
    live = {name: flags[name] for name in ("speed", "rate") if flags[name] is not None}
    stream = LiveStream({**texts, **live}, control=_control(flags["settings"]))
    target = open_target(flags["output"], flags["format"] or "callbeam", lines)
    tables = Path(flags["tables"] or _TABLES)
    tables.parent.mkdir(parents=True, exist_ok=True)
    write_tables(stream.workload, tables)
    started, sent, told = time.monotonic(), 0, None
    with _stopping() as stop, tqdm(unit=" records", unit_scale=True, disable=None, leave=False) as bar:
        while not stop.is_set() and sent < most and time.monotonic() - started < seconds:
            frame = stream.take()
            if frame is not None:
                target.write(frame.head(most - sent))
                sent += len(frame.head(most - sent))
                bar.update(len(frame))
            told = _tell(stream.trouble, told)
            if stream.behind() < SLICE:
                stop.wait(min(max(stream.wait(), _PAUSE), _MOST_PAUSE))
        target.close()
    took = time.monotonic() - started
    return f"{sent:,} records in {took:.1f} s to {flags['output'].partition('?')[0]}"


def _tell(trouble: str | None, told: str | None) -> str | None:
    """Says what is wrong with new settings, once."""
    if trouble is not None and trouble != told:
        tqdm.write(f"callbeam: {trouble}", file=sys.stderr)
    return trouble


def _control(text: str | None) -> Callable[[], Texts | None] | None:
    if text is None:
        return None
    return StoreSettings(text) if "://" in text else SettingsFile(text)


def _limits(text: str | None) -> tuple[float, int]:
    """Seconds and records after which to stop."""
    if text is None:
        return math.inf, sys.maxsize
    if text.isascii() and text.isdigit():
        return math.inf, _count(text, "--stop_after")
    return parse_duration(text, "--stop_after"), sys.maxsize


def _count(text: str, flag: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise OptionError(f"{flag} {text}", "a whole number of at least 1")
    return int(text)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; another one a second later or more ends the process as ever.

    Who stops a group of processes often sends it twice at once.
    """
    stop = threading.Event()
    times: list[float] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def asked(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if stop.is_set() and time.monotonic() - times[0] >= _AGAIN:
            signal.signal(number, handler)
            signal.raise_signal(number)
        elif not stop.is_set():
            times.append(time.monotonic())
            stop.set()

    for number in before:
        signal.signal(number, asked)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
