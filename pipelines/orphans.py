"""Processes that an engine started for this one must not outlive it (Linux; elsewhere nothing is done)."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

_GUARD: Final = 'read -r _; kill "$@" 2>/dev/null'
_guards: Final[list[subprocess.Popen[bytes]]] = []  # their pipes stay open as long as this process lives


def children() -> list[int]:
    """Ids of the processes that this one started and that are still there."""
    found: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, listed.read_text().split())
    return found


def end_children() -> None:
    """Ends them."""
    for child in children():
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)


def guard_children(runner: str) -> None:
    """Sees to it that a runner's processes end with this one, even by ``kill -9``: a shell waits for the end of a
    pipe that closes with it."""
    found = children() if runner == "PrismRunner" else []
    if found:
        command = ["sh", "-c", _GUARD, "guard", *map(str, found)]
        _guards.append(subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True))
