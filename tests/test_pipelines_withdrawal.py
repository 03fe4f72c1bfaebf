"""A withdrawal with everything running: the stream decides, ``callbeam deliver`` sends, somebody opts out on a page."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from pathlib import Path

from bench_stream import folder_feed, parts, start
from bench_web_withdrawal import Arrivals, next_ones, sender, withdraw
from bench_web_world import web
from webhook_receiver import receiver

from callbeam_io.delivery.rate import RATE
from callbeam_io.delivery.webhook import save_webhook
from callbeam_io.store import open_store
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
