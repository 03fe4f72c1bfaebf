"""``/users``: who may sign in, with which role, and the tokens of programs. For administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, SubmitField
from wtforms.validators import DataRequired, Length, Regexp

from callbeam_io.store import web_accounts
from webui import accounts
from webui.accounts import AccountProblem
from webui.layout import NavItem
from webui.roles import ADMIN, MEANING, ROLES, VIEWER, required
from webui.services import store

bp = Blueprint("users", __name__)
NAV = [NavItem("Operate", "Users", "person-gear", "users.users", ADMIN, place=80)]
_CHOICES: Final = [(r, r.capitalize()) for r in ROLES]
_ABOUT: Final = ". ".join(f"{r.capitalize()}: {MEANING[r]}" for r in ROLES) + "."


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
    role = SelectField("Role", choices=_CHOICES, description=_ABOUT)
    add = SubmitField("Add user")


class TokenForm(FlaskForm):
    """A new API token."""

    name = StringField("What is it for", validators=[DataRequired("Say what it is for."), Length(max=60)])
    token_role = SelectField("Role", choices=_CHOICES, description=_ABOUT)
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
            try:
                _DEEDS[doing](request.form.get("username", ""))
            except AccountProblem as problem:
                flash(problem.message, "warning")
            return redirect(url_for("users.users"))
        elif doing not in ("token", "add"):
            abort(400)
    rows, tokens = web_accounts.users(store()), web_accounts.tokens(store())
    return render_template(
        "users.html", users=rows, tokens=tokens, user_form=user_form, token_form=token_form, secret=secret
    )


def _added(form: UserForm) -> bool:
    name, given = form.username.data or "", form.password.data or ""
    try:
        password = accounts.add_user(name, given, form.role.data)
    except AccountProblem as problem:
        getattr(form, problem.field).errors = [problem.message]
        return False
    first = "" if given else f", first with the password {password}"
    flash(f"{name} may sign in now{first or '.'}", "success")
    return True


def _make_token(form: TokenForm) -> str:
    return accounts.make_token(form.name.data or "", form.token_role.data)


def _set_role(username: str) -> None:
    role = request.form.get("role", VIEWER)
    if role not in ROLES:
        abort(400)
    accounts.set_role(username, role)
    flash(f"{username} is {role} now.", "success")


def _disable(username: str) -> None:
    accounts.set_disabled(username, True)
    flash(f"{username} can no longer sign in.", "success")


def _enable(username: str) -> None:
    accounts.set_disabled(username, False)
    flash(f"{username} may sign in again.", "success")


def _reset(username: str) -> None:
    password = accounts.reset_password(username)
    flash(f"The password of {username} is now {password} until the next sign-in.", "success")


def _revoke(_: str) -> None:
    name = accounts.revoke_token(request.form.get("token", ""))
    flash(f"The token {name} is worth nothing any more.", "success")


_DEEDS: Final[dict[str, Callable[[str], None]]] = {
    "role": _set_role,
    "disable": _disable,
    "enable": _enable,
    "reset": _reset,
    "revoke": _revoke,
}
