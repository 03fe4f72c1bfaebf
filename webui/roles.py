"""Who may see what: viewer < analyst < admin, and the decorator that asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from flask import abort, request
from flask_login import current_user

from callbeam_io.store import web_accounts
from webui import passwords
from webui.services import cached, store

P = ParamSpec("P")
R = TypeVar("R")

VIEWER: Final = "viewer"
ANALYST: Final = "analyst"
ADMIN: Final = "admin"
ROLES: Final = (VIEWER, ANALYST, ADMIN)
MEANING: Final = {
    VIEWER: "sees numbers of many people together, phone numbers masked",
    ANALYST: "also sees subscribers, rules and promotions, and exports them",
    ADMIN: "also manages users, consent, the generator and runs",
}


class User:
    """Somebody who is signed in, by session or by API token; what Flask-Login asks of a user is here too."""

    is_authenticated = is_active = True
    is_anonymous = False

    def __init__(self, name: str, role: str, fingerprint: str = "", must_change: bool = False) -> None:
        self.id = f"{fingerprint}:{name}"
        self.name, self.role, self.must_change = name, role, must_change

    def get_id(self) -> str:
        """What the session knows the user by."""
        return self.id

    def may(self, role: str) -> bool:
        """Whether the user's role is this one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


def user_of(row: dict[str, Any]) -> User:
    """The user of a row of ``users``; a changed password or role makes another one of it."""
    return User(
        row["username"], row["role"], passwords.fingerprint(row["password_hash"]), bool(row["must_change"])
    )


def load(identity: str, session: str) -> User | None:
    """The user of a session; None where it was ended, or the password was changed or the user is gone or disabled
    since."""
    name = identity.partition(":")[2]
    row = web_accounts.session_user(store(), name, session)
    if row is None or row["disabled"]:
        return None
    user = user_of(row)
    return user if user.id == identity else None


def load_by_token(secret: str) -> User | None:
    """The user that an API token stands for."""
    row = web_accounts.token(store(), passwords.token_hash(secret))
    return None if row is None else User(f"token {row['name']}", row["role"])


def bearer() -> str | None:
    """The API token that came with the request, or None."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" and secret.strip() else None


def required(role: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A view that only this role and higher ones may see: strangers get 401 (or sign-in), others 403."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            demand(role)
            return view(*args, **kwargs)

        return guarded

    return decorate


def demand(role: str) -> None:
    """Ends the request unless the user has this role or a higher one."""
    if not current_user.is_authenticated:
        abort(401)
    if not current_user.may(role):
        abort(403)


def may(role: str) -> bool:
    """Whether the user of this request has this role or a higher one."""
    return bool(current_user.is_authenticated and current_user.may(role))


def log(action: str, target: str = "", detail: Any = None) -> None:
    """Notes in the audit log that the current user did this."""
    web_accounts.log(store(), current_user.name, action, target, detail)


def viewed(number: str, detail: Any = None) -> None:
    """Notes in the audit log that the current user looked at what is known of a person."""
    log("person viewed", number, detail)
    viewed_with(number, "")


def viewed_with(number: str, part: str) -> None:
    """The same of a part that a page about that person loads again and again: noted unless the page was just now."""
    cached(
        ("viewed", current_user.name, number),
        600,
        lambda: log("person viewed", number, part) if part else None,
    )
