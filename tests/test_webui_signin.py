from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from webui_world import PASSWORDS, World, sign_in, token_of

from callbeam_io.delivery.facts import PAUSED
from callbeam_io.store import open_store, web_accounts
from webui import WebConfig, create_app, first_start, signing


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_signing_in_and_out(world: World) -> None:
    browser = world.stranger()
    assert browser.get("/").headers["Location"] == "/signin"
    answer = sign_in(browser, "analyst", PASSWORDS["analyst"])
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert "analyst" in browser.get("/").text
    assert browser.post("/signout", data={"csrf_token": token_of(browser)}).status_code == 302
    assert browser.get("/").status_code == 302
    assert [r["action"] for r in web_accounts.logged(world.store, 2)] == ["signed out", "signed in"]


def test_onward_to_the_page_that_was_asked_for_but_to_no_other_host(world: World) -> None:
    asked = world.stranger().get("/dashboard?x=1").headers["Location"]
    assert asked == "/signin?next=/dashboard?x%3D1"
    form = {"username": "viewer", "password": PASSWORDS["viewer"]}
    for onward, expected in (
        ("/dashboard", "/dashboard"),
        ("https://example.com/", "/"),
        ("//example.com", "/"),
        ("/\\example.com", "/"),
    ):
        browser = world.stranger()
        form["csrf_token"] = token_of(browser, "/signin")
        answer = browser.post("/signin", query_string={"next": onward}, data=form)
        assert answer.headers["Location"] == expected


def test_wrong_password_unknown_and_disabled_users_get_the_same_answer(world: World) -> None:
    web_accounts.change_user(world.store, "viewer", disabled=True)
    tries = (("analyst", "wrong"), ("nobody", "wrong"), ("viewer", PASSWORDS["viewer"]))
    answers = {sign_in(world.stranger(), name, password).status_code for name, password in tries}
    assert answers == {401}


def test_what_is_missing_is_said_beside_the_field(world: World) -> None:
    answer = sign_in(world.stranger(), "", "")
    assert answer.status_code == 400
    assert "Enter your user name." in answer.text and "Enter your password." in answer.text


def test_too_many_tries_are_not_looked_at(world: World) -> None:
    browser = world.stranger()
    for _ in range(signing.TRIES["both"]):
        assert sign_in(browser, "analyst", "wrong").status_code == 401
    assert sign_in(browser, "analyst", PASSWORDS["analyst"]).status_code == 429
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert sign_in(world.stranger(), "analyst", PASSWORDS["analyst"], **elsewhere).status_code == 302


def test_a_session_ends_with_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = world.stranger()
    sign_in(browser, "viewer", PASSWORDS["viewer"])
    assert browser.get("/").status_code == 200
    later = signing.time.time() + 13 * 3600
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert browser.get("/").status_code == 302


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(world: World) -> None:
    browser, thief = world.stranger(), world.stranger()
    sign_in(browser, "viewer", PASSWORDS["viewer"])
    cookie = browser.get_cookie("callbeam")
    assert cookie is not None
    thief.set_cookie("callbeam", cookie.value)
    assert thief.get("/").status_code == 200
    browser.post("/signout", data={"csrf_token": token_of(browser)})
    assert thief.get("/").status_code == 302
    web_accounts.end_session(world.store, "another", "9999-01-01 00:00:00")
    assert sum(r["name"].startswith("web.ended/") for r in world.store.rows("control")) == 0, "old ones go"
    sign_in(browser, "viewer", PASSWORDS["viewer"])
    assert browser.get("/").status_code == 200


def test_a_token_that_is_none_does_not_stand_for_the_session(world: World) -> None:
    nonsense = {"Authorization": "Bearer nonsense"}
    browser = world.client("admin")
    assert browser.get("/api/v1/me", headers=nonsense).status_code == 401
    paused = browser.put("/api/v1/promotions/pause", json={"paused": True}, headers=nonsense)
    assert paused.status_code == 401 and world.store.control(PAUSED) is None


def test_strangers_send_no_files(world: World) -> None:
    many = {"list": (io.BytesIO(b"x" * (600 << 10)), "big.csv")}
    assert world.stranger().post("/consent", data=many).status_code == 413
    many = {"file": (io.BytesIO(b"x" * (600 << 10)), "big.csv")}
    assert world.stranger().post("/api/v1/drafts", data=many).status_code == 413


def test_nobody_guesses_the_password_of_a_session_that_was_left_open(world: World) -> None:
    browser = world.client("viewer")
    form = {"csrf_token": token_of(browser), "password": "quite another one", "again": "quite another one"}
    for _ in range(signing.TRIES["both"]):
        assert "not your current" in browser.post("/account", data={**form, "current": "guess"}).text
    assert "Too many tries" in browser.post("/account", data={**form, "current": PASSWORDS["viewer"]}).text


def test_a_session_ends_when_the_user_is_disabled_or_gets_a_new_password(world: World) -> None:
    first, second = world.stranger(), world.stranger()
    sign_in(first, "viewer", PASSWORDS["viewer"])
    sign_in(second, "analyst", PASSWORDS["analyst"])
    web_accounts.change_user(world.store, "viewer", disabled=True)
    web_accounts.change_user(world.store, "analyst", password_hash="pbkdf2:sha256:1$x$y")
    assert first.get("/").status_code == second.get("/").status_code == 302


def test_cookies_are_secure_over_https_only(world: World) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        cookie = world.stranger().get("/signin", base_url=f"{scheme}://localhost").headers["Set-Cookie"]
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_a_form_without_the_session_s_token_is_refused(world: World) -> None:
    browser = world.stranger()
    answer = browser.post("/signin", data={"username": "admin", "password": PASSWORDS["admin"]})
    assert answer.status_code == 400 and "load it again" in answer.text
    assert (
        world.client("admin").post("/users", data={"do": "disable", "username": "viewer"}).status_code == 400
    )


def test_a_first_password_has_to_be_changed(world: World) -> None:
    web_accounts.change_user(world.store, "viewer", must_change=True)
    browser = world.stranger()
    sign_in(browser, "viewer", PASSWORDS["viewer"])
    assert browser.get("/").headers["Location"] == "/account"
    assert browser.get("/status").json["error"]["status"] == 403
    form = {"csrf_token": token_of(browser), "current": PASSWORDS["viewer"], "password": "a new password"}
    assert "not the same" in browser.post("/account", data={**form, "again": "another"}).text
    assert (
        "at least"
        in browser.post("/account", data={**form, "password": "short", "again": "short"}).text.lower()
    )
    assert browser.post("/account", data={**form, "again": "a new password"}).headers["Location"] == "/"
    assert browser.get("/").status_code == 200
    assert sign_in(world.stranger(), "viewer", PASSWORDS["viewer"]).status_code == 401


def test_first_start_makes_an_administrator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(first_start.ENVIRONMENT, raising=False)
    store = open_store(f"sqlite:///{tmp_path / 'new.db'}")
    password = first_start.make_admin(store)
    assert password is not None and len(password) == 16
    assert first_start.make_admin(store) is None
    browser = create_app(WebConfig(""), store).test_client()
    assert sign_in(browser, "admin", password).status_code == 302
    assert browser.get("/").headers["Location"] == "/account"
    store.close()


def test_the_environment_s_password_needs_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(first_start.ENVIRONMENT, "from outside")
    store = open_store(f"sqlite:///{tmp_path / 'new.db'}")
    assert first_start.make_admin(store) is None
    browser = create_app(WebConfig(""), store).test_client()
    sign_in(browser, "admin", "from outside")
    assert browser.get("/").status_code == 200
    store.close()


def test_a_link_signs_in_once(world: World) -> None:
    link = first_start.signin_link(world.store, "http://localhost/", "admin")
    browser = world.stranger()
    assert browser.get(link).headers["Location"] == "/"
    assert "admin" in browser.get("/").text
    assert world.stranger().get(link).headers["Location"] == "/signin"
    assert world.stranger().get("/signin?link=guessed").headers["Location"] == "/signin"


def test_the_key_of_the_cookies_is_kept(world: World) -> None:
    assert first_start.secret_key(world.store) == first_start.secret_key(world.store) == world.app.secret_key
