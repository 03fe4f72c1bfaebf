"""Promotions leave once, with consent, at the set rate, in their subscribers' waking hours, or not at all."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from delivery_world import DAY, T0, Clock, delivery, number, promotion, queue, run_with, say, states, suppress
from stores import start_child, store_fixture, url_fixture  # noqa: F401
from webhook_receiver import SECRET, receiver

from callbeam_io.delivery import sender as sending
from callbeam_io.delivery.claims import ATTEMPTS, backoff
from callbeam_io.delivery.export import COLUMNS, export_pages
from callbeam_io.delivery.facts import PAUSED
from callbeam_io.delivery.moments import free_from, local_text, second_of, text_of
from callbeam_io.delivery.queue import Queued
from callbeam_io.delivery.rate import RATE, Bucket
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import AGAIN, SENT, WEBHOOK, Answer, Message, Webhook, save_webhook
from callbeam_io.sealing import KEY_FILE
from callbeam_io.sink import control_row, decided_key
from callbeam_io.store import Store, deliveries, web_consent
from transforms.errors import StoreError

HOOK = Webhook("https://example.org/in", SECRET, ("example.org",))


class Post:
    """Takes messages in place of a network, and answers as it is told."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent = list(answers), list[str]()

    def __call__(self, hook: Webhook, message: Message, now: float) -> Answer:
        self.sent.append(message.key)
        return self.answers.pop(0) if self.answers else Answer(SENT, "answered 204")


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL has no file beside it that the key could be in."""
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))


@pytest.fixture(name="clock")
def clock_fixture() -> Clock:
    return Clock()


@pytest.fixture(name="post")
def post_fixture() -> Post:
    return Post()


@pytest.fixture(name="sender")
def sender_fixture(
    store: Store, clock: Clock, post: Post, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sender]:
    """A sender with a webhook and a high rate, whose bucket is full at its first step."""
    store.set_control(WEBHOOK, asdict(HOOK))
    store.set_control(RATE, 60_000)
    store.set_control("deliveries.bucket", {"at": T0 - 60, "tokens": 0})
    made = Sender(store, clock, post)
    yield made
    made.close()


def sweep(sender: Sender) -> None:
    """Makes the next step look for withdrawals, whenever it did last."""
    sender._swept = float("-inf")


def test_one_promotion_is_queued_once_whatever_run_made_it(store: Store) -> None:
    promotions = [
        promotion(i, outcome=o) for i, o in enumerate(["offered", "control", "capped", "no_consent"])
    ]
    promotions += [promotion(4, decided=T0 - 2 * DAY), promotion(5, decided=T0 - DAY + 1)]
    first = run_with(store, *promotions)
    assert queue(store, first).add_all(T0) == Queued(2, 1)
    assert states(store) == {number(0): "waiting", number(5): "waiting"}
    row = delivery(store, 0)
    assert (
        row["due_at"] == row["decided_at"] and second_of(row["expires_at"]) == second_of(row["due_at"]) + DAY
    )
    assert row["offer"] == {"code": "BANK5", "text": "=5 off", "channel": "sms", "rule": "Bank shopper"}
    assert row["run_id"] == first and row["rule_version"] == 1
    deliveries_before = store.rows("deliveries")
    second = run_with(store, *promotions)
    queue(store, second).add_all(T0 + 5)
    assert store.rows("deliveries") == deliveries_before


def test_a_live_run_queues_what_it_decides_as_it_goes(store: Store) -> None:
    run_id = run_with(store, promotion(1, T0 - 10), promotion(2, T0 - 5), promotion(3, T0), mode="streaming")
    live = queue(store, run_id)
    assert live.add_new(T0) == Queued(0, 0)

    def decided(until: int) -> None:
        store.writer().write("", {"control": control_row(decided_key(run_id), value=until)})

    decided(T0 - 5)
    assert live.add_new(T0) == Queued(2, 0) and live.add_new(T0) == Queued(0, 0)
    decided(T0)
    assert queue(store, run_id).add_new(T0) == Queued(1, 0)
    assert len(states(store)) == 3


def test_very_many_are_queued_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.delivery.queue._PAGE", 7)
    run_id = run_with(store, *(promotion(i, T0 - i % 3) for i in range(50)))
    assert queue(store, run_id).add_all(T0) == Queued(50, 0)
    assert set(states(store)) == {number(i) for i in range(50)}


def test_what_is_due_is_sent_once(store: Store, sender: Sender, post: Post, clock: Clock) -> None:
    run_id = run_with(store, promotion(1), promotion(2), promotion(3, due=T0 + 100))
    queue(store, run_id).add_all(T0)
    assert sender.step() == 2 and sender.step() == 0
    assert states(store) == {number(1): "sent", number(2): "sent", number(3): "waiting"}
    assert len(set(post.sent)) == 2
    clock.now = T0 + 100
    assert sender.step() == 1
    row = delivery(store, 3)
    assert (row["state"], row["at"], row["attempts"], row["next_at"]) == ("sent", text_of(T0 + 100), 1, None)


def test_without_a_webhook_nothing_is_sent_and_all_expires(store: Store, clock: Clock) -> None:
    run_id = run_with(store, promotion(1))
    queue(store, run_id).add_all(T0)
    made = Sender(store, clock, Post())
    assert made.step() == 0 and states(store)[number(1)] == "waiting"
    clock.now = T0 + DAY
    sweep(made)
    assert made.step() == 0 and states(store)[number(1)] == "expired"
    made.close()


def test_a_receiver_that_is_down_is_tried_again_later_and_later(
    store: Store, clock: Clock, sender: Sender, post: Post
) -> None:
    run_id = run_with(store, promotion(1, decided=T0))
    queue(store, run_id, quiet="").add_all(T0)
    post.answers = [Answer(AGAIN, "answered 503", 40.0)]
    sender.step()
    assert (
        delivery(store, 1)["next_at"] == text_of(T0 + 40) and delivery(store, 1)["detail"] == "answered 503"
    )
    waits = []
    post.answers = [Answer(AGAIN, "answered 500")] * ATTEMPTS
    while (row := delivery(store, 1))["state"] == "waiting":
        clock.now = second_of(row["next_at"]) - 1
        assert sender.step() == 0 and delivery(store, 1) == row
        clock.now += 1
        sender.step()
        row = delivery(store, 1)
        waits.append(second_of(row["next_at"]) - clock.now if row["next_at"] else 0)
    assert row["state"] == "failed" and row["attempts"] == ATTEMPTS and row["detail"] == "answered 500"
    assert len(set(post.sent)) == 1 and len(post.sent) == ATTEMPTS
    assert all(b <= a * 4.1 + 1 for a, b in pairwise(waits)) and max(waits) <= 3601
    post.answers.clear()
    assert deliveries.send_again(store, {}, text_of(clock.now)) == 1
    assert sender.step() == 1 and post.sent[-1] == post.sent[0]


def test_waits_double_and_differ() -> None:
    assert all(2.5 * 2**n <= backoff(n + 1) <= 5 * 2**n for n in range(9) for _ in range(20))
    assert backoff(40) <= 3600 and len({backoff(3) for _ in range(20)}) > 1


def test_what_is_refused_has_failed_at_once(store: Store, sender: Sender, post: Post) -> None:
    queue(store, run_with(store, promotion(1))).add_all(T0)
    post.answers = [Answer("failed", "answered 422")]
    sender.step()
    assert delivery(store, 1)["state"] == "failed" and delivery(store, 1)["attempts"] == 1


@pytest.mark.parametrize(
    ("rate", "seconds", "least", "most"), [(60, 10, 10, 11), (600, 3, 28, 30), (1, 119, 1, 2)]
)
def test_the_rate_is_kept_and_no_stop_ends_in_a_burst(
    store: Store, clock: Clock, sender: Sender, post: Post, rate: int, seconds: int, least: int, most: int
) -> None:
    queue(store, run_with(store, *(promotion(i) for i in range(60))), quiet="").add_all(T0)
    store.set_control(RATE, rate)
    store.set_control("deliveries.bucket", {"at": T0 - DAY / 2, "tokens": 0})  # it stood still all night
    step = 0.5 if rate < 600 else 0.05
    for _ in range(int(seconds / step)):
        sender.step()
        clock.now += step
    assert least <= len(post.sent) <= most + max(rate // 60, 1) - 1


def test_a_bucket_is_never_fuller_than_a_second() -> None:
    assert Bucket(0, 0).at_moment(1e9, 600).tokens == 10 and Bucket(0, 0).at_moment(1e9, 6).tokens == 1
    assert Bucket(100, 0.5).at_moment(50, 600) == Bucket(50, 0.5), "a clock that was put back fills nothing"


def stop_consent(store: Store, i: int) -> None:
    say(store, i, False)


def stop_page(store: Store, i: int) -> None:
    web_consent.record_consent(store, number(i), text_of(T0), False, "page")


def stop_suppressed(store: Store, i: int) -> None:
    suppress(store, i)


def stop_gone(store: Store, i: int) -> None:
    from sqlalchemy import delete

    from callbeam_io.store import TABLES

    with store.writing() as connection:
        connection.execute(delete(TABLES["rules"]))


def stop_never_said(store: Store, i: int) -> None:
    from sqlalchemy import delete

    from callbeam_io.store import TABLES

    with store.writing() as connection:
        connection.execute(delete(TABLES["consent"]).where(TABLES["consent"].c.subscriber == number(i)))


@pytest.mark.parametrize("stop", [stop_consent, stop_page, stop_suppressed, stop_gone, stop_never_said])
def test_a_no_at_the_last_moment_stops_it(
    store: Store, sender: Sender, post: Post, stop: Callable[[Store, int], None]
) -> None:
    """Even where nothing has looked for withdrawals since: the gate asks by itself."""
    sender._sweep_took = 1e9
    sender._swept = 1e12
    queue(store, run_with(store, promotion(1))).add_all(T0)
    stop(store, 1)
    assert sender.step() == 0 and not post.sent
    assert states(store) == {number(1): "withdrawn"}
    assert SECRET not in str(store.rows("deliveries"))


def test_what_is_not_due_is_withdrawn_at_once_too(store: Store, sender: Sender) -> None:
    run_id = run_with(store, *(promotion(i, due=T0 + 3600) for i in range(4)))
    queue(store, run_id).add_all(T0)
    say(store, 0, False, T0 - 5)
    say(store, 1, False, T0 - 5)
    say(store, 1, True, T0)
    say(store, 2, False, T0 + 1)
    suppress(store, 3)
    sender.step()
    assert [states(store)[number(i)] for i in range(4)] == ["withdrawn", "waiting", "waiting", "withdrawn"]


def test_in_a_live_run_a_no_counts_from_its_next_decision_on(store: Store, sender: Sender) -> None:
    options = {"rule_settings": {"pane": 7200}}
    run_id = run_with(store, promotion(1, due=T0 + 60), mode="streaming", **options)
    store.update_run(run_id, watermark=text_of(T0 - 100))
    queue(store, run_id).add_all(T0)
    say(store, 1, False, T0)
    sender.step()
    assert states(store)[number(1)] == "withdrawn"


def test_a_no_while_many_are_under_way_stops_those_that_are_not_sent_yet(store: Store, clock: Clock) -> None:
    """What the gate said holds for a second: the others wait on as if they had not been claimed."""
    store.set_control(WEBHOOK, asdict(HOOK))
    store.set_control(RATE, 60_000)
    store.set_control("deliveries.bucket", {"at": T0 - 60, "tokens": 0})
    queue(store, run_with(store, *(promotion(i) for i in range(200))), quiet="").add_all(T0)
    sent = set[str]()

    def slow(hook: Webhook, message: Message, now: float) -> Answer:
        sent.add(message.key)
        time.sleep(0.6)
        return Answer(SENT, "answered 204")

    sender = Sender(store, clock, slow)
    sender._reach = 200
    assert sender.step() == len(sent) and sending._WORKERS <= len(sent) <= 2 * sending._WORKERS
    found = states(store)
    left = [i for i in range(200) if found[number(i)] == "waiting"]
    assert len(left) == 200 - len(sent) and sender._reach == len(sent)
    assert all(delivery(store, i)["attempts"] == 0 and not delivery(store, i)["next_at"] for i in left[:3])
    assert store.control("deliveries.bucket")["tokens"] == 1000 - len(sent)
    for i in left:
        say(store, i, False)
    assert sender.step() == 0 and set(states(store).values()) == {"sent", "withdrawn"}
    sender.close()


def test_what_was_sent_while_the_store_went_away_is_noted_later(
    store: Store, sender: Sender, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(store, run_with(store, *(promotion(i) for i in range(5)))).add_all(T0)

    def away(*_: Any) -> int:
        raise StoreError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(sending, "note", away)
        with pytest.raises(StoreError):
            sender.step()
    assert set(states(store).values()) == {"waiting"} and len(post.sent) == 5
    assert sender.step() == 5 and set(states(store).values()) == {"sent"}
    assert sender.step() == 0 and len(post.sent) == 5


def test_pause_holds_everything_and_lets_it_go_again(store: Store, sender: Sender, post: Post) -> None:
    queue(store, run_with(store, promotion(1))).add_all(T0)
    store.set_control(PAUSED, {"by": "admin", "at": text_of(T0)})
    assert sender.step() == 0 and list(export_pages(store, Clock()))[1:] == [] and not post.sent
    assert states(store)[number(1)] == "waiting"
    store.set_control(PAUSED, None)
    assert sender.step() == 1


def test_nobody_is_reached_in_quiet_hours(store: Store, clock: Clock, sender: Sender, post: Post) -> None:
    """Due in the evening, but the sender only came up in the night."""
    evening = T0 + 9 * 3600
    clock.now = T0 + 13 * 3600
    store.set_control("deliveries.bucket", None)
    run_id = run_with(store, promotion(1, evening), promotion(2, evening))
    queue(store, run_id, zone="Europe/Berlin", good=5 * 3600).add_all(clock.now)
    second = run_with(store, promotion(3, evening), promotion(1, evening))
    queue(store, second, zone="Europe/Berlin").add_all(clock.now)
    for _ in range(5):
        sender.step()
        clock.now += 1
    morning = T0 + 22 * 3600  # 9 o'clock in Berlin
    assert not post.sent and delivery(store, 3)["due_at"] == text_of(morning)
    clock.now = evening + 5 * 3600
    sender.step()
    assert states(store) == {number(1): "expired", number(2): "expired", number(3): "waiting"}
    clock.now = morning
    sender.step()
    assert states(store)[number(3)] == "sent"


def test_only_one_process_sends(store: Store, store_url: str, sender: Sender, post: Post) -> None:
    queue(store, run_with(store, promotion(1))).add_all(T0)
    child = start_child(
        "from callbeam_io.store import open_store\n"
        "from callbeam_io.delivery.sender import Sender\n"
        f"print(Sender(open_store({store_url!r})).has_lock(), flush=True)\n"
        "input()\n"
    )
    assert child.stdout is not None and child.stdout.readline() == "True\n"
    assert not sender.has_lock() and sender.step() == 0
    child.kill()
    child.wait()
    for _ in range(50):
        if sender.has_lock():
            break
        time.sleep(0.05)  # PostgreSQL notices a lost connection in its own time
    assert sender.step() == 1


def test_a_sender_that_is_killed_sends_again_with_the_same_key(store: Store, store_url: str) -> None:
    """Killed between the receiver's taking the message and the writing down of that."""
    queue(store, run_with(store, promotion(1))).add_all(T0)
    store.set_control(RATE, 60_000)
    store.set_control("deliveries.bucket", {"at": T0 - 60, "tokens": 0})
    with receiver() as server:
        save_webhook(store, server.hook)
        child = start_child(
            "import time\n"
            "from callbeam_io.store import open_store\n"
            "from callbeam_io.delivery.sender import Sender\n"
            "from callbeam_io.delivery.webhook import post\n"
            "def slow(*args):\n"
            "    answer = post(*args)\n"
            "    print(answer.state, flush=True)\n"
            "    time.sleep(60)\n"
            f"Sender(open_store({store_url!r}), lambda: {T0}, slow).step()\n"
        )
        assert child.stdout is not None and child.stdout.readline() == "sent\n"
        child.kill()
        child.wait()
        assert delivery(store, 1)["state"] == "waiting" and delivery(store, 1)["attempts"] == 1
        clock = Clock(T0 + 5)
        again = Sender(store, clock)
        for _ in range(50):
            if again.has_lock():
                break
            time.sleep(0.05)
        assert again.step() == 0, "it may still be under way"
        clock.now = T0 + 61
        assert again.step() == 1
        again.close()
        assert len(server.keys) == 2 and len(set(server.keys)) == 1
        assert server.got[0][1] == server.got[1][1]
    assert states(store)[number(1)] == "sent"


def test_it_goes_on_by_itself(store: Store) -> None:
    """On its own thread, by a real clock, to a real server that is down at first."""
    now = int(time.time())
    store.set_control(RATE, 60_000)
    run_id = run_with(store, *(promotion(i, now - 60) for i in range(30)))
    queue(store, run_id, quiet="").add_all(now)
    with receiver(500, 500) as server:
        save_webhook(store, server.hook)
        made = Sender(store)
        made.start()
        for _ in range(100):
            if list(states(store).values()).count("sent") >= 28:
                break
            time.sleep(0.05)
        made.close()
        assert len(server.keys) == 30 and len(set(server.keys)) == 30
    assert sorted(states(store).values()).count("sent") == 28


def rows_of(pages: Iterator[bytes]) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(b"".join(pages).decode(), newline="")))


def test_a_dialler_gets_what_it_needs(store: Store, clock: Clock) -> None:
    run_id = run_with(store, promotion(1), promotion(2, due=T0 + 1800), promotion(3, due=T0 + 8 * 3600))
    queue(store, run_id, zone="Europe/Berlin").add_all(T0)
    rows = rows_of(export_pages(store, clock, ahead=3600, by="analyst"))
    assert tuple(rows[0]) == COLUMNS and [r["subscriber"] for r in rows] == [number(1), number(2)]
    assert (
        rows[0]["offer_text"] == "'=5 off"
        and rows[0]["channel"] == "sms"
        and rows[0]["zone"] == "Europe/Berlin"
    )
    assert rows[1]["contact_from"] == "2026-03-02 11:30:00+01:00"
    assert rows[1]["contact_from_utc"] == "2026-03-02 10:30:00" and rows[1]["reason"] == "Offer BANK5."
    assert states(store) == {number(1): "exported", number(2): "exported", number(3): "waiting"}
    assert delivery(store, 1)["detail"] == "by analyst"
    assert rows_of(export_pages(store, clock, ahead=3600)) == []


def test_an_export_asks_and_keeps_to_quiet_hours(store: Store, clock: Clock) -> None:
    evening = T0 + 9 * 3600
    clock.now = T0 + 12 * 3600
    run_id = run_with(store, *(promotion(i, evening) for i in range(4)))
    queue(store, run_id).add_all(clock.now)
    say(store, 1, False)
    suppress(store, 2)
    assert rows_of(export_pages(store, clock)) == [], "it is night"
    assert states(store)[number(0)] == "waiting" and states(store)[number(1)] == "withdrawn"
    rows = rows_of(export_pages(store, clock, ahead=DAY))
    assert [(r["subscriber"], r["contact_from_utc"]) for r in rows] == [
        (number(i), "2026-03-03 09:00:00") for i in (0, 3)
    ]


def test_what_quiet_hours_outlast_is_not_exported(store: Store, clock: Clock) -> None:
    evening = T0 + 9 * 3600
    clock.now = T0 + 12 * 3600
    queue(store, run_with(store, promotion(1, evening)), good=8 * 3600).add_all(clock.now)
    assert rows_of(export_pages(store, clock, ahead=DAY)) == []
    assert states(store) == {number(1): "waiting"}


def test_a_long_export_comes_in_pages(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.delivery.export.PAGE", 7)
    queue(store, run_with(store, *(promotion(i) for i in range(30)))).add_all(T0)
    pages = export_pages(store, clock)
    next(pages), next(pages)
    say(store, 29, False)
    rest = rows_of(pages)
    assert (
        len(rest) == 30 - 7 - 1 - 1 and states(store)[number(29)] == "withdrawn"
    )  # its first row is no header


def test_withdrawn_by_hand(store: Store) -> None:
    queue(store, run_with(store, promotion(1), promotion(2))).add_all(T0)
    assert deliveries.withdraw(store, {"rule_id": "other"}, text_of(T0), "by admin") == 0
    assert deliveries.withdraw(store, {"rule_id": "bank-shopper"}, text_of(T0), "by admin") == 2
    assert deliveries.counts(store) == {"withdrawn": 2} and delivery(store, 1)["detail"] == "by admin"


def test_what_goes_out_when(store: Store) -> None:
    run_id = run_with(store, *(promotion(i, due=T0 + i * 1800) for i in range(5)))
    queue(store, run_id, good=7 * DAY).add_all(T0)
    found = deliveries.per_hour(store, text_of(T0 + DAY))
    assert found == {"2026-03-02 10": 2, "2026-03-02 11": 2, "2026-03-02 12": 1}
    first = deliveries.page(store, {}, 3)
    rest = deliveries.page(store, {}, 3, first[-1])
    assert [r["subscriber"] for r in first + rest] == [number(i) for i in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("at", "zones", "quiet", "expected"),
    [
        (T0, "UTC", "21-9", T0),
        (T0 + 11 * 3600, "UTC", "21-9", T0 + 23 * 3600),
        (T0 + 11 * 3600, "UTC", "", T0 + 11 * 3600),
        (T0, "America/New_York", "21-9", T0 + 4 * 3600),
        (T0, "Asia/Kolkata", "21-9", T0),
        (T0, "America/New_York|America/Los_Angeles,America/New_York", "21-9", T0 + 7 * 3600),
        (T0, "America/New_York|Asia/Tokyo,America/New_York", "18-12", T0 + 7 * 3600),
        (T0, "UTC", "9-21", T0 + 11 * 3600),
        (T0, "UTC", "9-9", T0),
    ],
)
def test_outside_quiet_hours(at: int, zones: str, quiet: str, expected: int) -> None:
    assert free_from(at, zones, quiet) == expected


def test_local_time() -> None:
    assert local_text(T0, "America/New_York|America/Chicago,America/New_York") == "2026-03-02 05:00:00-05:00"
    assert local_text(T0, "") == "2026-03-02 10:00:00+00:00"


def test_a_store_that_is_away_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from transforms.errors import StoreError

    made, calls = Sender(store), list[int]()

    def step() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise StoreError("away")
        made._stop.set()
        return 0

    monkeypatch.setattr(sending, "_EVERY", 0.01)
    monkeypatch.setattr(made, "step", step)
    made.run()
    assert len(calls) == 3
    made.close()
