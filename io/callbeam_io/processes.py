"""Processes that somebody else may have started: whether the very one that is meant is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def birth(pid: int) -> str:
    """Machine, its last start, and when the process began: no other one has the same."""
    fields = _stat(pid)
    return "" if fields is None else f"{socket.gethostname()} {_boot()} {fields[19]}"


def is_alive(pid: int, born: str) -> bool:
    """Whether this very process is there; on another machine nobody can tell, so it is taken to be."""
    if born and born.split()[0] != socket.gethostname():
        return True
    fields = _stat(pid)
    if fields is None:
        return not Path("/proc/self/stat").exists() and _answers(pid)
    return fields[0] not in "ZX" and (not born or birth(pid) == born)


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/<pid>/stat`` from the state on; None: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"


def _answers(pid: int) -> bool:
    """Where the system shows no more: whether some process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
