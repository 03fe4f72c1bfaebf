from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callbeam_io import jobwatch
from callbeam_io.commands import COMMANDS, Command, arguments, complaint
from callbeam_io.jobs import DIED, MOST, Jobs, folder_of
from callbeam_io.processes import birth, is_alive
from callbeam_io.store import Store, open_store
from callbeam_io.store import jobs as rows
from transforms.errors import OptionError

NAP = """
import argparse, signal, sys, time
flags = argparse.ArgumentParser()
for name in ("store", "seconds", "status", "say"):
    flags.add_argument("--" + name)
flags.add_argument("--deaf", action="store_true")
flags = flags.parse_args()
if flags.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flags.say or "begun", file=sys.stderr)
time.sleep(float(flags.seconds or 0))
sys.exit(int(flags.status or 0))
"""
FLAGS = frozenset({"seconds", "status", "say", "deaf"})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store, and a command that only sleeps."""
    (tmp_path / "nap.py").write_text(NAP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "nap", Command("nap", "store", FLAGS))  # type: ignore[arg-type]
    monkeypatch.setitem(COMMANDS, "lone", Command("nap", "store", FLAGS, alone=True))  # type: ignore[arg-type]
    made = open_store(url(tmp_path))
    yield made
    made.close()


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'jobs.db'}"


@pytest.fixture
def jobs(store: Store, tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(store, url(tmp_path))
    yield made
    for row in made.running():
        made.cancel(row["job_id"])


def wait(
    jobs: Jobs, job_id: str, done: Callable[[dict[str, Any]], bool], seconds: float = 20
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        row = jobs.job(job_id)
        assert row is not None
        if done(row):
            return row
        time.sleep(0.05)
    raise AssertionError(f"not in time: {row} {jobs.tail(job_id)}")


def ended(row: dict[str, Any]) -> bool:
    return row["state"] != "running"


def test_a_job_from_start_to_end(jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.start(
        "nap", {"say": "callbeam: run 20261124T201733-3f9a begins"}, "admin", note={"name": "a nap"}
    )
    row = wait(jobs, job_id, ended)
    assert (row["state"], row["error"], row["run_id"]) == ("done", None, "20261124T201733-3f9a")
    assert row["created_by"] == "admin" and row["finished_at"] and row["command"]["note"] == {"name": "a nap"}
    assert jobs.tail(job_id) == "callbeam: run 20261124T201733-3f9a begins\n"
    assert jobs.folder == folder_of(url(tmp_path))
    wait(jobs, job_id, lambda _: not is_alive(row["pid"], ""))  # it says that it is done just before it ends
    assert [r["job_id"] for r in jobs.newest()] == [job_id] and jobs.running() == []
    assert rows.job_of_run(jobs._store, "20261124T201733-3f9a") == job_id


def test_a_failure_says_what_the_command_said(jobs: Jobs) -> None:
    job_id = jobs.start("nap", {"status": "2", "say": "callbeam: --input x does not exist"}, "admin")
    row = wait(jobs, job_id, ended)
    assert (row["state"], row["error"]) == ("failed", "--input x does not exist")


def test_cancelled_by_another_web_app(jobs: Jobs, store: Store, tmp_path: Path) -> None:
    job_id = jobs.start("nap", {"seconds": "60"}, "admin")
    wait(jobs, job_id, lambda _: "begun" in jobs.tail(job_id))
    other = Jobs(store, url(tmp_path))
    assert [r["job_id"] for r in other.running()] == [job_id]
    other.cancel(job_id)
    assert wait(other, job_id, ended)["state"] == "cancelled"
    other.cancel(job_id)  # one that has ended stays as it ended
    assert other.job(job_id)["state"] == "cancelled"  # type: ignore[index]


def test_cancelled_before_it_could_begin(jobs: Jobs) -> None:
    job_id = jobs.start("nap", {"seconds": "60"}, "admin")
    jobs.cancel(job_id)
    assert wait(jobs, job_id, ended)["state"] == "cancelled"


def test_what_does_not_end_is_killed(tmp_path: Path, store: Store) -> None:
    command = [sys.executable, str(tmp_path / "nap.py"), "--deaf", "--seconds", "60"]
    watch = f"from callbeam_io.jobwatch import *; w = Watch(Path({str(tmp_path)!r}), {command!r}, 0.2); print(w.run())"
    watching = subprocess.Popen(
        [sys.executable, "-c", watch], stdout=subprocess.PIPE, env=_plain_environment()
    )
    while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
        time.sleep(0.05)
    watching.terminate()
    assert watching.communicate(timeout=20)[0].strip() == b"-9"


def _plain_environment() -> dict[str, str]:
    from callbeam_io.commands import environment

    return environment()


def test_a_job_outlives_the_web_app_that_started_it(store: Store, tmp_path: Path) -> None:
    start = f"""
import sys
from callbeam_io.commands import COMMANDS, Command
from callbeam_io.jobs import Jobs
from callbeam_io.store import open_store
COMMANDS["nap"] = Command("nap", "store", frozenset({{"seconds"}}))
print(Jobs(open_store({url(tmp_path)!r}), {url(tmp_path)!r}).start("nap", {{"seconds": "1"}}, "admin"))
"""
    done = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, env=_plain_environment(), check=True
    )
    jobs = Jobs(store, url(tmp_path))
    row = jobs.job(done.stdout.strip())
    assert row is not None and row["state"] == "running" and is_alive(row["pid"], row["command"]["born"])
    assert wait(jobs, row["job_id"], ended)["state"] == "done"


def test_another_process_with_its_number_is_not_it(jobs: Jobs, store: Store) -> None:
    job_id = jobs.new_id()
    about = {"options": {}, "born": birth(os.getpid()) + "1"}
    rows.add_job(store, {"job_id": job_id, "kind": "nap", "command": about, "pid": os.getpid()}, MOST)
    row = jobs.job(job_id)
    assert row is not None and (row["state"], row["error"]) == ("failed", DIED)
    assert is_alive(os.getpid(), birth(os.getpid())) and is_alive(1, "elsewhere x 1")


def test_not_too_many_at_a_time(jobs: Jobs) -> None:
    first = jobs.start("lone", {"seconds": "60"}, "admin")
    with pytest.raises(OptionError, match="one like it"):
        jobs.start("lone", {}, "admin")
    second = jobs.start("nap", {"seconds": "60"}, "admin")
    with pytest.raises(OptionError, match="2 jobs are running"):
        jobs.start("nap", {}, "admin")
    for job_id in (first, second):
        jobs.cancel(job_id)
    for job_id in (first, second):
        wait(jobs, job_id, ended)


def test_what_a_command_may_be_given() -> None:
    given = {"input": ["a.csv", "b.csv"], "timezone": "Europe/Berlin", "max_ahead": False}
    assert arguments("run", given) == ["--input=a.csv", "--input=b.csv", "--timezone=Europe/Berlin"]
    for kind, wrong, said in (
        ("rm", {}, "no command"),
        ("run", {"output": "sqlite:///other.db"}, "--output"),
        ("run", {"runner": "x"}, "--runner"),
        ("run", {"setup_file": "x"}, "--setup_file"),
        ("run", {"input": "a\nb"}, "one line"),
        ("run", {"input": "a" * 5000}, "4096"),
    ):
        with pytest.raises(OptionError, match=said):
            arguments(kind, wrong)  # type: ignore[arg-type]


def test_drafts_and_old_jobs_are_swept_up(jobs: Jobs, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.jobs.KEPT", 1)
    first = jobs.start("nap", {}, "admin")
    wait(jobs, first, ended)
    draft = jobs.new_id()
    place = jobs.place(draft)
    assert place is not None and jobs.place("../x") is None and jobs.place("20261124T201733-3f9aaa") is None
    os.utime(place, (0, 0))
    time.sleep(1.1)  # the order of jobs is that of their seconds
    second = jobs.start("nap", {}, "admin")
    wait(jobs, second, ended)
    jobs.new_id()
    assert jobs.place(draft) is None and jobs.place(first) is None and jobs.place(second) is not None
    with pytest.raises(OptionError, match="begin again"):
        jobs.start("nap", {}, "admin", job_id=draft)


def test_a_log_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobwatch, "LOG_BYTES", 1000)
    jobwatch.copy(io.BytesIO(b"".join(b"line %06d\n" % i for i in range(1000))), tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in (jobwatch.LOG, jobwatch.LOG_BEFORE)]
    assert max(sizes) <= 1100 and (tmp_path / jobwatch.LOG).read_text().endswith("line 000999\n")


def test_complaints() -> None:
    assert complaint("x\ncallbeam: a\ncallbeam: run failed: b\n") == "run failed: b"
    assert complaint("Traceback\n  boom\n") == "Traceback\n  boom"


def test_a_short_command_answers(jobs: Jobs) -> None:
    answer = jobs.ask("nap", {"status": "2", "say": "callbeam: no"})
    assert (answer.status, answer.output, answer.error) == (2, "", "no")
    with pytest.raises(OptionError, match="too long"):
        jobs.ask("nap", {"seconds": "5"}, 0.2)
