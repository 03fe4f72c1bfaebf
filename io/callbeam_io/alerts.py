"""Telling somebody outside that the pipeline's state changed: by a webhook, by mail, or both."""

from __future__ import annotations

import logging
import queue
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import urlsplit

from callbeam_io.delivery.addresses import Forbidden
from callbeam_io.delivery.calls import Target, call
from callbeam_io.sealing import NoKey, opened, seal
from callbeam_io.store import Store, json_text, utc_text
from callbeam_io.store.states import Change, newest_state, state_changes
from transforms.errors import OptionError, StoreError

SETTING: Final = "alerts"
LAST: Final = "alerts.last"
TOLD: Final = "alerts.told"
"""The moment of the newest change of state that was told."""
SECURITY: Final = ("starttls", "tls", "none")
TIMEOUT: Final = 10.0
TRIES: Final = 3
_PAUSE: Final = 2.0
_RELOAD: Final = 30.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alerts:
    """Where changes of state are told; what is empty is not used.

    Attributes:
        url: of the webhook.
        inner: the webhook may be at an address of the inner network, and without encryption.
        host, port, security: of the mail server; ``starttls``, ``tls`` or ``none``.
        user, password: for it, if it asks; as the store keeps it (see `secret`) the password is sealed.
        sender, to: addresses of the mail, several of ``to`` with commas.
    """

    url: str = ""
    inner: bool = False
    host: str = ""
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    to: str = ""

    def check(self) -> None:
        """OptionError for what cannot be; its text begins with the name of the field."""
        if self.url:
            self.target()
        if not self.host:
            return
        if self.security not in SECURITY:
            raise OptionError("security", f"one of {', '.join(SECURITY)}")
        if not 1 <= self.port <= 65535:
            raise OptionError("port", "1 to 65535")
        if self.user and self.security == "none":
            raise OptionError("security", "starttls or tls where a password is sent")
        for name, value in (("sender", self.sender), ("to", self.to)):
            if not value or any("@" not in part or not part.isprintable() for part in value.split(",")):
                raise OptionError(name, "an address such as ops@example.com")

    @property
    def purpose(self) -> str:
        """What the password is sealed for: it goes to no other server and user."""
        return f"mail {self.user}@{self.host}"

    def target(self) -> Target:
        """The webhook, to call; OptionError for what cannot be called."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise OptionError("url", "https://host/path") from error
        plain = self.url.isascii() and self.url.isprintable() and " " not in self.url
        schemes = ("https", "http") if self.inner else ("https",)
        if parts.scheme not in schemes or not parts.hostname or parts.username or not plain:
            raise OptionError("url", "https://host/path; http only for an address of the inner network")
        encrypted = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.hostname, port or (443 if encrypted else 80), path, encrypted, self.inner)


def load_alerts(store: Store) -> Alerts:
    """What is set up in a store, with the password as it stands there; `with_password` opens it."""
    found: Mapping[str, Any] = store.control(SETTING) or {}
    known = {name: found[name] for name in Alerts.__dataclass_fields__ if name in found}
    return Alerts(**known)


def with_password(store: Store, alerts: Alerts) -> Alerts:
    """The same with the password open, to send mail; NoKey where it does not open."""
    return replace(alerts, password=opened(store, alerts.password, alerts.purpose))


def save_alerts(store: Store, alerts: Alerts) -> None:
    """Sets it up; a password is kept where none is given for the same user and server.

    Raises:
        OptionError: what cannot be; ``password`` where there is no key to seal it with or to open it.
    """
    alerts.check()
    before = load_alerts(store)
    try:
        if not alerts.password and before.purpose == alerts.purpose:
            alerts = replace(alerts, password=with_password(store, before).password)
        sealed = seal(store, alerts.password, alerts.purpose)
    except NoKey as error:
        raise OptionError("password", todo=str(error)) from None
    store.set_control(SETTING, asdict(replace(alerts, password=sealed)))


def tell(store: Store, alerts: Alerts, change: Change) -> list[str]:
    """Tells a change once over every way; gives what went wrong, a sentence each.

    Args:
        store: that it is about.
        alerts: the ways, as `load_alerts` gives them.
        change: of state.
    """
    ways = [("webhook", alerts.url, post), ("mail", alerts.host, mail)]
    wrong = []
    for name, used, send in ways:
        try:
            if used:
                send(store, alerts, change)
        except (OSError, smtplib.SMTPException, Forbidden, OptionError) as error:
            wrong.append(f"{name}: {error or type(error).__name__}")
    return wrong


def post(store: Store, alerts: Alerts, change: Change) -> None:
    """Calls the webhook; OSError where it does not answer 2xx."""
    body = {"type": "state", **change._asdict(), "at": f"{change.at.replace(' ', 'T')}Z", "store": store.name}
    reply = call(
        alerts.target(),
        json_text(body).encode(),
        {"Content-Type": "application/json", "User-Agent": "callbeam"},
    )
    if not 200 <= reply.status < 300:
        raise OSError(f"answered {reply.status}")


def mail(store: Store, alerts: Alerts, change: Change) -> None:
    """Sends a mail; OSError or SMTPException where the server does not take it, NoKey: its password is closed."""
    alerts = with_password(store, alerts)
    message = EmailMessage()
    message["Subject"] = f"callbeam: {change.detail or change.state}"[:200]
    message["From"], message["To"] = alerts.sender, alerts.to
    message.set_content(
        f"{change.detail}\n\n{change.at} UTC\nStore: {store.name}\nRun: {change.run_id or '-'}\n"
    )
    context = ssl.create_default_context()
    if alerts.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(alerts.host, alerts.port, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(alerts.host, alerts.port, timeout=TIMEOUT)
    with server:
        if alerts.security == "starttls":
            server.starttls(context=context)
        if alerts.user:
            server.login(alerts.user, alerts.password)
        server.send_message(message)


def untold(store: Store) -> list[Change]:
    """Changes that were noted and not told, in order; what was before anybody could tell is not told any more."""
    told = store.control(TOLD)
    if told is None:
        newest = newest_state(store)
        mark_told(store, "" if newest is None else newest.at)
        return []
    return [change for change in state_changes(store, told) if change.at > told]


def mark_told(store: Store, at: str) -> None:
    """Notes that the changes until a moment were told."""
    before = store.control(TOLD)
    if before is None or before < at:
        store.set_control(TOLD, at)


class Teller:
    """Tells changes on a thread of its own. What is set up is known here too while the store is away."""

    def __init__(self, store: Store, pause: Callable[[float], object] = time.sleep) -> None:
        self._store, self._pause = store, pause
        self._alerts = Alerts()
        self._queue: queue.Queue[Change] = queue.Queue(maxsize=100)

    def start(self) -> None:
        """Begins."""
        threading.Thread(target=self._work, name="alerts", daemon=True).start()

    def put(self, change: Change) -> None:
        """Takes a change to be told."""
        try:
            self._queue.put_nowait(change)
        except queue.Full:
            _LOG.warning("a change of state is not told: too many wait")

    def _work(self) -> None:
        while True:
            self._reload()
            try:
                change = self._queue.get(timeout=_RELOAD)
            except queue.Empty:
                continue
            self._reload()
            self.send(self._alerts, change)

    def send(self, alerts: Alerts, change: Change) -> list[str]:
        """Tells a change, a few times if need be, and notes how that went; gives what went wrong."""
        wrong: list[str] = []
        for number in range(TRIES):
            wrong = tell(self._store, alerts, change)
            if not wrong:
                break
            self._pause(_PAUSE * (number + 1))
        self._note(alerts, change, wrong)
        return wrong

    def _note(self, alerts: Alerts, change: Change, wrong: list[str]) -> None:
        try:
            if alerts.url or alerts.host:
                self._store.set_control(LAST, {"at": utc_text(), "state": change.state, "wrong": wrong})
            mark_told(self._store, change.at)
        except StoreError as error:
            _LOG.warning("%s", error)

    def _reload(self) -> None:
        with suppress(StoreError):  # what was known before holds on
            self._alerts = load_alerts(self._store)
