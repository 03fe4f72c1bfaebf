"""Kafka: the same records as from a file, every one once across restarts of reader and broker."""

import json
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from feeds import all_rows, column, count, file_rows, lines, read_rows, read_until, sources

from callbeam_io.sources.feeds import Chunk
from callbeam_io.sources.kafka_address import SETTINGS_FILE, kafka_address
from callbeam_io.sources.registry import open_feed
from transforms.errors import InputError, RunError

if TYPE_CHECKING:
    from servers.kafka import KafkaBroker

    from callbeam_io.sources.kafka import KafkaFeed

kafka = pytest.importorskip(
    "callbeam_io.sources.kafka", reason="needs `pip install -e '.[kafka]'`", exc_type=ImportError
)
HEADER = b"id,calling_number,called_number,start_time,duration,call_type,charge,call_result\n"


def feed_of(broker: "KafkaBroker", topic: str, input_format: str = "auto") -> "KafkaFeed":
    feed: KafkaFeed = kafka.open_kafka(f"kafka://{broker.bootstrap}/{topic}", input_format, "UTC")
    return feed


def many(first: int, messages: int, per_message: int = 100) -> list[bytes]:
    return [b"\n".join(lines(per_message, first + i * per_message)) for i in range(messages)]


def test_all_partitions_together_give_what_a_file_gives(kafka_broker: "KafkaBroker", tmp_path: Path) -> None:
    topic = kafka_broker.new_topic(partitions=3)
    bad = [b"torn,line", lines(1, 5000)[0].replace(b"VOICE", b"FAX")]
    payloads = [*lines(40), *many(100, 5), HEADER + lines(1, 900)[0] + b"\n", *bad]
    kafka_broker.produce(topic, payloads)
    feed = feed_of(kafka_broker, topic)
    feed.check()
    chunks: list[Chunk] = []
    for split in feed.splits():
        reader = feed.open(split, None)
        messages = len(range(int(split), len(payloads), 3))
        chunks += read_until(reader, lambda c, n=messages: bool(c) and c[-1].position == n)
        assert reader.lag() == 0
        reader.close()
    expected = file_rows(tmp_path / "all.csv", b"\n".join(payloads).replace(HEADER, b""))
    assert sorted(map(repr, all_rows(chunks))) == sorted(map(repr, expected))
    assert set(sources(chunks)) == {f"{topic}/{n}" for n in range(3)}


def test_json_arrow_and_lines_in_one_topic(kafka_broker: "KafkaBroker") -> None:
    topic = kafka_broker.new_topic(partitions=1)
    names = HEADER.decode().strip().split(",")
    objects = [dict(zip(names, line.decode().split(","), strict=True)) for line in lines(6)]
    table = pa.Table.from_pylist(objects[2:4])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    payloads = [
        json.dumps(objects[0]).encode(),
        json.dumps(objects[1], indent=1).encode(),
        sink.getvalue().to_pybytes(),
        b"",
        b"\n".join(lines(2, 4)),
    ]
    kafka_broker.produce(topic, payloads)
    chunks = read_until(
        feed_of(kafka_broker, topic).open("0", None), lambda c: bool(c) and c[-1].position == 5
    )
    assert [(r[0], r[-1]) for r in all_rows(chunks, "line") if r[0]] == [
        ("r0", "0"),
        ("r1", "1#1"),
        ("r2", "2#1"),
        ("r3", "2#2"),
        ("r4", "4#1"),
        ("r5", "4#2"),
    ]


def test_going_on_from_any_offset_gives_the_rest_once(kafka_broker: "KafkaBroker") -> None:
    topic = kafka_broker.new_topic(partitions=1)
    kafka_broker.produce(topic, many(0, 200, 10))
    feed, position, found = feed_of(kafka_broker, topic), None, []
    while len(found) < 2000:
        reader = feed.open("0", position)
        chunk = read_rows(reader, 1)[
            0
        ]  # each reader is left after its first chunk, whatever it had read ahead
        found += column([chunk], "id")
        position = json.loads(json.dumps(chunk.position))
        reader.commit(position)
        reader.close()
        assert isinstance(position, int)
    assert found == [f"r{i}" for i in range(2000)]
    reader = feed.open("0", 150)
    assert column(read_rows(reader, 500), "id")[0] == "r1500"
    reader.close()


def test_an_offset_that_is_gone_fails_loudly(kafka_broker: "KafkaBroker") -> None:
    topic = kafka_broker.new_topic(partitions=1)
    kafka_broker.produce(topic, lines(3))
    reader = feed_of(kafka_broker, topic).open("0", 77)
    with pytest.raises(RunError, match=r"offset 77 .* has 0 to 3.*--fresh"):
        read_rows(reader, 1)
    reader.close()


def test_a_killed_broker_is_waited_for_and_nothing_is_lost(kafka_broker: "KafkaBroker") -> None:
    topic = kafka_broker.new_topic(partitions=1)
    kafka_broker.produce(topic, many(0, 50))
    reader = feed_of(kafka_broker, topic).open("0", None)
    chunks = read_rows(reader, 1)
    kafka_broker.kill()
    back = threading.Thread(target=kafka_broker.start)
    try:
        while reader.trouble() is None:
            chunks += filter(None, [reader.poll(0.2)])
        assert "trying again" in (reader.trouble() or "")
    finally:
        back.start()
        back.join()
    kafka_broker.produce(topic, many(5000, 50))
    chunks += read_rows(reader, 10_000 - count(chunks))
    assert column(chunks, "id") == [f"r{i}" for i in range(10_000)]
    assert reader.trouble() is None
    reader.close()


def test_what_cannot_be_reached_is_refused_with_the_reason(
    kafka_broker: "KafkaBroker", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "_CHECK_TIMEOUT", 1.0)
    with pytest.raises(InputError, match=r"Unknown topic"):
        feed_of(kafka_broker, "none").check()
    with pytest.raises(InputError, match=r"No such configuration property.*no\.such"):
        open_feed("kafka://localhost/t?no.such=1", "auto", "UTC").check()
    with pytest.raises(InputError, match=r"cannot be reached.*refused"):
        open_feed("kafka://127.0.0.1:9/t", "auto", "UTC").check()


def test_settings_pass_through_and_secrets_stay_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "client.properties").write_text(
        "# ours\nsasl.username = me\nsasl.password=hush\nclient.id=theirs\n"
    )
    monkeypatch.setenv(SETTINGS_FILE, str(tmp_path / "client.properties"))
    text = "kafka://a,b:1234/calls?security.protocol=SASL_SSL&sasl.password=pst%26"
    address = kafka_address(text)
    assert address.servers == "a:9092,b:1234"
    reading = address.reading()
    assert (reading["sasl.username"], reading["sasl.password"]) == ("me", "pst&")
    assert (reading["client.id"], reading["isolation.level"]) == ("theirs", "read_committed")
    assert "isolation.level" not in address.writing()
    feed = open_feed(text, "auto", "UTC")
    assert feed.name == "kafka://a:9092,b:1234/calls"
    assert "pst" not in repr(feed)
    assert pickle.loads(pickle.dumps(feed)) == feed
    (tmp_path / "client.json").write_text(
        '{"ssl.ca.location": "ca.pem", "enable.ssl.certificate.verification": false}'
    )
    monkeypatch.setenv(SETTINGS_FILE, str(tmp_path / "client.json"))
    assert kafka_address("kafka://a/t").reading()["enable.ssl.certificate.verification"] == "false"


@pytest.mark.parametrize(
    "text",
    [
        "kafka://host:9092",
        "kafka:///topic",
        "kafka://host/a/b",
        "kafka://user:secret@host/topic",
        "kafka://host/topic?auto.offset.reset=latest&x=secret",
    ],
)
def test_an_address_that_cannot_be_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(InputError) as refused:
        kafka_address(text)
    assert "secret" not in str(refused.value)


def test_a_settings_file_that_cannot_be_read_is_refused_without_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in ("hush", '{"a": {"b": "hush"}}', '{"hush'):
        (tmp_path / "settings").write_text(content)
        monkeypatch.setenv(SETTINGS_FILE, str(tmp_path / "settings"))
        with pytest.raises(InputError) as refused:
            kafka_address("kafka://a/t")
        assert "hush" not in str(refused.value)
    monkeypatch.setenv(SETTINGS_FILE, str(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read"):
        kafka_address("kafka://a/t")


def test_formats_of_files_only_are_refused() -> None:
    with pytest.raises(InputError, match="parquet is for files"):
        open_feed("kafka://a/t", "parquet", "UTC")


def test_a_chunk_is_of_a_bearable_size(kafka_broker: "KafkaBroker") -> None:
    topic = kafka_broker.new_topic(partitions=1)
    kafka_broker.produce(topic, many(0, 600, 300))
    reader = feed_of(kafka_broker, topic).open("0", None)
    chunks = read_rows(reader, 180_000)
    assert count(chunks) == 180_000
    assert max(chunk.batch.num_rows for chunk in chunks) <= 80_000
    reader.close()
