"""Secrets in the store: sealed by a key outside of it, said clearly where that is missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from stores import postgres_url

from callbeam_io.alerts import SETTING, Alerts, load_alerts, save_alerts, tell, with_password
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import WEBHOOK, Webhook, save_webhook, signing_webhook
from callbeam_io.sealing import KEY, KEY_FILE, NoKey, derived_key, opened, seal
from callbeam_io.store import Store, open_store, utc_text
from callbeam_io.store.states import Change
from pipelines import deliver
from transforms.errors import OptionError

HOOK = Webhook("https://example.org/x", "a secret of the receiver", ("example.org",))
MAIL = Alerts(
    host="mail.example", user="ops", password="hush-hush", sender="a@example.com", to="b@example.com"
)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(KEY_FILE, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path}/results.db")
    yield made
    made.close()


def test_what_is_sealed_opens_for_its_purpose_alone(store: Store, tmp_path: Path) -> None:
    sealed = seal(store, "hush", "mail ops@here")
    assert "hush" not in sealed and opened(store, sealed, "mail ops@here") == "hush"
    with pytest.raises(NoKey, match="something else"):
        opened(store, sealed, "mail ops@elsewhere")
    assert seal(store, "", "x") == "" and opened(store, "from before", "x") == "from before"
    assert (tmp_path / "results.db.key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.glob("*.key*")] == ["results.db.key"], "no draft is left"


def test_no_secret_stands_in_the_files_of_the_store(store: Store, tmp_path: Path) -> None:
    save_webhook(store, HOOK)
    save_alerts(store, MAIL)
    store.close()
    for path in tmp_path.glob("results.db*"):
        text = path.read_bytes()
        assert HOOK.secret.encode() not in text and MAIL.password.encode() not in text, path.name
    assert HOOK.secret not in repr(HOOK) and MAIL.password not in repr(MAIL)


def test_a_plain_value_goes_on_working_until_it_is_saved(store: Store) -> None:
    store.set_control(WEBHOOK, asdict(HOOK))
    store.set_control(SETTING, asdict(MAIL))
    assert signing_webhook(store, store.control(WEBHOOK)) == HOOK
    assert with_password(store, load_alerts(store)).password == MAIL.password
    save_alerts(store, Alerts(**{**asdict(MAIL), "password": ""}))
    assert store.control(SETTING)["password"].startswith("sealed:")
    assert with_password(store, load_alerts(store)).password == MAIL.password


def test_a_key_that_is_gone_is_named(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    save_webhook(store, HOOK)
    save_alerts(store, MAIL)
    (tmp_path / "results.db.key").unlink()
    with pytest.raises(NoKey, match=r"results\.db\.key cannot be read"):
        signing_webhook(store, store.control(WEBHOOK))
    assert deliver.main(["--store", store.name, "--once"]) == 2
    assert "results.db.key" in capsys.readouterr().err
    assert "results.db.key" in tell(store, load_alerts(store), Change(utc_text(), "stopped"))[0]
    with pytest.raises(OptionError) as wrong:
        save_alerts(store, Alerts(**{**asdict(MAIL), "password": ""}))
    assert wrong.value.what == "password"
    save_alerts(store, MAIL)  # given anew, with a new key
    assert with_password(store, load_alerts(store)).password == MAIL.password
    with pytest.raises(NoKey, match="does not open"):
        signing_webhook(store, store.control(WEBHOOK))


def test_a_sender_waits_for_its_key(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from delivery_world import T0, promotion, queue, run_with

    queue(store, run_with(store, promotion(1))).add_all(T0)
    save_webhook(store, HOOK)
    (tmp_path / "results.db.key").rename(tmp_path / "away")
    sender = Sender(store, lambda: T0, lambda *_: pytest.fail("nothing is sent unsigned"))
    sender.start()
    for _ in range(100):
        if "results.db.key" in caplog.text:
            break
        threading.Event().wait(0.02)
    sender.close()
    assert "deliveries wait: the key" in caplog.text and HOOK.secret not in caplog.text


def test_keys_are_changed_by_two_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv(KEY, old)
    sealed = seal(store, "hush", "x")
    monkeypatch.setenv(KEY, f"{new},{old}")
    assert opened(store, sealed, "x") == "hush"
    again = seal(store, "hush", "x")
    monkeypatch.setenv(KEY, new)
    assert opened(store, again, "x") == "hush"
    with pytest.raises(NoKey, match=KEY):
        opened(store, sealed, "x")


@pytest.mark.parametrize("text", ["no key", "é", ",", "AAAA"])
def test_a_key_that_is_none(store: Store, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(KEY, text)
    for ask in (lambda: seal(store, "hush", "x"), lambda: derived_key(store, "x")):
        with pytest.raises(NoKey, match="32 bytes"):
            ask()


def test_several_processes_make_one_key(store: Store) -> None:
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(derived_key(store, "x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and derived_key(store, "y") != found[0]


@pytest.mark.postgres
def test_a_store_that_is_no_file_needs_a_named_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(postgres_url())
    try:
        assert derived_key(store, "x") is None
        with pytest.raises(NoKey, match=KEY_FILE):
            save_webhook(store, HOOK)
        monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
        save_webhook(store, HOOK)
        assert signing_webhook(store, store.control(WEBHOOK)) == HOOK and (tmp_path / "key").exists()
    finally:
        store.close()
