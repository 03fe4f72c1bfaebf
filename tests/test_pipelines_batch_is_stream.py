"""batch == stream: the same records by file at once or through a live source leave the same rows.

One test over formats, orders, sources and engines: a sensible part of the product, each source on the in-process
engine and each engine with the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import messy
import pytest
from cdr_oracle import expect
from live_process import LiveProcess
from test_pipelines_kill import land
from test_pipelines_live import shuffled
from test_pipelines_run import check, write_directory

PER_MESSAGE = 50
WINDOW = (86400, 7200)
CASES = [
    ("folder", "local", "given"),
    ("folder", "local", "shuffled"),
    ("kafka", "local", "given"),
    ("kafka", "local", "shuffled"),
    ("pubsub", "local", "shuffled"),
    ("folder", "prism", "shuffled"),
    ("kafka", "prism", "given"),
    ("folder", "flink", "given"),
    ("kafka", "flink", "shuffled"),
]
MARKS = {
    "kafka": pytest.mark.kafka,
    "pubsub": pytest.mark.pubsub,
    "prism": pytest.mark.prism,
    "flink": pytest.mark.flink,
}


def payloads(text: str) -> list[bytes]:
    lines = text.splitlines()[1:]
    return ["\n".join(lines[i : i + PER_MESSAGE]).encode() for i in range(0, len(lines), PER_MESSAGE)]


@pytest.fixture
def send(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Brings the text of the case to its source; gives the ``--input``."""
    source, text = request.param
    if source == "folder":
        folder = tmp_path / "in"
        folder.mkdir()
        header, *lines = text.splitlines()
        for k in range(3):
            land(folder, f"{k}.csv", "\n".join([header, *lines[k::3], ""]))
        yield f"dir://{folder}"
    elif source == "kafka":
        broker = request.getfixturevalue("kafka_broker")
        topic = broker.new_topic(partitions=2)
        broker.produce(topic, payloads(text))
        yield f"kafka://{broker.bootstrap}/{topic}"
    else:
        emulator = request.getfixturevalue("pubsub_emulator")
        topic = emulator.new_topic()
        subscription = emulator.new_subscription(topic)
        emulator.publish(topic, payloads(text))
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator.host
        yield f"pubsub://{subscription}"
        del os.environ["PUBSUB_EMULATOR_HOST"]


def engine_flags(engine: str, request: pytest.FixtureRequest) -> list[str]:
    if engine == "prism":
        return ["--runner=PrismRunner", f"--prism_location={request.getfixturevalue('prism_binary')}"]
    if engine == "flink":
        return list(request.getfixturevalue("flink_cluster").pipeline_options())
    return []


def text_of(order: str) -> str:
    text = messy.csv_text(1500, seed=51).replace("BUSY", "ANSWERED")  # equal repeats only
    return shuffled(text, 4) if order == "shuffled" else text


@pytest.mark.parametrize(
    ("send", "engine", "order"),
    [
        pytest.param(
            (source, text_of(order)), engine, order, id=f"{source}-{engine}-{order}",
            marks=[MARKS[m] for m in (source, engine) if m in MARKS],
        )
        for source, engine, order in CASES
    ],
    indirect=["send"],
)  # fmt: skip
def test_the_rows_of_batch(
    send: str, engine: str, order: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text, listed, url = text_of(order), messy.directory(), f"sqlite:///{tmp_path}/results.db"
    count = len(text.splitlines()) - 1
    flags = [
        "--input", send, "--directory", str(write_directory(tmp_path, listed)), "--window", "sliding:1d/2h",
        "--allowed_lateness", "400d", "--early_every", "1s",
        *engine_flags(engine, request),
    ]  # fmt: skip
    process = LiveProcess(url, *flags, log=tmp_path / "log.txt")
    try:
        process.wait_for(lambda run: run["records_read"] == count, timeout=150)
        assert process.drain(timeout=120) == 0, process.log.read_text()[-3000:]
    finally:
        process.kill()
    check(url, expect(text, listed, WINDOW))
