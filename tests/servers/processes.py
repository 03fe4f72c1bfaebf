"""Processes that a test can start, kill and start again, and that never outlive the test run.

Each process leads a group of its own and writes to a file. A guard process holds the other end of a pipe:
however this process ends (also by `kill -9`), the guard sees the pipe close and kills the groups that are
left. A parent-death signal would not do: Linux sends it when the starting THREAD ends, and setting it runs
Python between fork and exec, which can deadlock beside gRPC's threads.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_GUARD_PROGRAM = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
# nothing runs that the guard does not know: if this process ends before the word is given, so does the shell
_WAIT_FOR_THE_WORD = ("sh", "-c", 'read -r word && exec "$@" </dev/null', "sh")
_guards: dict[int, subprocess.Popen[str]] = {}


class ServerFailed(Exception):
    """A server did not come up or died; the message ends with the last lines of its output."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 nobody listens on, below those the system hands to clients.

    A killed server's port must still be free when it comes back, and a client that keeps knocking at a port
    of the system's own range may end up connected to itself.
    """
    for _ in range(100):
        port = random.SystemRandom().randrange(15000, 32000)  # tests may have seeded the other
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise ServerFailed("no free port between 15000 and 32000")


def wait_until(
    check: Callable[[], bool], what: str, timeout: float, process: "ServerProcess | None" = None
) -> None:
    """Asks `check` every 50 ms until it says True; an OSError counts as "not yet".

    Raises ServerFailed with `what` after `timeout` seconds, or as soon as `process` has ended.
    """
    end = time.monotonic() + timeout
    problem = ""
    while time.monotonic() < end:
        if process is not None and not process.alive:
            raise ServerFailed(f"{what}: the process ended early. Its last words:\n{process.tail()}")
        try:
            if check():
                return
        except OSError as error:
            problem = f" ({error})"
        time.sleep(0.05)
    words = f" Its last words:\n{process.tail()}" if process else ""
    raise ServerFailed(f"{what}: not within {timeout:g} s{problem}.{words}")


class ServerProcess:
    """One operating-system process with its group, its log file and its guard."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command)
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, *more: str) -> None:
        """Starts the command with `more` at its end; output is appended to the log."""
        if self.alive:
            raise ServerFailed(f"{self.command[0]} runs already")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_WAIT_FOR_THE_WORD, *self.command, *more],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        _tell_guard(f"+{self._process.pid}")
        if self._process.stdin is not None:
            with self._process.stdin as word:
                word.write(b"go\n")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the whole group."""
        if self._process is not None and self.alive:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """`kill -9` of the group, and waits for the end."""
        self._end(signal.SIGKILL, 10)

    def terminate(self, timeout: float = 20) -> None:
        """SIGTERM, waits for the end, kills what is left after `timeout` seconds."""
        self._end(signal.SIGTERM, timeout)

    def tail(self, lines: int = 25) -> str:
        """The last lines of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _end(self, number: signal.Signals, timeout: float) -> None:
        if self._process is None:
            return
        self.send(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._process.wait(10)
        with suppress(ProcessLookupError):  # children that did not listen
            os.killpg(self._process.pid, signal.SIGKILL)
        _tell_guard(f"-{self._process.pid}")
        self._process = None


class Server(ABC):
    """A server of one process, in a folder of its own; `start` after `kill` or `terminate` keeps the port."""

    def __init__(
        self, folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = ServerProcess(command, folder / "server.log", environment)

    @abstractmethod
    def wait_ready(self) -> None:
        """Returns when a real operation has succeeded; else ServerFailed."""

    def start(self) -> None:
        """Starts the process, for the first time or again, and waits until it serves."""
        self.process.start()
        self.wait_ready()

    def kill(self) -> None:
        """`kill -9`: no goodbye, no flush."""
        self.process.kill()

    def terminate(self) -> None:
        """SIGTERM, and waits for the end."""
        self.process.terminate()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)


def _tell_guard(line: str) -> None:
    guard = _guards.get(os.getpid())  # a forked child must not write into its parent's pipe
    if guard is None:
        guard = _guards[os.getpid()] = subprocess.Popen(
            [sys.executable, "-S", "-c", _GUARD_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
    if guard.stdin is not None:
        guard.stdin.write(line + "\n")
        guard.stdin.flush()
