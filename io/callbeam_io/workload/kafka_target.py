"""Live records into a Kafka topic."""

from __future__ import annotations

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Producer

from callbeam_io.sources.kafka_address import kafka_address
from callbeam_io.workload.formats import render
from callbeam_io.workload.targets import messages_of
from transforms.errors import InputError, RunError

_REACH_TIMEOUT = 5.0
_FLUSH_TIMEOUT = 60.0


class KafkaTarget:
    """A topic, its partitions by turns; see `callbeam_io.workload.targets.Target`.

    The client sends again what a broker did not confirm, each message once, for up to five minutes.

    Raises:
        InputError: no such broker or topic.
    """

    def __init__(self, text: str, name: str, lines: int) -> None:
        self._address, self._name, self._lines = kafka_address(text), name, lines
        self._lost: KafkaError | None = None
        self._turn = 0
        try:
            self._producer = Producer(self._address.writing())
            found = self._producer.list_topics(self._address.topic, timeout=_REACH_TIMEOUT)
        except KafkaException as error:
            reason = error.args[0].str() if error.args else error
            raise InputError(f"--output {self._address.name}: {reason}", "a broker that answers") from error
        topic = found.topics[self._address.topic]
        if topic.error is not None:
            raise InputError(f"--output {self._address.name}: {topic.error.str()}", "a topic that is there")
        self._partitions = len(topic.partitions)

    def write(self, frame: pl.DataFrame) -> None:
        """Hands the records to the client, and waits while its queue is full."""
        for message in messages_of(render(frame, self._name), self._lines):
            self._turn = (self._turn + 1) % self._partitions
            self._hand_over(message)
        self._producer.poll(0)
        if self._lost is not None:
            raise RunError(f"{self._address.name}: a message was not delivered: {self._lost.str()}")

    def close(self) -> None:
        """Waits for the broker."""
        left = self._producer.flush(_FLUSH_TIMEOUT)
        if left or self._lost is not None:
            raise RunError(f"{self._address.name}: {max(left, 1)} messages or more were not delivered")

    def _hand_over(self, message: bytes) -> None:
        while True:
            try:
                self._producer.produce(
                    self._address.topic, message, partition=self._turn, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        self._lost = self._lost or error
