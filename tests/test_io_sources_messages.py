"""Messages on their way to chunks, and which feed an input means."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from feeds import lines, rows

from callbeam_io.formats.payloads import MessageParser
from callbeam_io.sources import registry
from callbeam_io.sources.messages import CHUNK_BYTES, CHUNK_ROWS, Pace, parse_messages
from transforms.errors import InputError
from transforms.schema import origin

ROOT = Path(__file__).parents[1]


class Brittle(MessageParser):
    """A parser that fails as a whole where one message has a certain word."""

    def parse(
        self, messages: Sequence[bytes], ids: Sequence[int | str], *, source: str, order: str = ""
    ) -> pa.RecordBatch:
        if any(b"poison" in message for message in messages):
            raise pl.exceptions.ComputeError("no")
        return super().parse(messages, ids, source=source, order=order)


@pytest.mark.parametrize("places", [[0], [3], [6], [0, 1, 6], list(range(7))])
def test_a_message_that_breaks_the_parser_stands_alone(places: list[int]) -> None:
    payloads = [b"poison" if i in places else line for i, line in enumerate(lines(7))]
    batch = parse_messages(Brittle("auto", "", "UTC"), payloads, list(range(7)), "topic/0")
    found = rows(batch, "line")
    assert [row[-1] for row in found] == [str(i) for i in range(7)]
    assert [row[-2] is not None for row in found] == [i in places for i in range(7)]
    assert [row[0] for row in found if row[0]] == [f"r{i}" for i in range(7) if i not in places]
    assert batch.column("raw").to_pylist() == payloads
    assert origin(batch.schema)["source"] == "topic/0"


def test_the_pace_finds_chunks_of_the_right_size() -> None:
    for per_message, size in ((1, 100), (1000, 100_000), (100_000, 10_000_000), (0, 1), (1, CHUNK_BYTES)):
        pace = Pace(most=10_000)
        for _ in range(12):
            pace.saw(pace.messages, pace.messages * per_message, pace.messages * size)
        assert 1 <= pace.messages <= 10_000
        assert pace.messages == 1 or pace.messages * per_message <= CHUNK_ROWS
        assert pace.messages == 1 or pace.messages * size <= CHUNK_BYTES
    assert pace.messages == 1


def test_clients_of_brokers_are_imported_when_they_are_asked_for() -> None:
    program = (
        "import sys; from callbeam_io.sources.registry import open_feed; "
        "open_feed('dir://x', 'auto', 'UTC'); open_feed('generator:', 'auto', 'UTC'); "
        "assert not {'confluent_kafka', 'google.pubsub_v1', 'grpc'} & set(sys.modules)"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'io'}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("text", "extra"), [("kafka://a/t", "kafka"), ("pubsub://projects/p/subscriptions/s", "gcp")]
)
def test_a_missing_package_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, text: str, extra: str
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(registry, "import_module", missing)
    with pytest.raises(InputError, match=rf"pip install 'callbeam\[{extra}\]'"):
        registry.open_feed(text, "auto", "UTC")


def test_live_inputs_are_known_by_their_scheme() -> None:
    assert all(map(registry.is_live, ("dir:///x", "kafka://a/t", "pubsub://x", "generator:?people=3")))
    assert not any(map(registry.is_live, ("cdrs.csv", "gs://bucket/x", "directory/x")))
    with pytest.raises(InputError, match="expected one of dir://"):
        registry.open_feed("cdrs.csv", "auto", "UTC")
