"""The streaming pipeline as a process of its own, to be watched and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from callbeam_io.store import open_store

ROOT = Path(__file__).parents[1]


class LiveProcess:
    """``python -m pipelines.run --streaming`` with some flags."""

    def __init__(self, url: str, *flags: str, log: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"}
        command = [sys.executable, "-m", "pipelines.run", "--streaming", "--output", url, *flags]
        self.url, self.log = url, log
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=log.parent)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def drain(self, timeout: float = 60) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def wait_for(self, done: Callable[[dict], bool], timeout: float = 90) -> None:
        """Waits until the run's row says so."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the pipeline ended: {self.log.read_text()[-2000:]}")
            if Path(self.url.removeprefix("sqlite:///")).exists():
                runs = open_store(self.url).runs()
                if runs and done(runs[0]):
                    return
            time.sleep(0.2)
        raise AssertionError(f"not in time: {self.log.read_text()[-2000:]}")
