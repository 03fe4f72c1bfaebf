"""Kafka as a live feed: each partition is a split, each position an offset that callbeam keeps itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from callbeam_io.formats.payloads import MessageParser, message_parser
from callbeam_io.sources.feeds import Chunk, Position, SplitReader
from callbeam_io.sources.kafka_address import KafkaAddress, kafka_address
from callbeam_io.sources.messages import Pace, parse_messages
from transforms.errors import InputError, RunError

_CHECK_TIMEOUT: Final = 5.0
_GATHER: Final = 0.1
"""Seconds that a chunk waits for more messages once it has one."""
_PROBE_TIMEOUT: Final = 1.0
_BACKOFF: Final = (0.5, 8.0)
_LAG_EVERY: Final = 1.0
_GONE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


@dataclass(frozen=True)
class KafkaFeed:
    """A topic; see `callbeam_io.sources.feeds.Feed`."""

    address: KafkaAddress
    parser: MessageParser

    lateness = 3600
    accelerated = False

    @property
    def name(self) -> str:
        """``kafka://host:9092/topic``."""
        return self.address.name

    def check(self) -> None:
        """Raises InputError when broker or topic are not there, or the client refuses its settings."""
        self._partitions()

    def splits(self) -> Sequence[str]:
        """The partitions' numbers; partitions added later are seen by the next run."""
        return [str(number) for number in self._partitions()]

    def open(self, split: str, position: Position) -> SplitReader:
        """Reads a partition on from an offset; None: from the oldest message that the broker still has."""
        return KafkaReader(self.address, int(split), position, self.parser)

    def _partitions(self) -> list[int]:
        words: list[str] = []
        settings = {**self.address.reading(), "error_cb": lambda error: words.append(error.str())}
        try:
            consumer = Consumer(settings)
        except KafkaException as error:
            raise InputError(
                f"--input {self.name}: {_said(error)}", "settings that librdkafka knows"
            ) from None
        try:
            found = consumer.list_topics(self.address.topic, timeout=_CHECK_TIMEOUT)
        except KafkaException as error:
            consumer.poll(0)  # lets the client say what it met
            reason = "; ".join(dict.fromkeys([*words[-2:], _said(error)]))
            raise InputError(
                f"--input {self.name} cannot be reached: {reason}", "a broker that answers"
            ) from None
        finally:
            consumer.close()
        topic = found.topics[self.address.topic]
        if topic.error is not None:
            raise InputError(f"--input {self.name}: {topic.error.str()}", "a topic that is there")
        return sorted(topic.partitions)


class KafkaReader:
    """One partition; see `callbeam_io.sources.feeds.SplitReader`.

    The partition is assigned, never subscribed to, and never sought: a seek fails after a broker's restart,
    where assigning anew goes on. No offset is ever stored with the broker.
    """

    def __init__(
        self, address: KafkaAddress, partition: int, position: int | None, parser: MessageParser
    ) -> None:
        self._topic, self._partition, self._parser = address.topic, partition, parser
        self._where = f"{address.name} partition {partition}"
        self._next = position
        self._pace = Pace(most=10_000)
        self._trouble: str | None = None
        self._mend_at, self._backoff = 0.0, _BACKOFF[0]
        self._lag: int | None = None
        self._lag_at = 0.0
        self._lock = threading.Lock()
        self._closed = False
        self._consumer = Consumer({**address.reading(), "error_cb": self._met})
        self._assign()

    def poll(self, timeout: float) -> Chunk | None:
        """The next messages as one chunk, its position the offset after them.

        Raises:
            RunError: the broker no longer has the offset to go on from.
        """
        end = time.monotonic() + timeout
        if self._trouble is not None and time.monotonic() >= self._mend_at:
            self._mend(timeout)
        messages = self._good(self._consumer.consume(1, max(0.0, end - time.monotonic())))
        wanted = self._pace.messages
        if messages and wanted > 1:
            messages += self._good(self._consumer.consume(wanted - 1, _GATHER))
        return self._chunk(messages) if messages else None

    def commit(self, position: Position) -> None:
        """Nothing: offsets are kept by the pipeline."""

    def lag(self) -> int | None:
        """Messages behind the position, as the broker says (asked at most once a second)."""
        with self._lock:
            if self._closed or self._trouble is not None or time.monotonic() - self._lag_at < _LAG_EVERY:
                return self._lag
            self._lag_at = time.monotonic()
            bounds = self._bounds(_PROBE_TIMEOUT)
            if bounds is not None:
                at = bounds[0] if self._next is None else self._next
                self._lag = max(0, bounds[1] - at)
            return self._lag

    def trouble(self) -> str | None:
        """What the client last met, until the broker answers again."""
        return self._trouble

    def ended(self) -> bool:
        """Never: a topic has no end."""
        return False

    def close(self) -> None:
        """Leaves the broker."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._consumer.close()

    def _chunk(self, messages: list[Message]) -> Chunk:
        payloads = [message.value() or b"" for message in messages]
        offsets = [message.offset() for message in messages]
        batch = parse_messages(self._parser, payloads, offsets, f"{self._topic}/{self._partition}")
        size = sum(map(len, payloads))
        self._pace.saw(len(messages), batch.num_rows, size)
        return Chunk(batch, offsets[-1] + 1, size)

    def _good(self, messages: list[Message]) -> list[Message]:
        """The messages among what came; notes what else came."""
        errors = [m.error() for m in messages]
        good = [m for m, error in zip(messages, errors, strict=True) if error is None]
        for error in errors if len(good) < len(messages) else ():
            if error is not None:
                self._noted(error)
        if good:
            self._next = good[-1].offset() + 1
            self._well()
        return good

    def _noted(self, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._well()
        elif error.code() not in _GONE:
            self._met(error)
        elif self._next is None:
            self._assign()  # the oldest message went while it was asked for
        else:
            self._raise_gone()

    def _met(self, error: KafkaError) -> None:
        """Notes a trouble; the client calls it too, from within `consume`."""
        if self._trouble is None:
            self._mend_at = time.monotonic() + self._backoff
        self._trouble = f"{self._where}: {error.str()}; trying again"

    def _well(self) -> None:
        self._trouble, self._backoff = None, _BACKOFF[0]

    def _mend(self, timeout: float) -> None:
        """Asks the broker, and goes on from the same offset if it answers."""
        if self._bounds(min(timeout, _PROBE_TIMEOUT)) is not None:
            self._assign()
            self._well()
            return
        self._backoff = min(2 * self._backoff, _BACKOFF[1])
        self._mend_at = time.monotonic() + self._backoff

    def _assign(self) -> None:
        offset = self._next
        if offset is None:  # asked for here: the client's own way to the beginning takes half a second
            bounds = self._bounds(_PROBE_TIMEOUT)
            offset = OFFSET_BEGINNING if bounds is None else bounds[0]
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def _bounds(self, timeout: float) -> tuple[int, int] | None:
        """The oldest offset and the next new one; None when the broker does not say."""
        try:
            found: Any = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, self._partition), timeout=max(timeout, 0.01)
            )
        except KafkaException:
            return None
        return None if found is None else (int(found[0]), int(found[1]))

    def _raise_gone(self) -> None:
        """The offset to go on from is not there: records are lost, and the run must not hide it."""
        bounds = self._bounds(_PROBE_TIMEOUT)
        has = "" if bounds is None else f" and the broker has {bounds[0]} to {bounds[1]}"
        raise RunError(
            f"{self._where}: offset {self._next} is to be read next{has}. Older messages were deleted "
            "(retention), or the topic was made anew. Start with --fresh, which reads what is there"
        )


def _said(error: KafkaException) -> str:
    return str(error.args[0].str()) if error.args and isinstance(error.args[0], KafkaError) else str(error)


def open_kafka(text: str, input_format: str, timezone: str) -> KafkaFeed:
    """The feed of a ``kafka://`` input.

    Raises:
        InputError: it cannot be read.
    """
    return KafkaFeed(kafka_address(text), message_parser(input_format, timezone))
