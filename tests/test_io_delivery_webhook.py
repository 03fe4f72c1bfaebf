"""Messages on their way: signed, to no address of the inner network, bounded in time and size."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from webhook_receiver import (
    SECRET,
    Receiver,
    busy,
    endless,
    nonsense,
    receiver,
    redirects,
    then_closes,
    trickle,
)

from callbeam_io.delivery import calls
from callbeam_io.delivery.addresses import Forbidden, addresses, is_public, lookup
from callbeam_io.delivery.webhook import (
    Message,
    Webhook,
    message_of,
    new_secret,
    post,
    signature,
    trial_message,
    webhook_of,
)
from transforms.errors import OptionError

NOW = 1_767_225_600.0
ROW = {
    "rule_id": "bank-shopper",
    "subscriber": "+12025550123",
    "decided_at": "2026-01-01 00:00:00",
    "rule_version": 3,
    "expires_at": "2026-01-02 00:00:00",
    "offer": {"code": "B5", "text": "5 off", "channel": "sms", "rule": "Bank shopper"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def send(server: Receiver, *answers: object) -> Any:
    server.answers[:] = answers
    return post(server.hook, message_of(ROW), NOW)


def test_a_message_is_signed_and_says_what_is_offered(server: Receiver) -> None:
    server.got.clear()
    assert send(server).state == "sent"
    headers, body = server.got[0]
    said = json.loads(body)
    assert said["subscriber"] == "+12025550123" and said["offer"] == {
        "code": "B5",
        "text": "5 off",
        "channel": "sms",
    }
    assert said["decided_at"] == "2026-01-01T00:00:00Z"
    assert headers["Idempotency-Key"] == said["id"] and len(said["id"]) == 64
    moment, _, found = headers["Callbeam-Signature"].partition(",")
    expected = hmac.new(SECRET.encode(), f"{moment[2:]}.".encode() + body, hashlib.sha256).hexdigest()
    assert found == f"v1={expected}" and moment == f"t={int(NOW)}"
    assert headers["Host"] == f"localhost:{server.port}" and headers["Content-Type"] == "application/json"
    assert message_of(ROW) == message_of(dict(ROW))
    assert message_of({**ROW, "decided_at": "2026-01-01 00:00:05"}).key != said["id"]


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (200, "sent", "answered 200"),
        (202, "sent", "answered 202"),
        (500, "again", "answered 500"),
        (404, "again", "answered 404"),
        (429, "again", "answered 429"),
        (410, "failed", "answered 410"),
        (422, "failed", "answered 422"),
        (redirects, "again", "not followed"),
        (endless, "sent", "answered 200"),
        (nonsense, "again", "could not be understood"),
    ],
)
def test_what_an_answer_means(server: Receiver, answer: object, state: str, detail: str) -> None:
    before = len(server.got)
    found = send(server, answer)
    assert found.state == state and detail in found.detail
    assert len(server.got) == before + 1
    assert SECRET not in found.detail and "+1202" not in found.detail


def test_a_busy_receiver_is_given_the_time_that_it_asks_for(server: Receiver) -> None:
    assert send(server, busy).wait == 90


def test_nobody_holds_a_call_for_ever(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "DEADLINE", 0.3)
    assert send(server, trickle).state == "again"
    monkeypatch.setattr(calls, "TIMEOUT", 0.1)
    slow = send(server, lambda handler: handler.rfile.read(1))
    assert slow.state == "again" and slow.detail == "localhost: no answer in time"


def test_a_connection_is_used_again_until_its_address_is_old(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, asked = calls.Lines(), list[str]()

    def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        asked.append(host)
        return lookup(host, port)

    def one(*answers: object) -> str:
        server.answers[:] = answers
        return str(post(server.hook, trial_message(), NOW, resolve, lines.call).state)

    assert [one(204), one(500), one(200)] == ["sent", "again", "sent"] and len(asked) == 1
    assert one(endless) == "sent" and one() == "sent" and len(asked) == 2, "not all of an answer was read"
    assert one(then_closes) == "sent" and one() == "sent" and len(asked) == 3, "the receiver closed it"
    lines.tidy()
    assert one() == "sent" and len(asked) == 3
    monkeypatch.setattr(calls, "KEPT", -1)
    lines.close()
    assert one() == "sent" and one() == "sent" and len(asked) == 5
    lines.close()


def test_a_kept_connection_is_cut_as_well(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = calls.Lines()
    assert post(server.hook, trial_message(), NOW, over=lines.call).state == "sent"
    monkeypatch.setattr(calls, "DEADLINE", 0.2)
    server.answers[:] = [trickle]
    before = len(server.got)
    assert post(server.hook, trial_message(), NOW, over=lines.call).detail == "localhost: no answer in time"
    assert len(server.got) == before + 1
    lines.close()


def test_a_receiver_that_is_away(server: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hook = replace(server.hook, url=f"http://localhost:{port}/")
    assert post(hook, trial_message(), NOW).detail == "localhost: Connection refused"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {path} -out {path}.crt -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_over_tls_the_certificate_must_be_right(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(certificate=certificate) as server:
        assert post(server.hook, trial_message(), NOW).state == "again" and not server.got
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post(server.hook, trial_message(), NOW).state == "sent"
        other = replace(server.hook, url=f"https://127.0.0.1:{server.port}/", hosts=("127.0.0.1",))
        other = replace(other, private_hosts=("127.0.0.1",))
        assert post(other, trial_message(), NOW).state == "again", "the certificate is of another name"
        assert len(server.got) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_addresses_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


def at(*found: str) -> Any:
    """A look-up that gives these addresses, one list at each call."""
    calls = [[(socket.AF_INET, 1, 6, "", (address, 80))] for address in found]

    def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        return calls.pop(0)

    return resolve


def test_a_name_that_leads_inside_is_not_called(server: Receiver) -> None:
    before = len(server.got)
    hook = replace(server.hook, private_hosts=())
    found = post(hook, trial_message(), NOW)
    assert found.state == "again" and "inner network" in found.detail and len(server.got) == before
    with pytest.raises(Forbidden):
        addresses(
            "x",
            80,
            private=False,
            resolve=lambda *_: [*at("93.184.216.34")("x", 80), *at("10.0.0.1")("x", 80)],
        )


def test_the_address_that_was_checked_is_the_one_that_is_called(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something harmless first and then leads inside is asked only once."""
    tried: list[Any] = []

    def connect(link: socket.socket, place: Any) -> None:
        tried.append(place)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    hook = replace(server.hook, private_hosts=())
    post(hook, trial_message(), NOW, at("93.184.216.34", "127.0.0.1"))
    assert tried == [("93.184.216.34", 80)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://localhost/x", "over http"),
        ("https://example.org/x", "may be called"),
        ("https://user:pass@localhost/x", "without a name or password"),
        ("ftp://localhost/x", "https://host/path"),
        ("https:///x", "https://host/path"),
        ("https://localhost:99999/", "https://host/path"),
        ("https://localhost/a b", "https://host/path"),
        ("https://localhost/\r\nX: y", "https://host/path"),
        ("", "https://host/path"),
    ],
)
def test_addresses_that_cannot_be_set_up(url: str, said: str) -> None:
    with pytest.raises(OptionError, match=said) as error:
        Webhook(url, new_secret(), ("localhost",)).check()
    assert "pass" not in str(error.value).replace("password", "")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(OptionError, match="16 letters"):
        Webhook("https://localhost/", "short", ("localhost",)).check()
    assert webhook_of(None) is None and webhook_of({"url": ""}) is None


def test_a_signature_depends_on_secret_body_and_time() -> None:
    all_of = {signature(s, b, t) for s in ("one", "two") for b in (b"{}", b"[]") for t in (1.0, 2.9)}
    assert len(all_of) == 8
    assert Message(b"", "k").key == "k"
