"""Pub/Sub: pulled into a spool, acknowledged then, every message once whatever dies in between."""

import dataclasses
import json
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from feeds import all_rows, column, count, file_rows, lines, read_rows, read_until, sources
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.sources import spool
from callbeam_io.sources.feeds import Chunk
from callbeam_io.sources.registry import open_feed
from callbeam_io.sources.spool import Spool
from transforms.errors import InputError, RunError, StoreError

if TYPE_CHECKING:
    from servers.pubsub import PubSubEmulator

    from callbeam_io.sources.pubsub import PubSubFeed

NEEDS = "needs `pip install -e '.[gcp]'`"
pubsub = pytest.importorskip("callbeam_io.sources.pubsub", reason=NEEDS, exc_type=ImportError)
pubsub_pull = pytest.importorskip("callbeam_io.sources.pubsub_pull", reason=NEEDS, exc_type=ImportError)


@pytest.fixture
def emulator(pubsub_emulator: "PubSubEmulator", monkeypatch: pytest.MonkeyPatch) -> "PubSubEmulator":
    monkeypatch.setenv(pubsub_pull.EMULATOR, pubsub_emulator.host)
    return pubsub_emulator


@pytest.fixture
def topic(emulator: "PubSubEmulator") -> Iterator[str]:
    yield emulator.new_topic()
    emulator.forget_messages()  # the emulator looks through all of them at every pull


def feed_of(subscription: str, folder: Path) -> "PubSubFeed":
    feed: PubSubFeed = pubsub.open_pubsub(f"pubsub://{subscription}", "auto", "UTC", folder)
    return dataclasses.replace(feed, spool=folder)


def ids(first: int, end: int) -> list[str]:
    return [f"r{i}" for i in range(first, end)]


def test_messages_of_one_and_of_many_records_give_what_a_file_gives(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path
) -> None:
    subscription = emulator.new_subscription(topic)
    payloads = [*lines(300), *(b"\n".join(lines(100, 1000 + 100 * i)) for i in range(30)), b"torn,line", b""]
    names = emulator.publish(topic, payloads)
    feed = feed_of(subscription, tmp_path / "spool")
    feed.check()
    reader = feed.open("messages", None)
    chunks = read_rows(reader, 3301)
    expected = file_rows(tmp_path / "all.csv", b"\n".join(payloads))
    assert sorted(map(repr, all_rows(chunks))) == sorted(map(repr, expected))
    assert set(sources(chunks)) == {subscription}
    assert {line.partition("#")[0] for line in column(chunks, "line")} == set(names[:-1])
    read_until(reader, lambda _: reader.lag() == 0)
    assert emulator.pull(subscription) == []
    reader.close()


def test_what_is_spooled_but_not_acknowledged_comes_again_and_counts_once(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = emulator.new_subscription(topic)
    emulator.publish(topic, lines(500))
    leased: list[str] = []

    def dies(_: object, ack_ids: list[str]) -> None:
        leased.extend(ack_ids)
        raise OSError("killed before it acknowledged")

    with monkeypatch.context() as patch:
        patch.setattr(pubsub_pull.Puller, "_acknowledge", dies)
        reader = feed_of(subscription, tmp_path).open("messages", None)
        first = read_rows(reader, 50)
        reader.close()
    with pubsub_pull.subscriber() as client:  # does now what comes when the deadline is over
        client.modify_ack_deadline(subscription=subscription, ack_ids=leased, ack_deadline_seconds=0)
    reader = feed_of(subscription, tmp_path).open("messages", json.loads(json.dumps(first[-1].position)))
    rest = read_rows(reader, 500 - count(first))
    read_until(reader, lambda _: reader.lag() == 0)
    assert sorted(column(first + rest, "id")) == sorted(ids(0, 500))
    reader.close()


def test_an_outage_is_waited_for(emulator: "PubSubEmulator", topic: str, tmp_path: Path) -> None:
    subscription = emulator.new_subscription(topic)
    emulator.publish(topic, lines(5))
    reader = feed_of(subscription, tmp_path).open("messages", None)
    chunks = read_rows(reader, 5)
    with emulator.outage():
        read_until(reader, lambda _: reader.trouble() is not None)
        assert "trying again" in (reader.trouble() or "")
        assert reader.lag() is None
    emulator.publish(topic, lines(5, 5))
    chunks += read_rows(reader, 5)
    assert sorted(column(chunks, "id")) == sorted(ids(0, 10))
    read_until(reader, lambda _: reader.trouble() is None)
    reader.close()


def test_big_answers_are_no_trouble(emulator: "PubSubEmulator", topic: str, tmp_path: Path) -> None:
    subscription = emulator.new_subscription(topic)
    emulator.publish(topic, [b"\n".join(lines(10_000, 10_000 * i)) for i in range(12)])
    reader = feed_of(subscription, tmp_path).open("messages", None)
    assert sorted(column(read_rows(reader, 120_000), "id")) == sorted(ids(0, 120_000))
    assert reader.trouble() is None
    reader.close()


def test_the_spool_is_emptied_behind_the_position_and_no_further(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path
) -> None:
    subscription = emulator.new_subscription(topic)
    reader = feed_of(subscription, tmp_path).open("messages", None)
    chunks: list[Chunk] = []
    for i in range(3):
        emulator.publish(topic, lines(10, 10 * i))
        chunks += read_rows(reader, 10)
    files = sorted(path.name for path in tmp_path.glob("*.messages"))
    position = chunks[-1].position
    inside = [position[0] - 1, 0]
    reader.commit(inside)
    assert sorted(path.name for path in tmp_path.glob("*.messages")) == files[-1:]
    reader.close()
    again = feed_of(subscription, tmp_path).open("messages", inside)
    assert column(read_rows(again, 1), "id") == column(chunks[-1:], "id")
    again.commit(position)
    assert list(tmp_path.glob("*.messages")) == []
    emulator.publish(topic, lines(1, 99))
    assert column(read_rows(again, 1), "id") == ["r99"]
    again.close()


def test_a_spool_that_is_full_holds_the_pulling_back(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub_pull, "MOST_WAITING", 50_000)
    subscription = emulator.new_subscription(topic)
    emulator.publish(topic, [b"\n".join(lines(100, 100 * i)) for i in range(100)])
    reader = feed_of(subscription, tmp_path).open("messages", None)
    chunks = [read_rows(reader, 1)[0]]
    held = _still(tmp_path)
    assert held < 800_000
    chunks += read_rows(reader, 10_000 - count(chunks))
    assert sorted(column(chunks, "id")) == sorted(ids(0, 10_000))
    reader.close()


def test_a_missing_subscription_is_refused(emulator: "PubSubEmulator", tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        feed_of("projects/p/subscriptions/none", tmp_path).check()


def test_the_feed_says_what_it_is(tmp_path: Path) -> None:
    feed = open_feed("pubsub://projects/p/subscriptions/s", "auto", "UTC", spool=str(tmp_path))
    assert (feed.name, feed.lateness, feed.accelerated, list(feed.splits())) == (
        "pubsub://projects/p/subscriptions/s",
        86400,
        False,
        ["messages"],
    )
    assert pickle.loads(pickle.dumps(feed)) == feed
    assert list(tmp_path.iterdir()) == []
    for wrong in ("pubsub://projects/p/topics/t", "pubsub://s"):
        with pytest.raises(InputError, match="subscriptions"):
            open_feed(wrong, "auto", "UTC")


@given(
    deliveries=st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=8),
    crashes=st.sets(st.integers(0, 8)),
    commits=st.sets(st.integers(0, 8)),
)
@settings(max_examples=40, deadline=None)
def test_a_spool_holds_each_message_once_across_crashes(
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[list[int]],
    crashes: set[int],
    commits: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    held, expected, found, position = Spool(folder), [], [], 0
    for step, delivery in enumerate(deliveries):
        messages = [(f"m{i}", b"%d" % i) for i in delivery]
        new = list(dict.fromkeys(m for m in messages if m not in expected))
        assert held.append(messages) == len(new)
        expected += new
        if step in commits:
            while (segment := held.first_after(position)) is not None:
                found += list(zip(*held.read(segment), strict=True))
                position = segment.number + 1
            held.commit(position)
        if step in crashes:
            held.close()
            (folder / "000000000099.messages.part").write_bytes(b"torn")
            held = Spool(folder, position)
    while (segment := held.first_after(position)) is not None:
        found += list(zip(*held.read(segment), strict=True))
        position = segment.number + 1
    held.close()
    assert found == expected


def test_a_spool_remembers_so_many_ids_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "REMEMBERED", 3)
    held = Spool(tmp_path)
    for i in range(5):
        held.append([(f"m{i}", b"")])
    held.commit(5)
    held.close()
    held = Spool(tmp_path)
    assert held.append([(f"m{i}", b"") for i in range(5)]) == 2
    held.close()


def test_a_spool_is_one_pipelines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_LOCK_TIMEOUT", 0.1)
    held = Spool(tmp_path)
    with pytest.raises(StoreError, match="in use by another pipeline"):
        Spool(tmp_path)
    held.close()
    Spool(tmp_path).close()


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Spool(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _no_space)
        with pytest.raises(OSError, match="No space left"):
            held.append([("m1", b"x")])
    assert held.first_after(0) is None
    assert held.append([("m1", b"x")]) == 1
    held.close()


def test_a_position_inside_a_segment_that_is_gone_is_refused(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path
) -> None:
    feed = feed_of(emulator.new_subscription(topic), tmp_path)
    with pytest.raises(StoreError, match="no segment 5"):
        feed.open("messages", [5, 3])
    feed.open("messages", [5, 0]).close()


def test_a_defect_in_pulling_ends_the_reading(
    emulator: "PubSubEmulator", topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(pubsub_pull.Puller, "_step", broken)
    reader = feed_of(emulator.new_subscription(topic), tmp_path).open("messages", None)
    with pytest.raises(RunError, match="pulling failed"):
        read_rows(reader, 1)
    reader.close()


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def _still(folder: Path) -> int:
    """Bytes in the folder once they have not changed for 0.3 s."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < 0.3:
        now = sum(path.stat().st_size for path in folder.glob("*.messages"))
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.02)
    return size
