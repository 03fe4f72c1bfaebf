"""``/account``: one's own password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, SubmitField
from wtforms.validators import DataRequired, EqualTo, Length

from callbeam_io.store import web_accounts
from webui import passwords, roles, signing
from webui.roles import VIEWER, required
from webui.services import store

bp = Blueprint("account", __name__)
_NEW = {"autocomplete": "new-password"}


class PasswordForm(FlaskForm):
    """The old password and, twice, the new one."""

    current = PasswordField(
        "Current password",
        validators=[DataRequired("Enter the password that you have now.")],
        render_kw={"autocomplete": "current-password"},
    )
    password = PasswordField(
        "New password",
        validators=[DataRequired("Enter a new password."), Length(max=1000)],
        description=f"At least {passwords.SHORTEST} characters.",
        render_kw=_NEW,
    )
    again = PasswordField(
        "New password again",
        validators=[EqualTo("password", "This is not the same password.")],
        render_kw=_NEW,
    )
    submit = SubmitField("Change password")


@bp.route("/account", methods=["GET", "POST"])
@required(VIEWER)
def account() -> ResponseReturnValue:
    """Changes the password; every other session of the user ends with that."""
    form = PasswordForm()
    if form.validate_on_submit() and _changed(form):
        flash("Your password was changed. Other sessions of yours have ended.", "success")
        return redirect(url_for("welcome.welcome"))
    return render_template("account.html", form=form)


def _changed(form: PasswordForm) -> bool:
    wrong = change_password(form.current.data or "", form.password.data or "")
    if wrong is not None:
        getattr(form, wrong[0]).errors = [wrong[1]]
    return wrong is None


def change_password(current: str, password: str) -> tuple[str, str] | None:
    """Changes the password of who asks; gives what is wrong: ``current`` or ``password``, and a sentence."""
    row = web_accounts.user(store(), current_user.name)
    if signing.too_many_tries(current_user.name):
        return "current", "Too many tries. Wait ten minutes, then try again."
    if row is None or not passwords.matches(row["password_hash"], current):
        if row is not None:  # a token has none
            signing.failed(current_user.name)
        return "current", "This is not your current password."
    wrong = passwords.problem(password, current_user.name)
    if wrong is None and password == current:
        wrong = "Choose another one than before."
    if wrong is not None:
        return "password", wrong
    web_accounts.change_user(
        store(), row["username"], password_hash=passwords.hashed(password), must_change=False
    )
    roles.log("password changed", row["username"])
    signing.begin(roles.user_of(web_accounts.user(store(), row["username"]) or row))
    return None
