"""Commands that the web app starts: from a fixed list, without a shell, watched and cancelled by anybody later.

Each job has a folder beside the store with its log; a process of its own (`jobwatch`) runs the command and notes
how it ended. So a job outlives the web app, and another web app finds it again by its process and that one's
time of birth.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from callbeam_io import jobwatch
from callbeam_io.commands import COMMANDS, Value, arguments, complaint, environment
from callbeam_io.processes import birth, is_alive
from callbeam_io.store import Store, utc_text
from callbeam_io.store import jobs as rows
from callbeam_io.store.engines import without_password
from transforms.errors import OptionError

MOST: Final = 2
KEPT: Final = 30
DRAFT_SECONDS: Final = 3600
DIED: Final = "the process died"
_CANCEL: Final = "cancel"
"""The file that says that somebody cancelled a job: its watch may die of that before it can say so itself."""
_PATIENCE: Final = 10.0
_ID: Final = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
_RUN_ID: Final = re.compile(r"\brun (\d{8}T\d{6}-[0-9a-f]{4})\b")


def folder_of(url: str) -> Path:
    """The folder of a store's jobs: ``<file>.jobs`` beside SQLite, else ``$CALLBEAM_JOBS`` or ``callbeam.jobs``."""
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return Path(url.removeprefix("sqlite:///").split("?")[0] + ".jobs").absolute()
    return Path(os.environ.get("CALLBEAM_JOBS") or "callbeam.jobs").absolute()


@dataclass(frozen=True)
class Answer:
    """What a command said: exit status, standard output, and its complaint without ``callbeam:``."""

    status: int
    output: str
    error: str


class Jobs:
    """The jobs of one store."""

    def __init__(
        self, store: Store, url: str, folder: Path | None = None, patience: float = _PATIENCE
    ) -> None:
        self._store, self._patience = store, patience
        self._url, self._secret = without_password(url)  # everybody on this machine may read command lines
        self.folder = folder_of(url) if folder is None else folder

    def new_id(self) -> str:
        """The id of a job to be, with an empty folder of its own; left alone it is gone in an hour."""
        self._sweep()
        job_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / job_id).mkdir(mode=0o700)
        return job_id

    def place(self, job_id: str) -> Path | None:
        """The folder of a job; None where there is none."""
        path = self.folder / job_id
        return path if _ID.fullmatch(job_id) and path.is_dir() else None

    def start(
        self,
        kind: str,
        options: Mapping[str, Value],
        by: str,
        job_id: str = "",
        note: Mapping[str, Any] | None = None,
    ) -> str:
        """Starts a command.

        Args:
            kind: a name of `COMMANDS`.
            options: its flags, without the store.
            by: who starts it.
            job_id: from `new_id`, where files of it stand there already.
            note: JSON values that are kept in the row, for people.

        Returns:
            The job's id.

        Raises:
            OptionError: it cannot be given, or too many are running.
        """
        words = arguments(kind, options)
        job_id = job_id or self.new_id()
        place = self.place(job_id)
        if place is None:
            raise OptionError("what was prepared is gone", "a start within the hour", "begin again")
        self.running()  # so that none that has ended takes a place
        about: dict[str, Any] = {"options": dict(options), "note": dict(note or {})}
        row = {"job_id": job_id, "kind": kind, "command": about, "created_by": by}
        row["log"] = str(place / jobwatch.LOG)
        refused = rows.add_job(self._store, row, MOST, [k for k, c in COMMANDS.items() if c.alone])
        if refused:
            raise OptionError(f"it cannot start now: {refused}", "a free place", "wait, or cancel one")
        self._spawn(job_id, place, [*self._command(kind), *words], about)
        return job_id

    def _command(self, kind: str) -> list[str]:
        command = COMMANDS[kind]
        store = [f"--{command.store}={self._url}"] if command.store else []
        return [sys.executable, "-m", command.module, *store]

    def _spawn(self, job_id: str, place: Path, command: list[str], about: Mapping[str, Any]) -> None:
        watch = [sys.executable, "-m", jobwatch.__name__, str(place), *command]
        child = subprocess.Popen(
            watch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(**self._secret),
        )
        born = birth(child.pid)
        rows.change_job(self._store, job_id, pid=child.pid, command={**about, "born": born})
        threading.Thread(target=child.wait, name="job", daemon=True).start()  # leaves no zombie

    def ask(self, kind: str, options: Mapping[str, Value], seconds: float = 30.0) -> Answer:
        """Runs a short command and waits for its answer.

        Raises:
            OptionError: it cannot be given, or took too long.
        """
        command = [*self._command(kind), *arguments(kind, options)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=environment(**self._secret),
            )
        except subprocess.TimeoutExpired:
            raise OptionError(
                "the file takes too long to look at", "a first look within half a minute"
            ) from None
        return Answer(done.returncode, done.stdout, complaint(done.stderr))

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job's row as it is now, or None."""
        row = rows.job_row(self._store, job_id)
        return None if row is None else self._settled(row)

    def newest(self, limit: int = KEPT) -> list[dict[str, Any]]:
        """The rows of jobs, the newest first."""
        return [self._settled(row) for row in rows.job_rows(self._store, limit)]

    def running(self) -> list[dict[str, Any]]:
        """The rows of those that are running."""
        found = (self._settled(row) for row in rows.job_rows(self._store, state=rows.RUNNING))
        return [row for row in found if row["state"] == rows.RUNNING]

    def cancel(self, job_id: str) -> None:
        """Asks a job to end; it is killed if it does not within seconds (`jobwatch.PATIENCE`)."""
        row, place = self.job(job_id), self.place(job_id)
        if row is None or place is None or row["state"] != rows.RUNNING:
            return
        (place / _CANCEL).touch()
        if row["pid"] and is_alive(row["pid"], _born(row)):
            os.kill(row["pid"], signal.SIGTERM)

    def tail(self, job_id: str, most: int = 16_000) -> str:
        """The end of a job's log."""
        place = self.place(job_id)
        if place is None:
            return ""
        found = b"".join(_end_of(place / name, most) for name in (jobwatch.LOG_BEFORE, jobwatch.LOG))
        return found[-most:].decode("utf-8", "replace")

    def _settled(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with what became of its process since it was written."""
        if row["state"] != rows.RUNNING:
            return row
        changes: dict[str, Any] = {}
        if row["run_id"] is None and (run_id := self._run_of(row["job_id"])):
            changes["run_id"] = run_id
        changes |= self._ended(row)
        if changes:
            rows.change_job(self._store, row["job_id"], **changes)
        return {**row, **changes}

    def _ended(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """How a job ended; empty while it runs."""
        alive = is_alive(row["pid"], _born(row)) if row["pid"] else _age(row) < self._patience
        place = self.place(row["job_id"])
        said = {} if place is None else _read_status(place / jobwatch.STATUS)  # after: it writes, then ends
        if not said and alive:
            return {}
        ended = {"finished_at": utc_text()}
        if said.get("cancelled") or (not said and place is not None and (place / _CANCEL).exists()):
            return {**ended, "state": "cancelled"}
        if not said:
            return {**ended, "state": "failed", "error": DIED}
        if said["status"] == 0:
            return {**ended, "state": "done"}
        return {
            **ended,
            "state": "failed",
            "error": complaint(self.tail(row["job_id"])) or f"status {said['status']}",
        }

    def _run_of(self, job_id: str) -> str | None:
        found = _RUN_ID.findall(self.tail(job_id))
        return found[-1] if found else None

    def _sweep(self) -> None:
        """Removes what is old: jobs beyond the newest, drafts that nobody started."""
        for job_id in rows.forget_jobs(self._store, KEPT):
            shutil.rmtree(self.folder / job_id, ignore_errors=True)
        for place in self.folder.glob("*"):
            old = time.time() - place.stat().st_mtime > DRAFT_SECONDS
            if _ID.fullmatch(place.name) and old and rows.job_row(self._store, place.name) is None:
                shutil.rmtree(place, ignore_errors=True)


def _born(row: Mapping[str, Any]) -> str:
    return str((row["command"] or {}).get("born") or "")


def _age(row: Mapping[str, Any]) -> float:
    begun = datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC)
    return (datetime.now(UTC) - begun).total_seconds()


def _read_status(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _end_of(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read()
    except OSError:
        return b""
