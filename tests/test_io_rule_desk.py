"""The rule desk's client with its real process: asked from many threads, killed, timed out, closed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import messy
import pytest
from test_pipelines_rules_cli import ABROAD
from test_pipelines_run import run

from callbeam_io.rule_desk import CountCancelled, DeskError, RuleDesk
from callbeam_io.store import open_store
from transforms.errors import RequestError


@pytest.fixture(name="url", scope="module")
def url_fixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("desk")
    return run(folder, messy.csv_text(400, seed=3), "--pane", "2h", "--keep_records", "9999d")


@pytest.fixture(name="desk", scope="module")
def desk_fixture(url: str) -> Iterator[RuleDesk]:
    desk = RuleDesk(url)
    yield desk
    desk.close()


def process_of(desk: RuleDesk) -> int:
    assert desk._process is not None
    return desk._process._popen.pid


def ended(pid: int, seconds: float = 10) -> bool:
    """Whether a process comes to its end within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_all_questions_are_answered(desk: RuleDesk, url: str) -> None:
    assert desk.language()["limits"] == {"depth": 6, "conditions": 50}
    assert len(desk.recipes()) == 14
    assert desk.check(ABROAD)["ok"]
    counted = desk.count(ABROAD)
    assert counted["exact"] and counted["qualify_now"] >= 0 and counted["history"]["records"] > 300
    person = counted["examples"][0]["subscriber"]
    assert desk.try_on(ABROAD, person)["known"]
    assert desk.try_on(ABROAD, person, counted["examples"][0]["decided_at"])["holds"]
    for ask in (
        lambda: desk.why("abroad", person, "2026-01-01 00:00:00"),
        lambda: desk.why_not("abroad", person),
    ):
        with pytest.raises(RequestError, match="abroad"):
            ask()


def test_many_threads_ask_at_once(desk: RuleDesk) -> None:
    names = [f"Rule {k}" for k in range(40)]
    found: dict[str, Any] = {}

    def ask(name: str) -> None:
        found[name] = desk.check({**ABROAD, "name": name})["rule_id"]

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: name.lower().replace(" ", "-") for name in names}


def test_a_process_that_dies_is_started_again(desk: RuleDesk) -> None:
    desk.language()
    first = process_of(desk)
    os.kill(first, signal.SIGKILL)
    assert desk.check(ABROAD)["ok"]
    assert process_of(desk) != first and ended(first)


def test_who_waits_when_it_dies_is_answered_by_the_next_one(desk: RuleDesk) -> None:
    desk.language()
    first = process_of(desk)
    os.kill(first, signal.SIGSTOP)
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(desk.check(ABROAD)["ok"]))
    waiting.start()
    time.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    waiting.join(20)
    assert found == [True]


def test_an_answer_that_does_not_come_in_time_is_an_error(url: str) -> None:
    desk = RuleDesk(url, quick=30, slow=0)
    desk.language()
    with pytest.raises(DeskError, match="in time"):
        desk.count(ABROAD)
    assert desk.check(ABROAD)["ok"]
    desk.close()


def test_a_newer_count_cancels_the_running_one(desk: RuleDesk, url: str) -> None:
    desk.language()
    pid = process_of(desk)
    os.kill(pid, signal.SIGSTOP)  # both questions are there when it goes on
    outcomes: list[str] = []

    def count(name: str) -> None:
        try:
            desk.count({**ABROAD, "name": name}, token="page")
            outcomes.append(f"{name} counted")
        except CountCancelled:
            outcomes.append(f"{name} cancelled")

    threads = []
    for name in ("one", "two"):
        threads.append(threading.Thread(target=count, args=(name,)))
        threads[-1].start()
        time.sleep(0.1)
    os.kill(pid, signal.SIGCONT)
    for thread in threads:
        thread.join(20)
    assert "two counted" in outcomes and len(outcomes) == 2


def test_it_ends_when_it_is_closed_and_when_nobody_has_it_any_more(url: str) -> None:
    desk = RuleDesk(url)
    desk.language()
    first = process_of(desk)
    desk.close()
    assert ended(first)
    desk.language()
    second = process_of(desk)
    del desk
    assert ended(second)


def test_it_ends_with_the_process_that_asked_even_by_force(url: str) -> None:
    code = (
        "import sys, time\nfrom callbeam_io.rule_desk import RuleDesk\n"
        "desk = RuleDesk(sys.argv[1])\ndesk.language()\n"
        "print(desk._process._popen.pid, flush=True)\ntime.sleep(60)\n"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    parent = subprocess.Popen(
        [sys.executable, "-c", code, url], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert ended(pid)


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    desk = RuleDesk(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(DeskError):
        desk.language()


def test_a_store_without_runs_has_a_desk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    open_store(url).close()
    desk = RuleDesk(url)
    assert desk.check(ABROAD)["ok"]
    assert desk.count(ABROAD)["history"] is None
    assert not desk.try_on(ABROAD, "+12025550123")["known"]
    desk.close()


def test_the_wire_is_answers_only(url: str) -> None:
    command = [sys.executable, "-m", "pipelines.rule_service", "--store", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for number, op in enumerate(("check", "nonsense", "count")):
            process.stdin.write(json.dumps({"id": number, "op": op, "definition": ABROAD}).encode() + b"\n")
        process.stdin.flush()
        answers = {a["id"]: a for a in (json.loads(process.stdout.readline()) for _ in range(3))}
        process.stdin.close()
        assert process.stdout.read() == b"" and process.wait() == 0
    assert answers[0]["part"] == "exact" and answers[0]["result"]["ok"]
    assert answers[1]["error"]["kind"] == "request" and "nonsense" in answers[1]["error"]["message"]
    assert answers[2]["error"] == {"kind": "run", "message": "count failed: KeyError"}  # it lacks its days
