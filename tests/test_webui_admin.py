from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from webui_world import PASSWORDS, World, sign_in

from callbeam_io.store import web_accounts


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_users_are_added_and_sign_in(world: World) -> None:
    answer = world.post(
        "/users", {"do": "add", "username": "nadia", "role": "analyst", "password": "first password"}
    )
    assert answer.status_code == 302 and "nadia" in world.get("/users").text
    browser = world.stranger()
    assert sign_in(browser, "nadia", "first password").status_code == 302
    assert browser.get("/").headers["Location"] == "/account"


def test_a_password_is_made_where_none_is_given(world: World) -> None:
    page = world.post(
        "/users", {"do": "add", "username": "omar", "role": "viewer"}, follow_redirects=True
    ).text
    made = re.search(r"first with the password (\w{16})", page)
    assert made is not None and sign_in(world.stranger(), "omar", made[1]).status_code == 302


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"username": ""}, "Enter a name."),
        ({"username": "<b>"}, "Letters, digits"),
        ({"username": "viewer"}, "There is a user of this name."),
        ({"username": "lena", "password": "short"}, "At least 8 characters."),
        ({"username": "lenalena", "password": "lenalena"}, "no password"),
        ({"username": "lena", "password": "aaaaaaaaaa"}, "four different"),
        ({"username": "lena", "role": "king"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(world: World, form: dict[str, str], said: str) -> None:
    answer = world.post("/users", {"do": "add", "role": "viewer", **form})
    assert said in answer.text and len(web_accounts.users(world.store)) == 3


def test_roles_change_and_users_are_disabled(world: World) -> None:
    assert world.get("/users", "viewer").status_code == 403
    world.post("/users", {"do": "role", "username": "viewer", "role": "admin"})
    assert world.get("/users", "viewer").status_code == 200
    world.post("/users", {"do": "disable", "username": "viewer"})
    assert world.get("/", "viewer").status_code == 302
    world.post("/users", {"do": "enable", "username": "viewer"})
    assert sign_in(world.stranger(), "viewer", PASSWORDS["viewer"]).status_code == 302


def test_a_new_password_ends_the_sessions_of_the_old_one(world: World) -> None:
    assert world.get("/", "analyst").status_code == 200
    page = world.post("/users", {"do": "reset", "username": "analyst"}, follow_redirects=True).text
    made = re.search(r"is now (\w{16})", page)
    assert made is not None and world.get("/", "analyst").status_code == 302
    assert sign_in(world.stranger(), "analyst", PASSWORDS["analyst"]).status_code == 401
    assert sign_in(world.stranger(), "analyst", made[1]).status_code == 302


@pytest.mark.parametrize("do", ["role", "disable", "reset"])
def test_nobody_locks_the_last_administrator_out(world: World, do: str) -> None:
    page = world.post("/users", {"do": do, "username": "admin", "role": "viewer"}, follow_redirects=True).text
    assert "You cannot do this to yourself" in page
    assert world.get("/users").status_code == 200


def test_what_does_not_exist_is_refused(world: World) -> None:
    assert world.post("/users", {"do": "disable", "username": "nobody"}).status_code == 404
    assert world.post("/users", {"do": "revoke", "token": "nothing"}).status_code == 404
    assert world.post("/users", {"do": "role", "username": "viewer", "role": "king"}).status_code == 400
    assert world.post("/users", {"do": "explode"}).status_code == 400
    assert world.post("/users", {"do": "add", "username": "x"}, "analyst").status_code == 403


def test_tokens_are_revoked(world: World) -> None:
    page = world.post("/users", {"do": "token", "name": "reports", "token_role": "viewer"}).text
    secret = page.split('<code id="secret">')[1].split("<")[0]
    sent = {"Authorization": f"Bearer {secret}"}
    assert world.stranger().get("/status", headers=sent).status_code == 200
    kept = world.store.rows("api_tokens")[0]["token_hash"]
    world.post("/users", {"do": "revoke", "token": kept})
    assert world.stranger().get("/status", headers=sent).status_code == 401


def test_every_change_is_in_the_audit_log(world: World) -> None:
    world.post("/users", {"do": "add", "username": "nadia", "role": "viewer"})
    world.post("/users", {"do": "role", "username": "nadia", "role": "analyst"})
    world.post("/users", {"do": "disable", "username": "nadia"})
    page = world.get("/audit?username=admin").text
    for said in ("user added", "role changed", "role analyst", "user disabled", "nadia"):
        assert said in page
    assert "role changed" not in world.get("/audit?action=user+added").text.split("<tbody>")[1]
    assert "password" not in str([r["detail"] for r in world.store.rows("audit_log")])


def test_the_audit_log_comes_in_pages(world: World) -> None:
    for i in range(130):
        web_accounts.log(world.store, "nadia", "person viewed", f"+{i}")
    first = world.get("/audit?username=nadia").text
    older = re.search(r'href="(/audit\?before=[^"]+)"', first)
    assert older is not None and first.count("person viewed</td>") == 100
    assert world.get(older[1].replace("&amp;", "&")).text.count("person viewed</td>") == 30
