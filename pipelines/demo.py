"""``make demo``: generator, streaming pipeline and web pages together; a day of event time a minute."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final

from callbeam_io.store import open_store
from pipelines import rules
from transforms.columns.windows import parse_duration
from transforms.errors import RequestError

_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Part:
    """One process of the demonstration: its name, and the arguments behind ``python -m``."""

    name: str
    args: tuple[str, ...]
    quiet: bool = True


EXAMPLES: Final = Path(__file__).parents[1] / "docs" / "examples"
_PANE: Final = "2h"


def store_url(folder: Path) -> str:
    """The demonstration's result store."""
    return f"sqlite:///{folder}/callbeam.db"


def _types() -> list[str]:
    """The business types that the shipped rules speak of, where the examples are there."""
    path = EXAMPLES / "business_types_finance.csv"
    return ["--business_types", str(path)] if path.is_file() else []


def _yesterday() -> str:
    """The day on which the records begin, so that what is offered today is not too old to go out."""
    return (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT00:00:00")


def parts(folder: Path, port: int, people: int) -> list[Part]:
    """The three processes, in the order of their start."""
    landing, store = f"dir://{folder / 'in'}", store_url(folder)
    generate = [
        "pipelines.generate", "--output", landing, "--tables", str(folder / "live.csv"), "--people", str(people),
        "--start", _yesterday(), "--days", "30", "--speed", "1440", "--settings", store, *_types(),
        "--reject_rate", "0.002", "--duplicate_rate", "0.001",
    ]  # fmt: skip
    run = [
        "pipelines.run", "--streaming", "--fresh", "--input", landing, "--output", store,
        "--directory", str(folder / "live.directory.csv"), "--consent", str(folder / "live.consent.csv"),
        "--window", "sliding:1d/2h", "--pane", _PANE, "--max_ahead", "none", "--allowed_lateness", "1h",
        "--early_every", "1s", *_types(),
    ]  # fmt: skip
    web = ["webui", "--store", store, "--port", str(port), "--link"]
    return [
        Part("generator", tuple(generate)),
        Part("pipeline", tuple(run)),
        Part("web", tuple(web), quiet=False),
    ]


def prepare(folder: Path) -> None:
    """The folder, the store and the shipped rules in it; records and people of an earlier demonstration go."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for made in (*(folder / "in").glob("calls-*.csv"), *folder.glob("live.*.csv")):
        made.unlink()
    open_store(store_url(folder)).close()
    rules_file = EXAMPLES / "rules.json"
    if rules_file.is_file():
        rules.main(["add", str(rules_file), "--store", store_url(folder), "--pane", _PANE, *_types()])


def main(argv: Sequence[str] | None = None) -> int:
    """Starts all three and stops all three at Ctrl-C, or when one of them ends by itself."""
    flags = _parser().parse_args(argv)
    try:
        seconds = parse_duration(flags.stop_after, "--stop_after") if flags.stop_after else None
    except RequestError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return 2
    folder = Path(flags.folder).resolve()
    prepare(folder)
    signal.signal(signal.SIGTERM, _as_interrupt)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with ExitStack() as logs:
            for part in parts(folder, int(flags.port), int(flags.people)):
                running[part.name] = _start(part, folder, logs)
                if part.name == "generator":
                    _wait_for(folder / "live.truth.csv", running[part.name])  # the last of its tables
            print(f"logs: {folder}/*.log; Ctrl-C stops all three", flush=True)
            return _watch(running, seconds)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(running)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="callbeam demo", description=__doc__)
    parser.add_argument("--folder", default="demo", help="where its files are (demo)")
    parser.add_argument("--port", default="8000", help="port of the pages (8000)")
    parser.add_argument("--people", default="20000", help="people who call (20000)")
    parser.add_argument("--stop_after", default=None, metavar="TIME", help="stop by itself")
    return parser


def _start(part: Part, folder: Path, logs: ExitStack) -> subprocess.Popen[bytes]:
    """Starts a part in a session of its own: Ctrl-C reaches this process only, which stops the parts in order."""
    out = logs.enter_context((folder / f"{part.name}.log").open("wb")) if part.quiet else None
    command = [sys.executable, "-m", *part.args]
    return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=os.environ)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)


def _watch(running: dict[str, subprocess.Popen[bytes]], seconds: int | None) -> int:
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        for name, process in running.items():
            if process.poll() is not None:
                print(f"callbeam: the {name} ended with status {process.returncode}", file=sys.stderr)
                return 1
        time.sleep(0.2)
    return 0


def _stop(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Asks each to end, the generator first; kills what does not."""
    for process in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in running.values():
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _as_interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
