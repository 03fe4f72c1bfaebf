"""One guarded HTTP call: to an address that was checked, encrypted, bounded in time and size, no redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from callbeam_io.delivery.addresses import Resolve, addresses, lookup

TIMEOUT: Final = 5.0
"""Seconds for connecting, and for each piece of an answer."""
DEADLINE: Final = 10.0
"""Seconds after which the connection is cut, whatever trickles in."""
_TRIED: Final = 3
"""Addresses of a host that are tried."""
LARGEST: Final = 16_384
"""Bytes of an answer that are read; what follows does not matter."""


@dataclass(frozen=True)
class Target:
    """What is called.

    Attributes:
        host: its name, which its certificate has to show.
        port: of the service.
        path: with the query.
        encrypted: TLS.
        private: the host may be at an address of the inner network.
    """

    host: str
    port: int
    path: str
    encrypted: bool = True
    private: bool = False


class Reply(NamedTuple):
    """What came back: the status and, if given, the header Retry-After."""

    status: int
    retry_after: str | None


def call(target: Target, body: bytes, headers: Mapping[str, str], resolve: Resolve = lookup) -> Reply:
    """Posts a body once.

    Raises:
        addresses.Forbidden: the host's address must not be called.
        OSError: no connection, no answer in time, a wrong certificate, or an answer that is no HTTP.
    """
    connection = _Pinned(target, resolve)
    cut = threading.Timer(DEADLINE, connection.cut)
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", target.path, body, dict(headers))
        answer = connection.getresponse()
        if connection.is_cut:  # what came of its header is no answer
            raise TimeoutError
        with suppress(OSError, http.client.HTTPException):
            answer.read(LARGEST)
        return Reply(answer.status, answer.headers.get("Retry-After"))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError("the answer could not be understood") from error
    finally:
        cut.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to the very address that was checked: no second look-up can lead elsewhere."""

    def __init__(self, target: Target, resolve: Resolve) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT)
        self._target, self._resolve = target, resolve
        self.is_cut = False
        self.default_port = 443 if target.encrypted else 80  # left out of the header Host

    def connect(self) -> None:
        target = self._target
        found = addresses(target.host, target.port, private=target.private, resolve=self._resolve)
        self.sock = self._first(found)
        if self.is_cut:  # finding it took too long
            raise TimeoutError
        if target.encrypted:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.sock = context.wrap_socket(self.sock, server_hostname=target.host)

    def _first(self, found: list[tuple[int, tuple[Any, ...]]]) -> socket.socket:
        trouble: OSError = OSError("the host has no address")
        for family, place in found[:_TRIED]:
            link = socket.socket(family, socket.SOCK_STREAM)
            try:
                link.settimeout(TIMEOUT)
                link.connect(place)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return link
            except OSError as error:
                link.close()
                trouble = error
        raise trouble

    def cut(self) -> None:
        """Ends the connection from another thread."""
        self.is_cut, link = True, self.sock
        if link is not None:
            with suppress(OSError):  # it is over already
                link.shutdown(socket.SHUT_RDWR)
