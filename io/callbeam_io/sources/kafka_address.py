"""What a Kafka input says: servers, topic, and the client's settings with their secrets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from transforms.errors import InputError

SETTINGS_FILE: Final = "CALLBEAM_KAFKA_CONFIG"
"""Environment variable: path of a file with settings of the client, JSON or lines ``name=value``."""
_EXPECTED: Final = "kafka://host:9092/topic, with settings of the client as ?name=value&…"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_OURS: Final = {
    "auto.offset.reset": "error",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
}
"""What reading each record once depends on."""
_BOTH: Final = {
    "allow.auto.create.topics": "false",
    "client.id": "callbeam",
    "log_level": "0",  # troubles are told by callbeam, not on standard error
    "reconnect.backoff.max.ms": "2000",
}
_READING: Final = {
    "group.id": "callbeam",  # the client wants one, though nothing is ever stored under it
    "fetch.queue.backoff.ms": "20",  # a second by default, in which a fast reader waits for nothing
    "queued.max.messages.kbytes": "16384",
    "topic.metadata.refresh.interval.ms": "30000",
}
_WRITING: Final = {
    "compression.type": "lz4",
    "enable.idempotence": "true",
    "linger.ms": "20",
}


@dataclass(frozen=True)
class KafkaAddress:
    """Where to read.

    Attributes:
        servers: host:port, several with commas between.
        topic: its name.
        settings: for the client (librdkafka), as given; secrets among them.
    """

    servers: str
    topic: str
    settings: Mapping[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """The input without its settings."""
        return f"kafka://{self.servers}/{self.topic}"

    def reading(self) -> dict[str, str]:
        """All settings of a consumer; what callbeam depends on goes before what is given."""
        return {**_BOTH, **_READING, **self.settings, **_OURS, "bootstrap.servers": self.servers}

    def writing(self) -> dict[str, str]:
        """All settings of a producer."""
        given = {name: value for name, value in self.settings.items() if name not in (*_READING, *_OURS)}
        return {**_BOTH, **_WRITING, **given, "bootstrap.servers": self.servers}


def kafka_address(text: str) -> KafkaAddress:
    """Reads a ``kafka://`` input and the settings file, if one is named in the environment.

    Settings of the input go before those of the file.

    Raises:
        InputError: it cannot be read; the message shows no setting's value.
    """
    servers, topic = _servers_and_topic(text)
    query = dict(parse_qsl(urlsplit(text).query, keep_blank_values=True))
    for name in query:
        if name in _OURS or name == "bootstrap.servers":
            raise InputError(
                f"--input kafka://{servers}/{topic} sets {name}", todo="Leave it out: callbeam sets it"
            )
    return KafkaAddress(servers, topic, {**_from_file(), **query})


def _servers_and_topic(text: str) -> tuple[str, str]:
    parts = urlsplit(text)
    topic = unquote(parts.path).strip("/")
    if "@" in parts.netloc:
        raise InputError("--input kafka://…@… has a name before the host", _EXPECTED, "Use ?sasl.username=…")
    if not parts.netloc or parts.fragment or not _TOPIC.fullmatch(topic):
        raise InputError(f"--input kafka://{parts.netloc}{parts.path}", _EXPECTED)
    return ",".join(_with_port(server) for server in parts.netloc.split(",") if server), topic


def _with_port(server: str) -> str:
    return server if re.search(r":\d+$", server) else f"{server}:9092"


def _from_file() -> dict[str, str]:
    path = os.environ.get(SETTINGS_FILE)
    if not path:
        return {}
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{SETTINGS_FILE}={path} cannot be read", "a file of client settings") from error
    try:
        return _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)
    except ValueError:  # its text may hold secrets: not shown
        raise InputError(f"{SETTINGS_FILE}={path}", 'JSON {"name": "value"}, or lines name=value') from None


def _from_json(text: str) -> dict[str, str]:
    settings = json.loads(text)
    if not isinstance(settings, dict) or any(isinstance(v, dict | list) for v in settings.values()):
        raise ValueError
    return {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in settings.items()}


def _from_lines(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith(("#", "!"))]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError
    return {name.strip(): value.strip() for name, _, value in pairs}
