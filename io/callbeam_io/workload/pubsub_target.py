"""Live records into a Pub/Sub topic."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

import grpc
import polars as pl
from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from callbeam_io.sources.pubsub_pull import EMULATOR, reason_of, subscriber
from callbeam_io.workload.formats import render
from callbeam_io.workload.targets import messages_of
from transforms.errors import InputError, RunError

_OUTPUT: Final = re.compile(r"pubsub://(projects/[^/?#\s]+)/(topics|subscriptions)/([^/?#\s]+)/?")
_MOST_MESSAGES: Final = 1000
_MOST_BYTES: Final = 8 << 20
_REACH_TIMEOUT: Final = 5.0
_SEND_TIMEOUT: Final = 60.0


class PubSubTarget:
    """A topic, by its own name or by that of one of its subscriptions; see `targets.Target`.

    With the emulator (PUBSUB_EMULATOR_HOST), which begins empty, a topic or subscription is made if it is
    missing.

    Raises:
        InputError: no such topic, or the service does not answer.
    """

    def __init__(self, text: str, name: str, lines: int) -> None:
        found = _OUTPUT.fullmatch(text)
        if not found:
            raise InputError(f"--output {text}", "pubsub://projects/PROJECT/topics/NAME")
        self._name, self._lines = name, lines
        self._client = _publisher()
        try:
            self._topic = self._topic_of(*found.groups())
        except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
            raise InputError(f"--output {text}: {reason_of(error)}", "a topic that is there") from error

    def write(self, frame: pl.DataFrame) -> None:
        """Publishes the records; the client tries again for a minute."""
        for part in _requests(messages_of(render(frame, self._name), self._lines)):
            messages = [{"data": data} for data in part]
            try:
                self._client.publish(topic=self._topic, messages=messages, timeout=_SEND_TIMEOUT)
            except (GoogleAPICallError, RetryError) as error:
                raise RunError(f"{self._topic}: messages were not published: {reason_of(error)}") from error

    def close(self) -> None:
        """Leaves the service; what was written is there."""
        self._client.transport.close()

    def _topic_of(self, project: str, kind: str, name: str) -> str:
        topic = f"{project}/topics/{name}"
        if kind == "topics":
            self._find_topic(topic)
            return topic
        path = f"{project}/subscriptions/{name}"
        with subscriber() as client:
            try:
                return str(
                    client.get_subscription(subscription=path, timeout=_REACH_TIMEOUT, retry=None).topic
                )
            except NotFound:
                self._find_topic(topic)
                client.create_subscription(name=path, topic=topic)
        return topic

    def _find_topic(self, topic: str) -> None:
        try:
            self._client.get_topic(topic=topic, timeout=_REACH_TIMEOUT, retry=None)
        except NotFound:
            if EMULATOR not in os.environ:
                raise
            self._client.create_topic(name=topic)


def _publisher() -> PublisherClient:
    host = os.environ.get(EMULATOR)
    if not host:
        return PublisherClient()
    return PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(host)))


def _requests(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The messages in requests that the service takes: 1,000 of them, 8 MB."""
    first, size = 0, 0
    for place, message in enumerate(messages):
        if place > first and (place - first == _MOST_MESSAGES or size + len(message) > _MOST_BYTES):
            yield messages[first:place]
            first, size = place, 0
        size += len(message)
    if first < len(messages):
        yield messages[first:]
