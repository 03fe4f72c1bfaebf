"""Pulling from Pub/Sub into a spool, on a thread of its own: written first, acknowledged then."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from callbeam_io.sources.spool import Spool

EMULATOR: Final = "PUBSUB_EMULATOR_HOST"
MOST_WAITING: Final = 32 << 20
"""Bytes of messages that may lie unread in the spool; the rest stays where it is kept better."""
_MOST_MESSAGES: Final = 1000
_PULL_BYTES: Final = 4 << 20
_ACKS: Final = 1000
_MAX_MESSAGE: Final = 64 << 20
_PULL_TIMEOUT: Final = 20.0
_ACK_TIMEOUT: Final = 10.0
_GATHER: Final = 0.1
"""Seconds between pulls that find little, so that segments are not too many."""
_BACKOFF: Final = (0.5, 10.0)
_FULL_PAUSE: Final = 0.2


def subscriber() -> SubscriberClient:
    """A client, of the emulator where PUBSUB_EMULATOR_HOST names one; there Google's own takes only 4 MB."""
    host = os.environ.get(EMULATOR)
    if not host:
        return SubscriberClient()
    channel = grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", _MAX_MESSAGE)])
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


class Puller:
    """Fills a spool from a subscription until it is closed; what fails is tried again, ever more slowly."""

    def __init__(self, subscription: str, spool: Spool) -> None:
        self._subscription, self._spool = subscription, spool
        self._client = subscriber()
        self._stop = threading.Event()
        self._read_to = 0
        self._messages = 50
        self._backoff = _BACKOFF[0]
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self.drained = False
        """Whether the last pull found less than it asked for."""
        self._thread = threading.Thread(target=self._run, name=f"pull {subscription}", daemon=True)
        self._thread.start()

    def reads_from(self, segment: int) -> None:
        """Tells what the reader is at: segments from there on are waiting."""
        self._read_to = segment

    def close(self) -> None:
        """Stops; messages that are under way come again."""
        self._stop.set()
        self._client.transport.close()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._spool.waiting(self._read_to)[1] >= MOST_WAITING:
                self._stop.wait(_FULL_PAUSE)
                continue
            try:
                pause = self._step()
            except (exceptions.GoogleAPIError, GoogleAuthError, grpc.RpcError, OSError) as error:
                pause = self._failed(error)
            except Exception as error:  # for the reader to raise: no thread may end in silence
                self.failure = None if self._stop.is_set() else error
                return
            self._stop.wait(pause)

    def _step(self) -> float:
        """Pulls, writes and acknowledges once; gives the seconds to wait."""
        request = {"subscription": self._subscription, "max_messages": self._messages}
        try:
            answer = self._client.pull(request=request, timeout=_PULL_TIMEOUT, retry=None)
        except exceptions.DeadlineExceeded:
            self._well(drained=True)
            return 0.0
        received = answer._pb.received_messages  # the plain message: its wrapper costs more than the network
        if not received:
            self._well(drained=True)
            return 0.0
        self._spool.append([(one.message.message_id, one.message.data) for one in received])
        self._acknowledge([one.ack_id for one in received])
        full = len(received) >= self._messages
        self._adapt(len(received), answer._pb.ByteSize())
        self._well(drained=not full)
        return 0.0 if full else _GATHER

    def _acknowledge(self, ack_ids: Sequence[str]) -> None:
        """An acknowledgement that is lost makes the message come again; the spool knows it then."""
        for first in range(0, len(ack_ids), _ACKS):
            request = {"subscription": self._subscription, "ack_ids": ack_ids[first : first + _ACKS]}
            self._client.acknowledge(request=request, timeout=_ACK_TIMEOUT, retry=None)

    def _adapt(self, messages: int, size: int) -> None:
        """Asks for as many messages as some megabytes hold."""
        fitting = int(_PULL_BYTES * messages / max(size, 1))
        self._messages = max(1, min(fitting, 2 * self._messages, _MOST_MESSAGES))

    def _well(self, *, drained: bool) -> None:
        self.trouble, self._backoff, self.drained = None, _BACKOFF[0], drained

    def _failed(self, error: Exception) -> float:
        if self._stop.is_set():
            return 0.0
        self.drained = False
        self.trouble = f"{self._subscription}: {reason_of(error)}; trying again"
        if isinstance(error, exceptions.ResourceExhausted):
            self._messages = max(1, self._messages // 2)
        pause, self._backoff = self._backoff, min(2 * self._backoff, _BACKOFF[1])
        return pause


def reason_of(error: Any) -> str:
    """What went wrong, in one line."""
    text = error.message if isinstance(error, exceptions.GoogleAPICallError) else str(error)
    return " ".join(str(text).split())[:300] or type(error).__name__
