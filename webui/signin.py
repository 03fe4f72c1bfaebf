"""``/signin``: by name and password, or once by the link that the first start prints. ``/signout``."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField, SubmitField
from wtforms.validators import DataRequired, Length

from callbeam_io.store import web_accounts
from webui import first_start, signing
from webui.errors import local_path
from webui.services import store

bp = Blueprint("signin", __name__)


class SignInForm(FlaskForm):
    """User name and password."""

    username = StringField(
        "User name",
        validators=[DataRequired("Enter your user name."), Length(max=100)],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        "Password",
        validators=[DataRequired("Enter your password."), Length(max=1000)],
        render_kw={"autocomplete": "current-password"},
    )
    submit = SubmitField("Sign in")


@bp.route("/signin", methods=["GET", "POST"])
def signin() -> ResponseReturnValue:
    """The form; a one-time link signs in at once."""
    onward = local_path(request.args.get("next")) or url_for("welcome.welcome")
    secret = request.args.get("link")
    if secret is not None and request.method == "GET":
        if signing.too_many_tries("") or not signing.sign_in_by_link(secret):
            flash("This link has been used already or is too old. Sign in with your password.", "warning")
            return redirect(url_for("signin.signin"))
        return redirect(onward)
    if request.method == "GET" and current_user.is_authenticated:
        return redirect(onward)
    form, status = SignInForm(), 200
    if form.validate_on_submit():
        status = _try(form)
        if status == 200:
            return redirect(onward)
    elif request.method == "POST":
        status = 400
    if request.method == "GET":
        form.username.data = _only_user()
    return render_template("signin.html", form=form), status


def _only_user() -> str:
    """``admin``, as long as nobody else was made a user: then only the password is to be typed."""
    names = [row["username"] for row in web_accounts.users(store())]
    return first_start.NAME if names == [first_start.NAME] else ""


def _try(form: SignInForm) -> int:
    """200: signed in; 401: wrong; 429: too often."""
    username = (form.username.data or "").strip()
    if signing.too_many_tries(username):
        form.password.errors = ["Too many tries. Wait ten minutes, then try again."]
        return 429
    if signing.sign_in_by_password(username, form.password.data or ""):
        return 200
    form.password.errors = ["Wrong user name or password."]
    return 401


@bp.post("/signout")
def signout() -> ResponseReturnValue:
    """Ends the session."""
    signing.end()
    return redirect(url_for("signin.signin"))
