"""Changes of state: noted once, told once by webhook and mail, shown as the band of a day."""

from __future__ import annotations

import html
import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from webui_world import World, add_sample, seed_batch, seed_stream

from callbeam_io.alerts import LAST, Alerts, Teller, load_alerts, save_alerts, with_password
from callbeam_io.store import Store, locks, utc_text
from callbeam_io.store.states import Change, newest_state, note_state, state_changes
from callbeam_io.store.web_queries import RequestError, StoreError
from webui import band
from webui.pulse import Pulse, Status
from webui.statebook import HOLD, StateBook
from webui.watch import Watch
from webui.watch import main as watch_main

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIVE = Status("live", "Live · 2 s behind")
STOP = Status("stopped", "Pipeline stopped 11:59", "", "2026-03-02 11:59:00")
GONE = Status("unreachable", "Store unreachable")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


class Hook(HTTPServer):
    """Remembers what was posted to it; answers what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alarm?key=k"


class _Hook(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Post(socketserver.TCPServer):
    """As much of a mail server as is needed."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.mails: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Post(socketserver.StreamRequestHandler):
    server: Post

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(b"".join(lines).decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.shutdown()
    made.server_close()


def test_the_page_saves_tests_and_hides_the_password(world: World, hook: Hook, post: Post) -> None:
    form = {"url": hook.url, "inner": "on", "host": "127.0.0.1", "port": str(post.server_address[1])}
    form |= {"security": "none", "sender": "callbeam@example.com", "to": "ops@example.com, night@example.com"}
    assert world.post("/alerts", {**form, "do": "test"}).status_code == 302
    page = world.get("/alerts").text
    assert "The test was taken" in page and hook.url in page
    assert hook.got[0]["type"] == "state" and hook.got[0]["detail"].startswith("This is a test")
    assert "Subject: callbeam: This is a test" in post.mails[0] and "night@example.com" in post.mails[0]
    form |= {"security": "starttls", "user": "ops", "password": "hush-hush"}
    assert world.post("/alerts", {**form, "do": "save"}).status_code == 302
    world.post("/alerts", {**form, "password": "", "do": "save"})
    kept = load_alerts(world.store)
    assert kept.password.startswith("sealed:") and with_password(world.store, kept).password == "hush-hush"
    page = world.get("/alerts").text
    assert "hush-hush" not in page and "One is set" in page and "hush-hush" not in world.get("/audit").text
    world.post("/alerts", {**form, "password": "", "host": "elsewhere.example", "do": "save"})
    assert load_alerts(world.store).password == ""  # it goes to no other server
    assert world.get("/alerts", "analyst").status_code == 403


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://plain.example/"}, "url"),
        ({"url": "https://me:secret@x.example/"}, "url"),
        ({"host": "mail.example", "sender": "a@x.example", "to": "nobody"}, "to"),
        ({"host": "mail.example", "to": "a@x.example", "sender": "a\r\nBcc: b@x.example"}, "sender"),
        ({"host": "mail.example", "port": "many"}, "port"),
        ({"host": "mail.example", "security": "none", "user": "me"}, "security"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(world: World, form: dict[str, str], name: str) -> None:
    answer = world.post("/alerts", {"do": "save", **form})
    assert answer.status_code == 400 and f'name="{name}"' in answer.text
    assert "is-invalid" in answer.text.split(f'name="{name}"')[0].rsplit("<", 1)[1]
    assert world.store.control("alerts") is None


def test_the_inner_network_is_called_only_where_it_was_said(world: World, hook: Hook) -> None:
    alerts = Alerts(url=f"https://127.0.0.1:{hook.server_port}/")
    wrong = Teller(world.store, pause=lambda _: None).send(alerts, Change(utc_text(), "stopped"))
    assert len(wrong) == 1 and "inner network" in wrong[0] and not hook.got


def test_a_change_is_told_again_until_it_is_taken(world: World, hook: Hook) -> None:
    hook.answers = [500, 204]
    alerts = Alerts(url=hook.url, inner=True)
    assert (
        Teller(world.store, pause=lambda _: None).send(alerts, Change(utc_text(), "stopped", "Stopped")) == []
    )
    assert [m["state"] for m in hook.got] == ["stopped"] * 2 and world.store.control(LAST)["wrong"] == []


def test_a_state_is_noted_when_it_lasts_and_told_by_one_web_app(world: World) -> None:
    run = {"run_id": "r", "mode": "streaming"}
    one, two = StateBook(world.store), StateBook(world.store)
    now = NOON.timestamp()
    assert one.note(LIVE, run, now) == one.note(LIVE, run, now + HOLD - 1) == []
    told = one.note(LIVE, run, now + HOLD)
    assert [c.state for c in told] == ["live"] and one.note(LIVE, run, now + 60) == []
    two.note(LIVE, run, now + HOLD)
    assert two.note(LIVE, run, now + 2 * HOLD) == []  # it was told
    one.note(STOP, run, now + 61)
    told = one.note(STOP, run, now + 70)
    assert [c.state for c in told] == ["stopped"] and told[0].at == "2026-03-02 12:00:01"
    assert newest_state(world.store) == told[0]


def test_a_store_that_was_away_hears_of_it_afterwards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = {"run_id": "r", "mode": "streaming"}
    book, now = StateBook(world.store), NOON.timestamp()
    for seconds, status in ((0, LIVE), (5, LIVE), (6, GONE)):
        book.note(status, run, now + seconds)
    assert [c.state for c in book.note(GONE, run, now + 10)] == ["unreachable"]
    book.note(LIVE, run, now + 20)
    assert [c.state for c in book.note(LIVE, run, now + 25)] == ["live"]
    states = [(c.at[-5:], c.state) for c in state_changes(world.store, "2026-03-02 00:00:00")]
    assert states == [("00:00", "live"), ("00:06", "unreachable"), ("00:20", "live")]


def test_a_batch_run_has_no_state_but_ends_that_of_a_stream(world: World) -> None:
    book, now = StateBook(world.store), NOON.timestamp()
    batch = {"run_id": "b", "mode": "batch"}
    done = Status("batch", "Run finished 12:00")
    assert book.note(done, batch, now) == book.note(done, batch, now + 10) == []
    stream = {"run_id": "r", "mode": "streaming"}
    book.note(LIVE, stream, now + 11)
    book.note(LIVE, stream, now + 15)
    book.note(done, batch, now + 20)
    (told,) = book.note(done, batch, now + 25)
    assert (told.state, told.detail, told.run_id) == ("stopped", "The live run ended", None)


def test_what_was_so_before_anybody_looked_is_no_news(world: World) -> None:
    book, now = StateBook(world.store), NOON.timestamp()
    run = {"run_id": "r", "mode": "streaming"}
    book.note(STOP, run, now)
    assert book.note(STOP, run, now + 5) == []
    assert newest_state(world.store) == Change("2026-03-02 11:59:00", "stopped", STOP.text, "r")


class Told(Teller):
    """Remembers what it was given to tell, and tells it when it is told to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, pause=lambda _: None)
        self.waiting: list[Change] = []

    def start(self) -> None:
        """Nothing happens by itself."""

    def put(self, change: Change) -> None:
        self.waiting.append(change)

    def tell(self) -> list[str]:
        """Tells all of it; gives the states."""
        states = [change.state for change in self.waiting]
        while self.waiting:
            self.send(load_alerts(self._store), self.waiting.pop(0))
        return states


@dataclass
class Says:
    """As much of a pulse as a watch asks."""

    kind: Status = LIVE

    def status(self) -> Status:
        return self.kind

    def run(self) -> dict[str, Any]:
        return {"run_id": "r", "mode": "streaming"}


class Watching:
    """A watch whose pulse and clock are set."""

    def __init__(self, store: Store) -> None:
        self.says, self.told, self.now = Says(), Told(store), NOON.timestamp()
        self.watch = Watch(store, self.says, self.told, clock=lambda: self.now)  # type: ignore[arg-type]

    def sees(self, *statuses: Status) -> None:
        """Looks at each status for longer than it has to last."""
        for self.says.kind in statuses:
            for _ in range(3):
                self.watch.step()
                self.now += HOLD

    def leave(self) -> None:
        self.watch.stop()
        self.watch.run()


def test_of_several_watches_one_tells(world: World, hook: Hook) -> None:
    save_alerts(world.store, Alerts(url=hook.url, inner=True))
    one, two = Watching(world.store), Watching(world.store)
    for status in (LIVE, STOP):
        one.sees(status)
        two.sees(status)
    assert (one.told.tell(), two.told.tell()) == (["live", "stopped"], [])
    one.leave()
    for watching in (two, Watching(world.store)):
        watching.sees(STOP, LIVE)
    assert two.told.tell() == ["live"]
    assert [m["state"] for m in hook.got] == ["live", "stopped", "live"]


def test_what_a_watch_left_untold_is_told_by_the_next(world: World) -> None:
    one, two = Watching(world.store), Watching(world.store)
    one.sees(LIVE)
    assert one.told.tell() == ["live"]
    one.sees(STOP)
    one.leave()  # before it could tell
    two.sees(STOP)
    assert two.told.tell() == ["stopped"]
    two.leave()
    three = Watching(world.store)
    three.sees(STOP)
    assert three.told.tell() == []


def test_who_watched_tells_that_the_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever watches when it is back tells how it goes on."""

    def fail(*_: Any) -> None:
        raise StoreError("the server is away")

    one, two = Watching(world.store), Watching(world.store)
    one.sees(LIVE)
    two.sees(LIVE)
    one.told.tell()
    lock = one.watch._lock
    assert lock is not None
    with monkeypatch.context() as away:
        away.setattr(lock, "held", fail)
        away.setattr(locks, "try_take", fail)
        away.setattr("webui.statebook.note_state", fail)
        for watching in (one, two):
            watching.sees(GONE)
    assert [c.state for c in one.told.waiting] == ["unreachable"] and not two.told.waiting
    monkeypatch.setattr(lock, "held", lambda: False)  # its connection was lost, and the other one is quicker
    lock.release()
    two.sees(LIVE)
    one.sees(LIVE)
    two.sees(LIVE)
    assert (one.told.tell(), two.told.tell()) == (["unreachable"], ["live"])
    assert [c.state for c in state_changes(world.store, "")] == ["live", "unreachable", "live"]


def test_a_web_app_and_the_command_tell_of_a_killed_pipeline_once(world: World, hook: Hook) -> None:
    run_id = seed_stream(world.store)
    save_alerts(world.store, Alerts(url=hook.url, inner=True))
    command = subprocess.Popen(
        [sys.executable, "-m", "webui.watch", "--store", world.url], stdout=subprocess.PIPE, text=True
    )
    own = Watch(world.store, Pulse(world.store, every=0.2), Teller(world.store), every=0.2)
    own.start()
    try:
        assert command.stdout is not None and command.stdout.readline().startswith("callbeam: watching")
        beating = time.monotonic() + 8
        while time.monotonic() < beating and not hook.got:
            world.store.update_run(run_id, watermark=utc_text())
            time.sleep(0.2)
        own.stop()  # the command takes over
        world.store._release(run_id)
        end = time.monotonic() + 15
        while len(hook.got) < 2 and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        own.stop()
        command.terminate()
        assert command.wait(10) == 0
    assert [m["state"] for m in hook.got] == ["live", "stopped"]
    assert watch_main(["--store", f"{world.url}.none"]) == 2


def changes(*parts: tuple[float, str]) -> list[Change]:
    return [Change(utc_text(NOON - timedelta(hours=h)), state, "", "r") for h, state in parts]


def test_the_day_in_stretches() -> None:
    found = band.stretches(changes((30, "live"), (10, "stopped"), (6, "catching_up"), (5, "live")), [], NOON)
    assert [(s.state, (s.end - s.start) / timedelta(hours=1)) for s in found] == [
        ("live", 14),
        ("stopped", 4),
        ("catching_up", 1),
        ("live", 5),
    ]
    bars = band.bars(found, NOON)
    assert [b["x"] for b in bars] == [0, 840, 1080, 1140] and bars[-1]["x"] + bars[-1]["width"] == 1440
    assert [label for _, label in band.hours(NOON)] == ["18:00", "00:00", "06:00", "12:00"]


def test_before_anything_was_noted_the_runs_say_it() -> None:
    run = {"run_id": "r", "mode": "streaming", "started_at": utc_text(NOON - timedelta(hours=3))}
    run |= {"finished_at": utc_text(NOON - timedelta(hours=1)), "heartbeat": utc_text(NOON)}
    (only,) = band.stretches([], [run], NOON)
    assert (only.state, only.lasted, only.run_id) == ("live", "2 h 0 min", "r")
    assert band.stretches([], [], NOON) == []


def test_the_card_after_an_outage(world: World) -> None:
    run_id = seed_stream(world.store)
    now = datetime.now(UTC)
    for minutes, state in ((90, "live"), (60, "stopped"), (20, "catching_up"), (5, "live")):
        note_state(world.store, Change(utc_text(now - timedelta(minutes=minutes)), state, "", run_id))
    for minutes, read in ((100, 7), (15, 3000), (10, 4000), (1, 9)):
        figures = {"read": read, "promotions": {"r": {"offered": 2, "capped": 1}}}
        add_sample(world.store, run_id, (now - timedelta(minutes=minutes)).timestamp(), **figures)
    expired = {"rule_id": "r", "subscriber": "+12025550001", "decided_at": utc_text(now), "state": "expired"}
    row = {**expired, "at": utc_text(now - timedelta(minutes=12))}
    world.store.writer().write(run_id, {"deliveries": pl.DataFrame([row])})
    outage = band.of_day(world.store)["outage"]
    assert outage is not None and outage.over
    assert (outage.caught_up, outage.late, outage.expired) == (7000, 6, 1)
    page = world.get("/runs").text
    assert "records caught up" in page and "7,000" in page and "The last 24 hours" in page
    assert page.count("<rect") >= 4 and "Catching up" in page


def test_the_command_to_go_on_stands_on_the_page(world: World) -> None:
    seed_batch(world.store)
    options = {
        "inputs": ["dir:///data/in"],
        "input_format": "auto",
        "plan": {"templates": ["regions"], "window": "sliding:86400s/7200s"},
        "output": world.url,
        "lateness": 3600,
        "runner": "DirectRunner",
        "beam_args": ["--streaming"],
        "max_ahead": None,
        "rule_settings": {"pane": 7200, "delay": 0, "cap": {"most": 2, "window": 604800}, "quiet": None},
    }
    run_id = world.store.start_run(mode="streaming", runner="DirectRunner", options=options)
    note_state(world.store, Change(utc_text(datetime.now(UTC) - timedelta(hours=1)), "live", "", run_id))
    world.store.finish_run(run_id, "cancelled")
    wanted = (
        "python -m pipelines.run --streaming --input=dir:///data/in --templates=regions"
        " --window=sliding:86400s/7200s --max_ahead=none --pane=7200s --contact_cap=2/604800s"
        f" --quiet_hours=none --allowed_lateness=3600s --output={world.url}"
    )
    for path in ("/runs", f"/runs/{run_id}"):
        assert wanted in html.unescape(world.get(path).text).replace(" \\\n  --", " --")


def test_what_may_not_be_saved() -> None:
    with pytest.raises(RequestError):
        Alerts(url="https://[::1").check()
    Alerts(url="https://hooks.example/x?y=1").check()
