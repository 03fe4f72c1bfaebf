"""Which addresses a webhook may call: no host of the inner network unless somebody said so."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[tuple[Any, ...]]]
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """The host is at an address that must not be called."""


def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """The addresses of a host, as `socket.getaddrinfo` gives them."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def addresses(
    host: str, port: int, *, private: bool, resolve: Resolve = lookup
) -> list[tuple[int, tuple[Any, ...]]]:
    """Family and address of a host, asked once: what is checked here is what has to be connected to.

    Args:
        host: its name, or an address.
        port: to connect to.
        private: addresses of the inner network are fine.
        resolve: asks for the addresses.

    Raises:
        Forbidden: one of the addresses is private, of this machine or otherwise not of the internet.
        OSError: there is no such host.
    """
    found = [(entry[0], entry[4]) for entry in resolve(host, port)]
    for _, place in found:
        if not private and not is_public(str(place[0])):
            raise Forbidden(f"{host} is at an address of the inner network")
    return found


def is_public(text: str) -> bool:
    """Whether an address belongs to the internet, also where one is wrapped in another.

    >>> is_public("93.184.216.34"), is_public("10.1.2.3"), is_public("::ffff:127.0.0.1"), is_public("224.0.0.1")
    (True, False, False, False)
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(one.is_global and not one.is_multicast for one in [address, *_wrapped(address)])


def _wrapped(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
