"""A Pub/Sub emulator for tests: Google's own fake, served by the Go program in `pubsub_emulator/`."""

import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from servers import cache
from servers.processes import Server, free_port, wait_until

PROJECT = "callbeam-tests"
MAX_BYTES = 64 << 20


class PubSubEmulator(Server):
    """One emulator at `host` (Google's clients take it from PUBSUB_EMULATOR_HOST); use it in a `with` block.

    All data is in memory: after `kill` or `terminate`, `start` serves an empty emulator on the same port.
    `outage` is what a client sees when the real service is away: connections fail, nothing is lost. What the
    fake cannot do: seek, snapshots, more than 90 messages a second by streaming pull, keeping undelivered
    messages beyond 10 minutes.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        binary = cache.need(cache.pubsub_emulator(), "The Pub/Sub emulator")
        super().__init__(folder, [str(binary), "-addr", self.host])

    def wait_ready(self, timeout: float = 20) -> None:
        """Returns when it lists its topics."""
        wait_until(self._lists_topics, f"Pub/Sub emulator on {self.host}", timeout, self.process)

    def new_topic(self, name: str = "calls") -> str:
        """Makes a topic whose name starts with `name`; returns its path."""
        path = f"projects/{PROJECT}/topics/{_unique(name)}"
        with self._publisher() as client:
            client.create_topic(name=path)
        return path

    def new_subscription(self, topic: str, ack_deadline: int = 10, **settings: object) -> str:
        """Makes a subscription of the topic; returns its path. `settings` as in Google's Subscription."""
        path = f"projects/{PROJECT}/subscriptions/{_unique('sub')}"
        request = {"name": path, "topic": topic, "ack_deadline_seconds": ack_deadline, **settings}
        with self._subscriber() as client:
            client.create_subscription(request=request)
        return path

    def publish(
        self, topic: str, values: Sequence[bytes], attributes: Mapping[str, str] | None = None
    ) -> list[str]:
        """Publishes the values, 1,000 a request; returns their message ids."""
        ids: list[str] = []
        with self._publisher() as client:
            for first in range(0, len(values), 1000):
                part = [
                    PubsubMessage(data=value, attributes=attributes) for value in values[first : first + 1000]
                ]
                ids += client.publish(topic=topic, messages=part).message_ids
        return ids

    def pull(self, subscription: str, limit: int = 1000) -> list[tuple[str, bytes]]:
        """Up to `limit` waiting messages as (ack id, data), not acknowledged; none after a wait of 0.5 s."""
        with self._subscriber() as client:
            answer = client.pull(subscription=subscription, max_messages=limit, retry=None, timeout=10)
        return [(one.ack_id, one.message.data) for one in answer.received_messages]

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Acknowledges messages that were pulled."""
        with self._subscriber() as client:
            client.acknowledge(subscription=subscription, ack_ids=list(ack_ids))

    def forget_messages(self) -> None:
        """Drops every message, keeping topics and subscriptions; it is done soon after the call."""
        self.process.send(signal.SIGUSR1)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Refuses connections for the time of the block; data is kept."""
        self.process.send(signal.SIGUSR2)
        wait_until(
            lambda: not self._lists_topics(), f"Pub/Sub emulator on {self.host}: outage", 10, self.process
        )
        try:
            yield
        finally:
            self.process.send(signal.SIGUSR2)
            self.wait_ready()

    def _lists_topics(self) -> bool:
        with self._publisher() as client:
            try:
                client.list_topics(project=f"projects/{PROJECT}", timeout=1, retry=None)
            except GoogleAPICallError:
                return False
        return True

    def _publisher(self) -> PublisherClient:
        return PublisherClient(transport=PublisherGrpcTransport(channel=self._channel()))

    def _subscriber(self) -> SubscriberClient:
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel()))

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.host, options=[("grpc.max_receive_message_length", MAX_BYTES)])


def _unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"
