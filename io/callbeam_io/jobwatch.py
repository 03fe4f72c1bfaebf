"""``python -m callbeam_io.jobwatch FOLDER COMMAND…``: the process that watches over one job.

It outlives the web app that started it: it keeps the job's log short, sees to it that a cancelled command ends,
and writes into ``FOLDER/status`` how it ended. Only the standard library is imported: it is started for each job.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Final

LOG: Final = "log"
LOG_BEFORE: Final = "log.1"
STATUS: Final = "status"
LOG_BYTES: Final = 512 << 10
"""A log that grew longer is put aside once; the one before that is lost."""
PATIENCE: Final = 10.0
"""Seconds from the signal to end until the command is killed."""
NOT_STARTED: Final = 127


class Watch:
    """One command and its folder."""

    def __init__(self, folder: Path, command: Sequence[str], patience: float = PATIENCE) -> None:
        self._folder, self._command, self._patience = folder, command, patience
        self._child: subprocess.Popen[bytes] | None = None
        self.cancelled = False

    def run(self) -> int:
        """Runs the command to its end; gives its exit status."""
        signal.signal(signal.SIGTERM, self._asked_to_end)
        try:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except OSError as error:
            (self._folder / LOG).write_text(f"callbeam: it cannot be started: {error.strerror}\n")
            return NOT_STARTED
        if self.cancelled:  # in between
            self._end(self._child)
        if self._child.stdout is not None:
            copy(self._child.stdout, self._folder)
        return self._child.wait()

    def _asked_to_end(self, _: int, __: FrameType | None) -> None:
        """Passes the signal on, once."""
        if self.cancelled:
            return
        self.cancelled = True
        if self._child is not None:
            self._end(self._child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        timer = threading.Timer(self._patience, child.kill)
        timer.daemon = True
        timer.start()
        child.terminate()


def copy(lines: IO[bytes], folder: Path) -> None:
    """Writes what a command says into its log, which stays short."""
    log = (folder / LOG).open("ab", buffering=0)
    try:
        for line in iter(lambda: lines.readline(1 << 16), b""):
            log.write(line)
            if log.tell() > LOG_BYTES:
                log.close()
                (folder / LOG).replace(folder / LOG_BEFORE)
                log = (folder / LOG).open("ab", buffering=0)
    finally:
        log.close()


def write_whole(path: Path, text: str) -> None:
    """Nobody sees half of a file."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def main(argv: Sequence[str]) -> int:
    """Watches over one command; whatever it left behind in its process group ends with it."""
    folder = Path(argv[0])
    watch = Watch(folder, argv[1:])
    status = watch.run()
    write_whole(folder / STATUS, json.dumps({"status": status, "cancelled": watch.cancelled}))
    if os.getpgrp() == os.getpid():
        with contextlib.suppress(OSError):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
