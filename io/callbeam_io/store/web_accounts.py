"""What the web app keeps about its users: names and roles, API tokens, settings, and who did what when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import delete, func, insert, or_, select, update

from callbeam_io.store.base import StoreBase
from callbeam_io.store.tables import TABLES
from callbeam_io.store.types import utc_text
from transforms.errors import StoreError

_USERS: Final = TABLES["users"]
_TOKENS: Final = TABLES["api_tokens"]
_AUDIT: Final = TABLES["audit_log"]
_CONTROL: Final = TABLES["control"]

FAILED_SIGN_IN: Final = "sign-in failed"
_ENDED: Final = "web.ended/"
_LOOKED_BACK: Final = 20_000
"""Newest rows of the log that are searched for failed sign-ins: a long log makes no sign-in slow."""


def users(store: StoreBase) -> list[dict[str, Any]]:
    """All users, by name."""
    with store.reading() as connection:
        return [dict(r) for r in connection.execute(select(_USERS).order_by(_USERS.c.username)).mappings()]


def user(store: StoreBase, username: str) -> dict[str, Any] | None:
    """One user's row, or None."""
    with store.reading() as connection:
        row = connection.execute(select(_USERS).where(_USERS.c.username == username)).mappings().first()
    return None if row is None else dict(row)


def session_user(store: StoreBase, username: str, session: str) -> dict[str, Any] | None:
    """The row of a session's user; None where there is none, or the session was ended."""
    ended = select(_CONTROL.c.name).where(_CONTROL.c.name == f"{_ENDED}{session}")
    with store.reading() as connection:
        found = connection.execute(select(_USERS).where(_USERS.c.username == username, ~ended.exists()))
        row = found.mappings().first()
    return None if row is None else dict(row)


def end_session(store: StoreBase, session: str, since: str) -> None:
    """Ends a session, whoever has its cookie; sessions that were ended before ``since`` are over by themselves."""
    old = _CONTROL.c.name.startswith(_ENDED, autoescape=True) & (_CONTROL.c.updated_at < since)
    set_setting_once(store, f"{_ENDED}{session}", True)
    with store.writing() as connection:
        connection.execute(delete(_CONTROL).where(old))


def add_user(store: StoreBase, username: str, password_hash: str, role: str, must_change: bool) -> bool:
    """A new user; False where the name is taken."""
    row = {"username": username, "password_hash": password_hash, "role": role, "must_change": must_change}
    known = select(_USERS.c.username).where(_USERS.c.username == username)
    with store.writing() as connection:
        if connection.scalar(known) is not None:
            return False
        connection.execute(insert(_USERS).values(**row, disabled=False, created_at=utc_text()))
    return True


def change_user(store: StoreBase, username: str, **values: Any) -> None:
    """Sets columns of a user (``role``, ``disabled``, ``password_hash``, ``must_change``)."""
    with store.writing() as connection:
        connection.execute(update(_USERS).where(_USERS.c.username == username).values(**values))


def add_token(store: StoreBase, token_hash: str, name: str, role: str, created_by: str) -> None:
    """A new API token, known by its hash alone."""
    row = {"token_hash": token_hash, "name": name, "role": role, "created_by": created_by}
    with store.writing() as connection:
        connection.execute(insert(_TOKENS).values(**row, created_at=utc_text()))


def tokens(store: StoreBase) -> list[dict[str, Any]]:
    """All API tokens, the newest first."""
    ordered = select(_TOKENS).order_by(_TOKENS.c.created_at.desc(), _TOKENS.c.token_hash)
    with store.reading() as connection:
        return [dict(r) for r in connection.execute(ordered).mappings()]


def token(store: StoreBase, token_hash: str) -> dict[str, Any] | None:
    """The row of the token with this hash, or None."""
    with store.reading() as connection:
        row = connection.execute(select(_TOKENS).where(_TOKENS.c.token_hash == token_hash)).mappings().first()
    return None if row is None else dict(row)


def remove_token(store: StoreBase, token_hash: str) -> None:
    """Takes a token back."""
    with store.writing() as connection:
        connection.execute(delete(_TOKENS).where(_TOKENS.c.token_hash == token_hash))


def log(store: StoreBase, username: str, action: str, target: str = "", detail: Any = None) -> None:
    """One row of the audit log: who did what to what, with JSON details."""
    row = {"username": username, "action": action, "target": target, "detail": detail, "at": utc_text()}
    with store.writing() as connection:
        connection.execute(insert(_AUDIT).values(**row))


def logged(
    store: StoreBase, limit: int, before: int | None = None, username: str = "", action: str = ""
) -> list[dict[str, Any]]:
    """Rows of the audit log, the newest first; ``before``: only those with a smaller id."""
    wanted = [_AUDIT.c.id < before] if before is not None else []
    wanted += [_AUDIT.c[c] == v for c, v in (("username", username), ("action", action)) if v]
    statement = select(_AUDIT).where(*wanted).order_by(_AUDIT.c.id.desc()).limit(limit)
    with store.reading() as connection:
        return [dict(r) for r in connection.execute(statement).mappings()]


def actions(store: StoreBase) -> list[str]:
    """The kinds of things that were done, for a list to choose from."""
    with store.reading() as connection:
        return list(connection.scalars(select(_AUDIT.c.action).distinct().order_by(_AUDIT.c.action)))


def failures(store: StoreBase, since: str, username: str, address: str) -> Mapping[str, int]:
    """Failed sign-ins since a time: ``both`` of this name from this address, ``username``, ``address``."""
    newest = select(func.max(_AUDIT.c.id)).scalar_subquery()
    mine, here = _AUDIT.c.username == username, _AUDIT.c.target == address
    rows = select(_AUDIT.c.username, _AUDIT.c.target).where(
        _AUDIT.c.id > newest - _LOOKED_BACK,
        _AUDIT.c.at >= since,
        _AUDIT.c.action == FAILED_SIGN_IN,
        or_(mine, here),
    )
    with store.reading() as connection:
        found = [(name == username, place == address) for name, place in connection.execute(rows)]
    return {
        "both": sum(a and b for a, b in found),
        "username": sum(a for a, _ in found),
        "address": sum(b for _, b in found),
    }


def set_setting_once(store: StoreBase, name: str, value: Any) -> Any:
    """Sets a value where there is none yet; gives the one that holds now, whoever set it."""
    try:
        with store.writing() as connection:
            if connection.scalar(select(_CONTROL.c.name).where(_CONTROL.c.name == name)) is None:
                connection.execute(insert(_CONTROL).values(name=name, value=value, updated_at=utc_text()))
    except StoreError:  # another process was quicker
        if _setting(store, name) is None:
            raise
    return _setting(store, name)


def _setting(store: StoreBase, name: str) -> Any:
    with store.reading() as connection:
        return connection.scalar(select(_CONTROL.c.value).where(_CONTROL.c.name == name))


def take_setting(store: StoreBase, name: str) -> Any:
    """A value of the table ``control``, which is removed: only one caller gets it."""
    with store.writing() as connection:
        value = connection.scalar(select(_CONTROL.c.value).where(_CONTROL.c.name == name))
        removed = connection.execute(delete(_CONTROL).where(_CONTROL.c.name == name))
    return value if removed.rowcount else None
