"""``/users``: who may sign in, with which role, and the tokens of programs. For administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, SubmitField
from wtforms.validators import DataRequired, Length, Regexp

from callbeam_io.store import web_accounts
from webui import passwords, roles
from webui.layout import NavItem
from webui.roles import ADMIN, MEANING, ROLES, VIEWER, required
from webui.services import store

bp = Blueprint("users", __name__)
NAV = [NavItem("Operate", "Users", "person-gear", "users.users", ADMIN, place=80)]
_CHOICES: Final = [(r, f"{r.capitalize()}: {MEANING[r]}") for r in ROLES]


class UserForm(FlaskForm):
    """A new user; an empty password means: make one."""

    username = StringField(
        "User name",
        validators=[
            DataRequired("Enter a name."),
            Length(max=60),
            Regexp(r"[\w.@-]+$", message="Letters, digits and . @ _ - only."),
        ],
        render_kw={"autocomplete": "off"},
    )
    password = StringField(
        "First password",
        description="Leave it empty to have one made. It has to be changed at the first sign-in.",
        render_kw={"autocomplete": "off"},
    )
    role = SelectField("Role", choices=_CHOICES)
    add = SubmitField("Add user")


class TokenForm(FlaskForm):
    """A new API token."""

    name = StringField("What is it for", validators=[DataRequired("Say what it is for."), Length(max=60)])
    token_role = SelectField("Role", choices=_CHOICES)
    make = SubmitField("Make token")


@bp.route("/users", methods=["GET", "POST"])
@required(ADMIN)
def users() -> ResponseReturnValue:
    """The list, and what can be done to it: the field ``do`` says which."""
    user_form, token_form, secret = UserForm(), TokenForm(), None
    if request.method == "POST":
        doing = request.form.get("do", "")
        if doing == "token" and token_form.validate_on_submit():
            secret = _make_token(token_form)
        elif doing == "add" and user_form.validate_on_submit() and _added(user_form):
            return redirect(url_for("users.users"))
        elif doing in _DEEDS:
            _DEEDS[doing](request.form.get("username", ""))
            return redirect(url_for("users.users"))
        elif doing not in ("token", "add"):
            abort(400)
    rows, tokens = web_accounts.users(store()), web_accounts.tokens(store())
    return render_template(
        "users.html", users=rows, tokens=tokens, user_form=user_form, token_form=token_form, secret=secret
    )


def _added(form: UserForm) -> bool:
    name, given = form.username.data or "", form.password.data or ""
    wrong = passwords.problem(given, name) if given else None
    if wrong is not None:
        form.password.errors = [wrong]
        return False
    password = given or passwords.generated()
    if not web_accounts.add_user(store(), name, passwords.hashed(password), form.role.data, must_change=True):
        form.username.errors = ["There is a user of this name."]
        return False
    roles.log("user added", name, {"role": form.role.data})
    flash(
        f"{name} may sign in now."
        if given
        else f"{name} may sign in now, first with the password {password}",
        "success",
    )
    return True


def _make_token(form: TokenForm) -> str:
    secret = passwords.new_token()
    row = (form.name.data or "", form.token_role.data)
    web_accounts.add_token(store(), passwords.token_hash(secret), *row, current_user.name)
    roles.log("token made", row[0], {"role": row[1]})
    return secret


def _set_role(username: str) -> None:
    role = request.form.get("role", VIEWER)
    if role not in ROLES:
        abort(400)
    if _is_other(username):
        web_accounts.change_user(store(), username, role=role)
        roles.log("role changed", username, {"role": role})
        flash(f"{username} is {role} now.", "success")


def _disable(username: str) -> None:
    if _is_other(username):
        web_accounts.change_user(store(), username, disabled=True)
        roles.log("user disabled", username)
        flash(f"{username} can no longer sign in.", "success")


def _enable(username: str) -> None:
    if _is_other(username):
        web_accounts.change_user(store(), username, disabled=False)
        roles.log("user enabled", username)
        flash(f"{username} may sign in again.", "success")


def _reset(username: str) -> None:
    if _is_other(username):
        password = passwords.generated()
        web_accounts.change_user(
            store(), username, password_hash=passwords.hashed(password), must_change=True
        )
        roles.log("password reset", username)
        flash(f"The password of {username} is now {password} until the next sign-in.", "success")


def _revoke(_: str) -> None:
    token_hash = request.form.get("token", "")
    row = web_accounts.token(store(), token_hash)
    if row is None:
        abort(404)
    web_accounts.remove_token(store(), token_hash)
    roles.log("token revoked", row["name"])
    flash(f"The token {row['name']} is worth nothing any more.", "success")


def _is_other(username: str) -> bool:
    """Whether it is a user that exists and is not oneself: so that one administrator always remains."""
    if web_accounts.user(store(), username) is None:
        abort(404)
    if username == current_user.name:
        flash("You cannot do this to yourself: one administrator has to remain.", "warning")
        return False
    return True


_DEEDS: Final[dict[str, Callable[[str], None]]] = {
    "role": _set_role,
    "disable": _disable,
    "enable": _enable,
    "reset": _reset,
    "revoke": _revoke,
}
