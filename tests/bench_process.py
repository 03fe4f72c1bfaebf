"""What a process and its children cost: wall time, processor time, memory."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What one process and its children used: seconds, seconds of processors, bytes at the peak."""

    wall: float
    cpu: float
    peak: int


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Runs a process to its end; CalledProcessError where it fails."""
    begun = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdout=subprocess.DEVNULL, start_new_session=True
    )
    watch = _Watch(process.pid)
    watch.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    watch.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    own = used.ru_utime + used.ru_stime
    return Cost(wall, max(own, watch.cpu), max(used.ru_maxrss * 1024, watch.peak))


@dataclass(eq=False)  # a thread has to be hashable
class _Watch(threading.Thread):
    """Looks at all processes of a session every 0.2 s: some engines work in a child (a Java machine)."""

    session: int
    peak: int = 0
    _cpu: dict[int, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    @property
    def cpu(self) -> float:
        """Processor seconds seen, of all that were ever there."""
        return sum(self._cpu.values())

    def run(self) -> None:
        """Until `stop`."""
        while not self._over.wait(0.2):
            used = list(_of_session(self.session))
            self._cpu.update({pid: cpu for pid, cpu, _ in used})
            self.peak = max(self.peak, sum(size for _, _, size in used))

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        self.join()


def _of_session(session: int) -> Iterator[tuple[int, float, int]]:
    """Number, processor seconds and bytes of each process of a session; nothing where there is no /proc."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(words[3]) == session:
            yield int(place.name), (int(words[11]) + int(words[12])) / _TICK, int(words[21]) * _PAGE
