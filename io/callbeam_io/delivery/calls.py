"""Guarded HTTP calls: to an address that was checked, encrypted, bounded in time and size, no redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
KEPT: Final = 30.0
"""Seconds for which a connection is used again: then the host's address is asked for and checked anew."""
_TICK: Final = 0.1


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
    lines = Lines()
    try:
        return lines.call(target, body, headers, resolve)
    finally:
        lines.close()


class Lines:
    """Connections that are kept for the calls that follow, each used by one at a time; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Target, list[_Pinned]] = {}

    def call(
        self, target: Target, body: bytes, headers: Mapping[str, str], resolve: Resolve = lookup
    ) -> Reply:
        """As `call`. Where a kept connection turns out to be closed, a new one is tried."""
        kept = self._take(target)
        if kept is not None:
            try:
                return self._exchange(kept, body, headers)
            except ConnectionError:
                pass  # the other side no longer wanted it
        return self._exchange(_Pinned(target, resolve), body, headers)

    def close(self) -> None:
        """Ends what is kept."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in (c for some in idle.values() for c in some):
            connection.close()

    def tidy(self) -> None:
        """Ends what is kept for too long."""
        now = time.monotonic()
        with self._lock:
            old = [c for some in self._idle.values() for c in some if c.until <= now]
            self._idle = {t: [c for c in some if c.until > now] for t, some in self._idle.items()}
        for connection in old:
            connection.close()

    def _take(self, target: Target) -> _Pinned | None:
        with self._lock:
            idle = self._idle.get(target)
            if not idle:
                return None
            connection = idle.pop()
        if time.monotonic() < connection.until:
            return connection
        connection.close()
        return None

    def _exchange(self, connection: _Pinned, body: bytes, headers: Mapping[str, str]) -> Reply:
        reusable = False
        try:
            with _DEADLINES.watching(connection):
                connection.request("POST", connection.target.path, body, dict(headers))
                answer = connection.getresponse()
                if connection.is_cut:  # what came of its header is no answer
                    raise TimeoutError
                with suppress(OSError, http.client.HTTPException):
                    answer.read(LARGEST)
                    reusable = answer.isclosed() and not answer.will_close
            return Reply(answer.status, answer.headers.get("Retry-After"))
        except ConnectionError as error:
            if connection.is_cut:
                raise TimeoutError from error
            raise
        except (http.client.HTTPException, ValueError) as error:
            raise OSError("the answer could not be understood") from error
        finally:
            self._end(connection, reusable and not connection.is_cut)

    def _end(self, connection: _Pinned, reusable: bool) -> None:
        if not reusable:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault(connection.target, []).append(connection)


class _Deadlines:
    """Cuts connections on which a call takes too long: one thread, while there are calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[_Pinned, float] = {}
        self._looking = False

    @contextmanager
    def watching(self, connection: _Pinned) -> Iterator[None]:
        """Cuts a connection that is still in here after `DEADLINE` seconds."""
        with self._lock:
            self._ends[connection] = time.monotonic() + DEADLINE
            begins, self._looking = not self._looking, True
        if begins:
            threading.Thread(target=self._look, name="deadlines", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._ends.pop(connection, None)

    def _look(self) -> None:
        while True:
            time.sleep(_TICK)
            now = time.monotonic()
            with self._lock:  # who has left is not cut: the connection may be another call's by now
                for connection in [c for c, end in self._ends.items() if end <= now]:
                    del self._ends[connection]
                    connection.cut()
                self._looking = bool(self._ends)
                if not self._looking:
                    return


_DEADLINES: Final = _Deadlines()


class _Pinned(http.client.HTTPConnection):
    """A connection to the very address that was checked: no second look-up can lead elsewhere."""

    def __init__(self, target: Target, resolve: Resolve) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT)
        self.target, self._resolve = target, resolve
        self.until = time.monotonic() + KEPT
        self.is_cut = False
        self.default_port = 443 if target.encrypted else 80  # left out of the header Host

    def connect(self) -> None:
        target = self.target
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
