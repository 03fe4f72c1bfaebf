"""The webhook: where promotions are sent, how messages are signed, and what an answer means."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from callbeam_io.delivery.addresses import Forbidden, Resolve, lookup
from callbeam_io.delivery.calls import Reply, Target, call
from callbeam_io.sealing import opened, seal
from callbeam_io.store.deliveries import key_of
from callbeam_io.store.store import Store
from callbeam_io.store.types import json_text
from transforms.errors import OptionError

WEBHOOK: Final = "deliveries.webhook"
"""The setting that holds it, with its secret sealed."""
SIGNATURE: Final = "Callbeam-Signature"
IDEMPOTENCY: Final = "Idempotency-Key"
REFUSED: Final = frozenset({400, 410, 413, 415, 422})
"""Answers that say that this message will never be taken."""
SENT, AGAIN, FAILED = "sent", "again", "failed"
_LONGEST_WAIT: Final = 3600
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Webhook:
    """Where promotions are sent.

    Attributes:
        url: of the receiver.
        secret: shared with it, signs every message; empty where it is not asked for.
        hosts: the only ones that are called.
        http_hosts: those of them that may be called without encryption.
        private_hosts: those of them that may be at addresses of the inner network.
    """

    url: str
    secret: str = field(repr=False)
    hosts: tuple[str, ...]
    http_hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The receiver's host, without the rest of the address, which may hold secrets."""
        return (_split(self.url).hostname or "").lower()

    def target(self) -> Target:
        """The receiver, to call.

        Raises:
            OptionError: for what cannot be called or must not be.
        """
        parts = _split(self.url)
        host, scheme = self.host, parts.scheme.lower()
        if scheme not in _PORTS or not host or parts.username or parts.password or not _is_plain(self.url):
            raise OptionError("the webhook's address", "https://host/path, without a name or password in it")
        if host not in self.hosts:
            raise OptionError(
                f"the webhook's host {host}", "one of the hosts that may be called", "add it there"
            )
        if scheme == "http" and host not in self.http_hosts:
            raise OptionError(
                f"the webhook at {host} over http", "https, or a host that may be called over http"
            )
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        port = parts.port or _PORTS[scheme]
        return Target(host, port, path, encrypted=scheme == "https", private=host in self.private_hosts)

    def check(self) -> None:
        """Raises OptionError for settings that cannot be."""
        self.target()
        if len(self.secret) < 16:
            raise OptionError("the webhook's secret", "16 letters and more", "let one be made")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # a wrong one is found here
    except ValueError as error:
        raise OptionError("the webhook's address", "https://host/path") from error
    return parts


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and "#" not in url


def new_secret() -> str:
    """A secret that nobody can guess."""
    return secrets.token_urlsafe(32)


def webhook_of(value: Mapping[str, Any] | None) -> Webhook | None:
    """The webhook of a setting's value, without its secret; None where none was set up."""
    if not value or not value.get("url"):
        return None
    lists = {n: tuple(value.get(n) or ()) for n in ("hosts", "http_hosts", "private_hosts")}
    return Webhook(str(value["url"]), "", **lists)


def signing_webhook(store: Store, value: Mapping[str, Any] | None) -> Webhook | None:
    """The webhook of a setting's value, with its secret.

    Raises:
        NoKey: the secret cannot be opened.
    """
    hook = webhook_of(value)
    if hook is None or value is None:
        return None
    return replace(hook, secret=opened(store, str(value.get("secret") or ""), WEBHOOK))


def save_webhook(store: Store, hook: Webhook | None) -> None:
    """Sets the webhook up, or takes it away.

    Raises:
        OptionError: for settings that cannot be, or no key to seal the secret with.
    """
    if hook is None:
        store.set_control(WEBHOOK, None)
        return
    hook.check()
    store.set_control(WEBHOOK, {**asdict(hook), "secret": seal(store, hook.secret, WEBHOOK)})


class Message(NamedTuple):
    """What is sent: the body, and the key by which a receiver knows a message that it got before."""

    body: bytes
    key: str


class Answer(NamedTuple):
    """What became of a message: ``sent``, to be tried ``again`` (not before ``wait`` seconds), or ``failed``."""

    state: str
    detail: str = ""
    wait: float = 0.0


Post = Callable[[Webhook, Message, float], Answer]
Call = Callable[[Target, bytes, Mapping[str, str], Resolve], Reply]


def message_of(row: Mapping[str, Any]) -> Message:
    """The message about a delivery; the same each time it is sent."""
    offer = row["offer"] or {}
    said = {
        "type": "promotion",
        "id": key_text(row),
        "subscriber": row["subscriber"],
        "rule_id": row["rule_id"],
        "rule": offer.get("rule", ""),
        "rule_version": row["rule_version"],
        "offer": {name: offer.get(name, "") for name in ("code", "text", "channel")},
        "decided_at": _iso(row["decided_at"]),
        "expires_at": _iso(row["expires_at"]),
    }
    return Message(json_text(said).encode(), key_text(row))


def trial_message() -> Message:
    """A message that offers nobody anything."""
    key = f"test-{secrets.token_hex(8)}"
    return Message(json_text({"type": "test", "id": key}).encode(), key)


def key_text(row: Mapping[str, Any]) -> str:
    """The stable hash of a delivery's key."""
    rule_id, subscriber, decided_at = key_of(row)
    return hashlib.sha256(f"{rule_id}|{decided_at}|{subscriber}".encode()).hexdigest()


def _iso(text: str | None) -> str | None:
    return None if text is None else f"{text.replace(' ', 'T')}Z"


def signature(secret: str, body: bytes, now: float) -> str:
    """The header that proves where a message comes from: its time, and HMAC-SHA256 of ``time.body``.

    >>> signature("secret", b"{}", 1767225600.5)[:27]
    't=1767225600,v1=fa7eaa06bf9'
    """
    moment = int(now)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def post(hook: Webhook, message: Message, now: float, resolve: Resolve = lookup, over: Call = call) -> Answer:
    """Sends a message once; never raises for what the network or the receiver does.

    Args:
        hook: where to.
        message: what.
        now: seconds since 1970, signed with it.
        resolve: asks for the host's addresses.
        over: makes the call: on a connection of its own, or on one that is kept (`calls.Lines.call`).
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "callbeam",
        IDEMPOTENCY: message.key,
        SIGNATURE: signature(hook.secret, message.body, now),
    }
    try:
        return meaning(over(hook.target(), message.body, headers, resolve))
    except (OptionError, Forbidden) as error:
        return Answer(AGAIN, str(error))
    except OSError as error:
        return Answer(AGAIN, f"{hook.host}: {_trouble(error)}")


def meaning(reply: Reply) -> Answer:
    """What an answer of the receiver means for the message.

    >>> meaning(Reply(204, None)).state, meaning(Reply(503, "7")).wait, meaning(Reply(422, None)).state
    ('sent', 7.0, 'failed')
    """
    said = f"answered {reply.status}"
    if 200 <= reply.status < 300:
        return Answer(SENT, said)
    if 300 <= reply.status < 400:
        return Answer(AGAIN, f"{said}: it sends to another address, which is not followed")
    if reply.status in REFUSED:
        return Answer(FAILED, said)
    wait = reply.retry_after or ""
    return Answer(AGAIN, said, float(min(int(wait), _LONGEST_WAIT)) if wait.isdecimal() else 0.0)


def _trouble(error: OSError) -> str:
    """What went wrong on the way, without anything that was sent."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error) or type(error).__name__
