"""The generator as a feed, and its live outputs: event time by the clock, nothing twice, nothing left out."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from feeds import all_rows, column, count, file_rows, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.sources.registry import open_feed
from callbeam_io.store import open_store
from callbeam_io.workload import Workload, render, settings_from
from callbeam_io.workload.control import CONTROL, SettingsFile, StoreSettings
from callbeam_io.workload.live import LiveStream, live_settings
from callbeam_io.workload.targets import messages_of, open_target
from transforms.errors import InputError, OptionError, RequestError

if TYPE_CHECKING:
    from servers.kafka import KafkaBroker
    from servers.pubsub import PubSubEmulator

START = datetime(2025, 5, 5, tzinfo=UTC)
TEXTS = {"people": "100", "speed": "3600", "seed": "7"}
NOW = 1_780_000_000.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def taken(stream: LiveStream) -> list[str]:
    """Ids of all that is due."""
    found: list[str] = []
    while (frame := stream.take()) is not None:
        found += frame["id"].to_list()
    return found


def expected(texts: dict[str, str], end: int, start: int = int(START.timestamp())) -> list[str]:
    """Ids that a workload has in some seconds of event time."""
    workload = Workload(settings_from({k: v for k, v in texts.items() if k not in ("speed", "rate")}))
    return workload.slice_of(*(datetime.fromtimestamp(t, UTC) for t in (start, end)))["id"].to_list()


@given(st.lists(st.floats(0.0, 30.0), max_size=12), st.sets(st.integers(0, 12)))
@settings(max_examples=15, deadline=None)
def test_slices_and_restarts_change_nothing(pauses: list[float], restarts: set[int]) -> None:
    clock = Clock()
    stream = LiveStream(TEXTS, clock=clock)
    found: list[str] = []
    for step, pause in enumerate(pauses):
        clock.now += pause
        found += taken(stream)
        if step in restarts:
            stream = LiveStream(TEXTS, json.loads(json.dumps(stream.position)), clock=clock)
    assert found == expected(TEXTS, stream.position["at"])


def test_the_live_clock_is_the_clock_and_catches_up_after_a_stop() -> None:
    clock, texts = Clock(), {"people": "50", "rate": "20"}
    stream = LiveStream(texts, clock=clock)
    assert stream.position["at"] == NOW
    clock.now += 60
    first = stream.take()
    assert first is not None
    assert first["start_time"].min() >= datetime.fromtimestamp(NOW, UTC)
    assert first["start_time"].max() < datetime.fromtimestamp(NOW + 60, UTC)
    clock.now += 600
    stream = LiveStream(texts, stream.position, clock=clock)
    assert stream.behind() > 0
    taken(stream)
    assert stream.position["at"] == NOW + 660


def test_rate_is_records_per_second_whatever_the_speed() -> None:
    for speed in ("1", "1440", "100000"):
        workload = live_settings({"rate": "5000", "speed": speed}).workload
        assert workload.records == pytest.approx(5000 * workload.hours * 3600 / float(speed), rel=1e-6)
    assert live_settings({"rate": "100000"}).workload.hours < 168


def test_new_settings_hold_from_the_next_slice_and_event_time_goes_on() -> None:
    clock, wanted = Clock(), dict[str, Any]()
    stream = LiveStream(TEXTS, control=lambda: wanted, clock=clock)
    clock.now += 10
    found = taken(stream)
    change = stream.position["at"]
    wanted["favoured_type"] = "Banking"
    clock.now += 10
    found += taken(stream)
    end = stream.position["at"]
    assert end == int(START.timestamp()) + 20 * 3600
    after = {**TEXTS, "favoured_type": "Banking"}
    assert found == expected(TEXTS, change) + expected(after, end, change)
    again = LiveStream(TEXTS, json.loads(json.dumps(stream.position)), clock=clock)
    clock.now += 5
    assert taken(again) == expected(after, end + 5 * 3600, end)


def test_speed_changes_keep_event_time_whole() -> None:
    clock, wanted = Clock(), {"speed": 60}
    stream = LiveStream({"people": "300"}, control=lambda: wanted, clock=clock)
    for speed, seconds in ((60, 100), (7200, 40), (1, 30)):
        wanted["speed"] = speed
        clock.now += 1
        stream.refresh()
        clock.now += seconds
        taken(stream)
    passed = stream.position["at"] - START.timestamp()
    assert passed == pytest.approx(101 * 60 + 60 + 40 * 7200 + 7200 + 30, abs=1)


def test_a_pause_stops_the_records_and_leaves_no_gap_in_accelerated_time() -> None:
    clock, wanted = Clock(), {"paused": False}
    stream = LiveStream(TEXTS, control=lambda: wanted, clock=clock)
    clock.now += 5
    found = taken(stream)
    wanted["paused"] = True
    clock.now += 500
    assert stream.take() is None
    assert stream.behind() == 0
    clock.now += 500
    assert stream.take() is None
    wanted["paused"] = False
    clock.now += 2
    stream.refresh()
    clock.now += 3
    found += taken(stream)
    assert found == expected(TEXTS, int(START.timestamp()) + 8 * 3600)


def test_settings_that_cannot_be_are_told_and_leave_things_as_they_are() -> None:
    clock, wanted = Clock(), {"people": "none"}
    stream = LiveStream(TEXTS, control=lambda: wanted, clock=clock)
    assert "--people none" in (stream.trouble or "")
    clock.now += 5
    assert taken(stream) == expected(TEXTS, stream.position["at"])
    wanted["people"] = "100"
    clock.now += 5
    stream.refresh()
    assert stream.trouble is None


@pytest.mark.parametrize(
    "texts",
    [
        {"speed": "0"},
        {"speed": "fast"},
        {"rate": "-1"},
        {"paused": "maybe"},
        {"peeple": "3"},
        {"people": "1"},
    ],
)
def test_wrong_settings_are_refused(texts: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="--" + next(iter(texts))):
        live_settings(texts)


def test_the_feed_gives_what_a_file_of_the_same_records_gives(tmp_path: Path) -> None:
    texts = {
        "people": "300",
        "seed": "3",
        "reject_rate": "0.1",
        "duplicate_rate": "0.1",
        "zone": "Europe/Paris",
    }
    query = "&".join(f"{k}={v}" for k, v in texts.items())
    feed = open_feed(f"generator:?{query}&speed=200000", "auto", "UTC")
    reader = feed.open("records", None)
    chunks = read_rows(reader, 1000)
    reader = feed.open("records", json.loads(json.dumps(chunks[-1].position)))
    chunks += read_rows(reader, 1000)
    workload = Workload(settings_from(texts))
    end = datetime.fromtimestamp(chunks[-1].position["at"], UTC)
    lines = render(workload.slice_of(workload.start, end), "callbeam", header=True)
    assert all_rows(chunks) == file_rows(tmp_path / "same.csv", lines)
    names = column(chunks, "line")
    assert len(set(names)) == len(names)


def test_a_poll_without_records_keeps_to_its_time() -> None:
    reader = open_feed("generator:?people=2&calls_per_person=1-1&days=300", "auto", "UTC").open(
        "records", None
    )
    assert reader.poll(0.05) is None
    assert reader.lag() == 0


def test_the_feed_says_what_it_is(tmp_path: Path) -> None:
    plain = open_feed("generator:", "auto", "Europe/Paris")
    assert (plain.name, plain.lateness, plain.accelerated) == ("generator:", 3600, False)
    assert plain.splits() == ("records",)
    assert open_feed("generator:?speed=60", "auto", "UTC").accelerated
    assert open_feed("generator:?start=2025-05-05", "auto", "UTC").accelerated
    settable = open_feed(f"generator:?settings={tmp_path}/s.json", "auto", "UTC")
    assert settable.accelerated
    assert pickle.loads(pickle.dumps(settable)) == settable
    (tmp_path / "s.json").write_text('{"people": 1}')
    for wrong in ("generator:?people=1", "generator://x", f"generator:?settings={tmp_path}/s.json"):
        with pytest.raises(InputError):
            open_feed(wrong, "auto", "UTC")


def test_settings_come_from_a_file_or_from_the_store(tmp_path: Path) -> None:
    file = SettingsFile(str(tmp_path / "s.json"))
    assert file() is None
    (tmp_path / "s.json").write_text('{"people": 500}')
    assert file() == {"people": 500}
    for wrong in ("[1]", "{"):
        (tmp_path / "s.json").write_text(wrong)
        with pytest.raises(OptionError, match=r"s\.json"):
            file()
    url = f"sqlite:///{tmp_path}/results.db"
    with pytest.raises(OptionError):
        StoreSettings(url)()
    store = open_store(url)
    source = pickle.loads(pickle.dumps(StoreSettings(url)))
    assert source() is None
    store.set_control(CONTROL, {"speed": 60})
    assert source() == {"speed": 60}
    store.close()


def test_messages_hold_so_many_lines() -> None:
    assert messages_of(b"a\n\nb\nc\n", 2) == [b"a\n", b"b\nc"]
    assert messages_of(b"a\nb\n", 1) == [b"a", b"b"]
    assert messages_of(b"", 3) == []


@pytest.mark.parametrize("name", ["callbeam", "pipes", "jsonl", "parquet"])
def test_a_folder_output_is_read_back(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.workload.targets._FILE_ROWS", 300)
    frames = sent(lambda: open_target(f"dir://{tmp_path}/in", name, 1))
    files = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert len(files) > 1
    assert all(file.startswith("calls-20250505T") for file in files)
    reader = open_feed(f"dir://{tmp_path}/in", "auto", "UTC").open("files", None)
    assert sorted(column(read_rows(reader, len(frames)), "id")) == sorted(frames["id"])


@pytest.mark.parametrize("lines", [1, 70])
def test_a_kafka_output_is_read_back(kafka_broker: "KafkaBroker", lines: int) -> None:
    url = f"kafka://{kafka_broker.bootstrap}/{kafka_broker.new_topic(partitions=2)}"
    frames = sent(lambda: open_target(url, "callbeam", lines))
    feed = open_feed(url, "auto", "UTC")
    found: list[str] = []
    for split in feed.splits():
        reader = feed.open(split, None)
        chunks = read_rows(reader, 1)
        while reader.lag():
            chunks += filter(None, [reader.poll(0.2)])
        found += column(chunks, "id")
        reader.close()
    assert sorted(found) == sorted(frames["id"])


def test_a_pubsub_output_is_read_back(
    pubsub_emulator: "PubSubEmulator", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator.host)
    url = "pubsub://projects/made/subscriptions/for-the-demo"
    frames = sent(lambda: open_target(url, "pipes", 70))
    reader = open_feed(url, "auto", "UTC", spool=str(tmp_path)).open("messages", None)
    chunks = read_rows(reader, len(frames))
    assert sorted(column(chunks, "id")) == sorted(frames["id"])
    assert count(chunks) == len(frames)
    reader.close()
    pubsub_emulator.forget_messages()


def sent(make: Callable[[], Any]) -> pl.DataFrame:
    """Sends half a day of records through a target, slice by slice; gives them."""
    clock = Clock()
    stream, target = LiveStream({"people": "400", "speed": "3600"}, clock=clock), make()
    frames = []
    for _ in range(12):
        clock.now += 1
        frame = stream.take()
        assert frame is not None
        target.write(frame)
        frames.append(frame)
    target.close()
    return pl.concat(frames)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("kafka://127.0.0.1:9/t", "parquet"),
        ("kafka://127.0.0.1:9/a/b", "callbeam"),
        ("pubsub://t", "callbeam"),
        ("dir:///dev/null/x", "callbeam"),
    ],
)
def test_outputs_that_cannot_be_are_refused(output: str, name: str) -> None:
    with pytest.raises(RequestError, match=r"--output|--format|--input"):
        open_target(output, name, 1)
