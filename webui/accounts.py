"""What can be done to users and API tokens, for the page and for the API; each deed stands in the audit log."""

from __future__ import annotations

from flask import abort
from flask_login import current_user

from callbeam_io.store import web_accounts
from webui import passwords, roles
from webui.services import store


class AccountProblem(Exception):
    """Something about users that cannot be done.

    Attributes:
        field: what is wrong: ``username``, ``password``.
        message: for a person to read.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


def add_user(name: str, password: str, role: str) -> str:
    """Adds a user; gives the first password, which is made where none is given.

    Raises AccountProblem: the password will not do, or there is a user of this name.
    """
    wrong = passwords.problem(password, name) if password else None
    if wrong is not None:
        raise AccountProblem("password", wrong)
    first = password or passwords.generated()
    if not web_accounts.add_user(store(), name, passwords.hashed(first), role, must_change=True):
        raise AccountProblem("username", "There is a user of this name.")
    roles.log("user added", name, {"role": role})
    return first


def set_role(username: str, role: str) -> None:
    """Gives a user another role."""
    _other(username)
    web_accounts.change_user(store(), username, role=role)
    roles.log("role changed", username, {"role": role})


def set_disabled(username: str, disabled: bool) -> None:
    """Keeps a user out, or lets him in again."""
    _other(username)
    web_accounts.change_user(store(), username, disabled=disabled)
    roles.log("user disabled" if disabled else "user enabled", username)


def reset_password(username: str) -> str:
    """A new password that has to be changed at the next sign-in."""
    _other(username)
    password = passwords.generated()
    web_accounts.change_user(store(), username, password_hash=passwords.hashed(password), must_change=True)
    roles.log("password reset", username)
    return password


def make_token(name: str, role: str) -> str:
    """A new API token; its secret is known here and never again."""
    secret = passwords.new_token()
    web_accounts.add_token(store(), passwords.token_hash(secret), name, role, current_user.name)
    roles.log("token made", name, {"role": role})
    return secret


def revoke_token(token_hash: str) -> str:
    """Takes a token back; gives its name. 404 where there is none."""
    row = web_accounts.token(store(), token_hash) or abort(404)
    web_accounts.remove_token(store(), token_hash)
    roles.log("token revoked", row["name"])
    return str(row["name"])


def _other(username: str) -> None:
    """Only a user that exists and is not oneself: so that one administrator always remains."""
    if web_accounts.user(store(), username) is None:
        abort(404)
    if username == current_user.name:
        raise AccountProblem("username", "You cannot do this to yourself: one administrator has to remain.")
