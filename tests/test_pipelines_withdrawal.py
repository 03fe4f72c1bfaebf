"""A withdrawal with everything running: the stream decides, ``callbeam deliver`` sends, somebody opts out on a page."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from bench_stream import folder_feed, parts, start
from bench_web_withdrawal import Arrivals, next_ones, sender, withdraw
from bench_web_world import web
from delivery_world import T0, Clock, number, promotion, queue, run_with
from webhook_receiver import receiver

from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.rate import BUCKET, RATE
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import SENT, Answer, Message, Webhook, save_webhook
from callbeam_io.store import open_store, web_consent
from pipelines.rules import main as rules

EVERYBODY = {
    "name": "Everybody",
    "when": {
        "combinator": "and",
        "rules": [{"field": "interactions", "operator": ">=", "value": 1, "window": "1h"}],
    },
    "offer": {"code": "HELLO", "text": "Hello", "expires_after": "3600d"},
}
FLAGS = ["--allowed_lateness", "1h", "--consent_default", "in", "--quiet_hours", "7-7"]
PEOPLE = 8


def test_a_withdrawal_stops_what_was_not_sent_within_two_seconds(tmp_path: Path) -> None:
    """Ten messages a second; those who opt out would get theirs two to three seconds later."""
    url = f"sqlite:///{tmp_path}/results.db"
    (tmp_path / "rules.json").write_text(json.dumps([EVERYBODY]))
    assert rules(["add", str(tmp_path / "rules.json"), "--store", url]) == 0
    where, send = folder_feed(tmp_path / "in")
    data = list(parts(400_000, 4_000))
    send(data[0])
    with ExitStack() as stack:
        store, server = stack.enter_context(closing(open_store(url))), stack.enter_context(receiver())
        server.got = arrivals = Arrivals()
        save_webhook(store, server.hook)
        store.set_control(RATE, 600)
        stack.enter_context(sender(url))
        pipeline = start(where, tmp_path, *FLAGS)
        stack.callback(pipeline.kill)
        page = stack.enter_context(web(url)).browser()
        pipeline.wait_for(lambda _: len(arrivals) >= 10)
        for part in data[1:]:
            send(part)
        found = withdraw(page, store, arrivals, next_ones(store, 20, PEOPLE))
        assert pipeline.process.poll() is None
        withdrawn = store.count("deliveries", where={"state": "withdrawn"})
    assert max(found.stopped) < 2 and max(found.late, default=0) < 2
    assert withdrawn > 0, "all of them had got theirs before"


def test_whoever_waits_to_withdraw_goes_before_the_sender(tmp_path: Path) -> None:
    """Both wait for a writer that holds the store for a while, as a stream does that catches up."""
    store, sent = open_store(f"sqlite:///{tmp_path}/results.db"), list[str]()
    queue(store, run_with(store, *(promotion(i) for i in range(3))), quiet="").add_all(T0)
    save_webhook(store, Webhook("https://example.org/in", "a secret of sixteen", ("example.org",)))
    store.set_control(RATE, 60_000)
    store.set_control(BUCKET, {"at": T0 - 60, "tokens": 0})

    def post(_: Webhook, message: Message, __: float) -> Answer:
        sent.append(json.loads(message.body)["subscriber"])
        return Answer(SENT, "answered 204")

    with closing(store), closing(Sender(store, Clock(), post)) as sending:
        assert sending.has_lock()
        with ThreadPoolExecutor(2) as pool:
            with store.writing():
                step = pool.submit(sending.step)
                time.sleep(0.1)  # the sender is the first one who waits
                no = pool.submit(web_consent.record_consent, store, number(1), text_of(T0), False, "page")
                time.sleep(0.4)
            assert step.result() == 0 and no.result() is None and not sent
        assert sending.step() == 2 and sorted(sent) == [number(0), number(2)]
