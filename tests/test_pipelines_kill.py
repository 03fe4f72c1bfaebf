"""Nothing is lost and nothing doubled when the pipeline dies: kill -9 at any moment, then go on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import messy
import pytest
from cdr_oracle import expect
from live_process import LiveProcess
from test_pipelines_run import check, write_directory

from callbeam_io.store import open_store

if TYPE_CHECKING:
    from servers.kafka import KafkaBroker
    from servers.pubsub import PubSubEmulator

KILLS = 5
WINDOW = (86400, 7200)
PER_MESSAGE = 50


def land(folder: Path, name: str, text: str) -> None:
    part = folder / f".{name}"
    part.write_text(text, encoding="utf-8")
    part.rename(folder / name)


def test_five_kills_leave_the_rows_of_batch(tmp_path: Path) -> None:
    rng = random.Random(5)
    text, listed = messy.csv_text(6000, seed=31, accounts=True).replace("BUSY", "ANSWERED"), messy.directory()
    header, *lines = text.splitlines()
    folder, url = tmp_path / "in", f"sqlite:///{tmp_path}/results.db"
    folder.mkdir()
    flags = [
        "--input", f"dir://{folder}", "--directory", str(write_directory(tmp_path, listed)),
        "--window", "sliding:1d/2h",
        "--snapshot_every", "1s", "--early_every", "1s", "--allowed_lateness", "400d",
    ]  # fmt: skip
    parts = [lines[i : i + 1000] for i in range(0, len(lines), 1000)]
    for number, part in enumerate(parts):
        land(folder, f"{number}.csv", "\n".join([header, *part, ""]))
        process = LiveProcess(url, *flags, log=tmp_path / "log.txt")
        if number < KILLS:
            process.wait_for(lambda run: run["state"] == "running")
            time.sleep(rng.uniform(0.5, 4))
            process.kill()
    process.wait_for(lambda run: run["records_read"] == len(lines))
    assert process.drain() == 0
    runs = open_store(url).runs()
    assert [r["state"] for r in runs] == ["done"]
    check(url, expect(text, listed, (86400, 7200)))


class Stream:
    """Records that are sent to a broker part by part, while a pipeline reads them."""

    def __init__(self, tmp_path: Path, seed: int, source: str, send: Callable[[list[bytes]], object]) -> None:
        self.text = messy.csv_text(2400, seed=seed, accounts=True).replace("BUSY", "ANSWERED")
        self.listed, self.url, self.tmp = messy.directory(), f"sqlite:///{tmp_path}/results.db", tmp_path
        self.header, *self.lines = self.text.splitlines()
        self._send, self._sent = send, 0
        self.flags = [
            "--input", source, "--directory", str(write_directory(tmp_path, self.listed)), "--window", "sliding:1d/2h",
            "--snapshot_every", "1s", "--early_every", "1s", "--allowed_lateness", "400d",
        ]  # fmt: skip

    def send(self, count: int) -> None:
        part = self.lines[self._sent : self._sent + count]
        self._sent += len(part)
        starts = range(0, len(part), PER_MESSAGE)
        self._send(["\n".join([self.header, *part[i : i + PER_MESSAGE]]).encode() for i in starts])

    def start(self) -> LiveProcess:
        return LiveProcess(self.url, *self.flags, log=self.tmp / "log.txt")

    def has_all(self, process: LiveProcess) -> None:
        process.wait_for(lambda run: run["records_read"] == self._sent)

    def ends_well(self, process: LiveProcess) -> None:
        self.has_all(process)
        assert self._sent == len(self.lines)
        assert process.drain() == 0, process.log.read_text()[-2000:]
        assert [r["state"] for r in open_store(self.url).runs()] == ["done"]
        check(self.url, expect(self.text, self.listed, WINDOW))

    def with_two_kills(self) -> None:
        """Each kill in the middle of new records."""
        rng = random.Random(7)
        self.send(600)
        process = self.start()
        self.has_all(process)
        for _ in range(2):
            self.send(600)
            time.sleep(rng.uniform(0.1, 1.0))
            process.kill()
            process = self.start()
        self.send(600)
        self.ends_well(process)


@pytest.fixture
def kafka_stream(tmp_path: Path, kafka_broker: KafkaBroker) -> Stream:
    topic = kafka_broker.new_topic(partitions=2)
    source = f"kafka://{kafka_broker.bootstrap}/{topic}"
    return Stream(tmp_path, 91, source, lambda values: kafka_broker.produce(topic, values))


@pytest.fixture
def pubsub_stream(tmp_path: Path, pubsub_emulator: PubSubEmulator, monkeypatch: pytest.MonkeyPatch) -> Stream:
    topic = pubsub_emulator.new_topic()
    subscription = pubsub_emulator.new_subscription(topic)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator.host)
    return Stream(
        tmp_path, 92, f"pubsub://{subscription}", lambda values: pubsub_emulator.publish(topic, values)
    )


@pytest.mark.kafka
def test_two_kills_with_kafka(kafka_stream: Stream) -> None:
    kafka_stream.with_two_kills()


@pytest.mark.pubsub
def test_two_kills_with_pubsub(pubsub_stream: Stream) -> None:
    pubsub_stream.with_two_kills()


@pytest.mark.kafka
def test_the_broker_is_killed_and_comes_back(kafka_stream: Stream, kafka_broker: KafkaBroker) -> None:
    kafka_stream.send(800)
    process = kafka_stream.start()
    kafka_stream.has_all(process)
    kafka_stream.send(800)
    kafka_broker.kill()
    kafka_broker.start()
    kafka_stream.send(800)
    kafka_stream.ends_well(process)


@pytest.mark.pubsub
def test_the_service_is_away_for_a_while(pubsub_stream: Stream, pubsub_emulator: PubSubEmulator) -> None:
    pubsub_stream.send(800)
    process = pubsub_stream.start()
    pubsub_stream.has_all(process)
    pubsub_stream.send(800)
    with pubsub_emulator.outage():
        time.sleep(3)
        assert process.process.poll() is None
    pubsub_stream.send(800)
    pubsub_stream.ends_well(process)
