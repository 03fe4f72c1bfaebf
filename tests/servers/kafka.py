"""A real Kafka broker (KRaft mode, broker and controller in one process) for tests."""

import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from servers import cache
from servers.processes import Server, ServerFailed, free_port, wait_until

PARTITIONS = 4
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions={partitions}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
log.segment.bytes=67108864
"""
_LOGGING = """\
<Configuration>
<Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


class KafkaBroker(Server):
    """One broker at `bootstrap`; use it in a `with` block.

    `kill` and `terminate` leave topics and offsets on disk, `start` brings the broker back with them on the
    same port, in 2 to 6 s.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._settings = folder / "server.properties"
        libs = cache.need(cache.kafka_libs(), "Kafka")
        java = cache.need_java("Kafka")
        options = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
        self._java = [java, *options, f"-Dlog4j2.configurationFile={folder}/log4j2.xml", "-cp", f"{libs}/*"]
        super().__init__(folder, [*self._java, "kafka.Kafka", str(self._settings)])

    def start(self) -> None:
        """Formats the data folder if it is new, starts the broker, waits until it takes a message."""
        if not self._settings.exists():
            self._format()
        super().start()

    def wait_ready(self, timeout: float = 60) -> None:
        """Returns when a message has been delivered; an open port alone says little."""
        wait_until(self._takes_a_message, f"Kafka on {self.bootstrap}", timeout, self.process)

    def new_topic(self, name: str = "calls", partitions: int = PARTITIONS) -> str:
        """Makes an empty topic whose name starts with `name`; returns the whole name."""
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        admin = AdminClient(self._client())  # a temporary would be gone before the answer
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
        return topic

    def produce(self, topic: str, values: Sequence[bytes], partition: int | None = None) -> None:
        """Sends the values in order, by turns over all partitions where None, and waits for their delivery.

        Raises ServerFailed when one was not delivered within 60 s.
        """
        problems: list[KafkaError] = []
        producer = Producer(
            {**self._client(), "linger.ms": 5, "enable.idempotence": True, "message.timeout.ms": 60000}
        )

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                problems.append(error)

        partitions = len(producer.list_topics(topic, timeout=30).topics[topic].partitions)
        for number, value in enumerate(values):
            target = number % partitions if partition is None else partition
            while True:
                try:
                    producer.produce(topic, value, partition=target, on_delivery=delivered)
                    break
                except BufferError:  # the client's queue is full: let it send
                    producer.poll(0.1)
        left = producer.flush(60)
        if left or problems:
            raise ServerFailed(
                f"{topic}: {left + len(problems)} of {len(values)} messages not delivered: {problems[:1]}"
            )

    def _takes_a_message(self) -> bool:
        fates: list[bool] = []
        producer = Producer({**self._client(), "message.timeout.ms": 2000, "reconnect.backoff.max.ms": 100})
        producer.produce("ready", b"?", on_delivery=lambda error, _message: fates.append(error is None))
        return producer.flush(3) == 0 and fates == [True]

    def _client(self) -> dict[str, object]:
        return {"bootstrap.servers": self.bootstrap, "log_level": 0}

    def _format(self) -> None:
        values = {
            "port": self.port,
            "controller": free_port(),
            "data": self.folder / "data",
            "partitions": PARTITIONS,
        }
        self._settings.write_text(_SETTINGS.format(**values))
        (self.folder / "log4j2.xml").write_text(_LOGGING)
        command = [
            *self._java,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "MkU3OEVBNTcwNTJENDM2Qg",
            "-c",
            str(self._settings),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ServerFailed(f"Kafka could not format its data folder:\n{done.stdout}{done.stderr}")
