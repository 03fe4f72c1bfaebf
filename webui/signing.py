"""Signing in: who it is, how often it was tried, how long it lasts."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import Flask, Request, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user, logout_user

from callbeam_io.store import utc_text, web_accounts
from callbeam_io.store.web_accounts import FAILED_SIGN_IN
from webui import passwords, roles
from webui.errors import error_json, for_programs
from webui.services import services, store

LOOK_BACK: Final = timedelta(minutes=10)
TRIES: Final = {"both": 8, "address": 40, "username": 100}
"""Failed sign-ins within `LOOK_BACK` after which none is looked at: of one name from one address, of an
address, of a name. The last is high, so that no stranger keeps an owner out by failing on purpose."""
LINK: Final = "web.signin_link"
LINK_LASTS: Final = timedelta(hours=1)
_FREE: Final = frozenset(
    {"account.account", "api about.password", "signin.signout", "signin.signin", "static", "vendor.file"}
)


def install(app: Flask) -> None:
    """Makes Flask-Login ask us, and nobody go on with a password that somebody else chose."""
    manager = LoginManager()
    manager.init_app(app, add_context_processor=False)
    manager.user_loader(_of_session)
    manager.request_loader(_of_request)
    app.before_request(_insist_on_new_password)


def _of_session(identity: str) -> roles.User | None:
    """The user of the session; a request with an API token stands for that alone."""
    if roles.bearer() is not None or session.get("until", 0) <= time.time():
        return None
    return roles.load(identity, session.get("id", ""))


def _of_request(_: Request) -> roles.User | None:
    secret = roles.bearer()
    return None if secret is None else roles.load_by_token(secret)


def _insist_on_new_password() -> ResponseReturnValue | None:
    if request.endpoint in _FREE or not current_user.is_authenticated or not current_user.must_change:
        return None
    if session.get("by_link"):
        return None
    if for_programs():
        return error_json(403, "Choose a password of your own first.")
    return redirect(url_for("account.account"))


def too_many_tries(username: str) -> bool:
    """Whether there were so many failed sign-ins that this one is not looked at."""
    since = utc_text(datetime.now(UTC) - LOOK_BACK)
    counted = web_accounts.failures(store(), since, username, _address())
    return any(counted[kind] >= most for kind, most in TRIES.items())


def sign_in_by_password(username: str, password: str) -> bool:
    """Signs in who knows the password; a failure is noted in the audit log."""
    row = web_accounts.user(store(), username)
    if (
        not passwords.matches(row["password_hash"] if row else None, password)
        or row is None
        or row["disabled"]
    ):
        failed(username)
        return False
    begin(roles.user_of(row))
    return True


def sign_in_by_link(secret: str) -> bool:
    """Signs in by a one-time link, which is used up by that."""
    known = store().control(LINK)
    if not known or known["token_hash"] != passwords.token_hash(secret) or known["until"] < utc_text():
        web_accounts.log(store(), "", FAILED_SIGN_IN, _address(), "link")
        return False
    taken = web_accounts.take_setting(store(), LINK)
    row = web_accounts.user(store(), known["username"]) if taken == known else None
    if row is None or row["disabled"]:
        return False
    begin(roles.user_of(row), by_link=True)
    return True


def failed(username: str) -> None:
    """Notes that a password was wrong."""
    web_accounts.log(store(), username, FAILED_SIGN_IN, _address())


def begin(user: roles.User, by_link: bool = False) -> None:
    """A new session: nothing of the one before lives on in it."""
    session.clear()
    session.permanent = True
    session["until"] = time.time() + services().config.session_hours * 3600
    session["id"] = secrets.token_hex(16)
    session["by_link"] = by_link
    login_user(user)
    web_accounts.log(store(), user.name, "signed in", _address(), "link" if by_link else None)


def end() -> None:
    """Ends the session, also for a copy of its cookie."""
    if current_user.is_authenticated and session.get("id"):
        lasted = timedelta(hours=services().config.session_hours)
        web_accounts.end_session(store(), session["id"], utc_text(datetime.now(UTC) - lasted))
        roles.log("signed out")
    logout_user()
    session.clear()


def _address() -> str:
    return request.remote_addr or ""
