"""``/promotions/webhook``: where promotions are sent. For administrators."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.delivery.webhook import (
    SENT,
    WEBHOOK,
    Webhook,
    new_secret,
    post,
    save_webhook,
    signing_webhook,
    trial_message,
    webhook_of,
)
from callbeam_io.sealing import NoKey
from callbeam_io.store.web_queries import RequestError
from webui.roles import ADMIN, log, required
from webui.services import store

bp = Blueprint("webhook", __name__)
_LISTS: Final = ("hosts", "http_hosts", "private_hosts")


@bp.route("/promotions/webhook", methods=["GET", "POST"])
@required(ADMIN)
def webhook() -> ResponseReturnValue:
    """The form; ``do`` is ``save``, ``secret`` (a new one, shown once), ``test`` or ``remove``."""
    now = webhook_of(store().control(WEBHOOK))
    if request.method == "GET":
        return _page(now, trouble())
    do = request.form.get("do")
    if do == "save":
        return _save()
    if do == "secret" and now is not None:
        return _new_secret(now)
    if do == "test" and (hook := signing()):
        _test(hook)
    elif do == "remove":
        save_webhook(store(), None)
        log("webhook removed", now.host if now else "")
        flash("There is no webhook any more: nothing is sent.", "success")
    else:
        abort(400)
    return redirect(url_for("webhook.webhook"))


def signing() -> Webhook | None:
    """The webhook with its secret; NoKey where that cannot be opened."""
    return signing_webhook(store(), store().control(WEBHOOK))


def trouble() -> str:
    """Why nothing can be signed, or empty."""
    try:
        signing()
    except NoKey as error:
        return str(error)
    return ""


def secret_for(given: str) -> tuple[str, bool]:
    """The secret to save, and whether it was made: the given one, the one that there is, or a new one.

    Raises:
        NoKey: the one that there is cannot be opened.
    """
    if given:
        return given, False
    now = signing()
    return (new_secret(), True) if now is None else (now.secret, False)


def _save() -> ResponseReturnValue:
    wanted = _wanted()
    try:
        secret, made = secret_for(request.form.get("secret", "").strip())
        save_webhook(store(), replace(wanted, secret=secret))
    except RequestError as error:
        return _page(wanted, str(error)), 400
    log("webhook set up", wanted.host, {name: list(getattr(wanted, name)) for name in _LISTS})
    if made:
        return _page(wanted, made=secret)
    flash("Saved. Send a test message to see whether it arrives.", "success")
    return redirect(url_for("webhook.webhook"))


def _wanted() -> Webhook:
    """What the form says, without the secret."""
    form = request.form
    lists = {n: tuple(h.lower() for h in form.get(n, "").replace(",", " ").split()) for n in _LISTS}
    return Webhook(form.get("url", "").strip(), "", **lists)


def _new_secret(now: Webhook) -> ResponseReturnValue:
    made = another_secret(now)
    return _page(replace(now, secret=made), made=made)


def another_secret(now: Webhook) -> str:
    """Makes another secret for the webhook, known only now; messages are signed with it at once."""
    made = new_secret()
    save_webhook(store(), replace(now, secret=made))
    log("webhook secret changed", now.host)
    return made


def _test(now: Webhook) -> None:
    """Sends a message that offers nobody anything, and says what became of it."""
    answer = post(now, trial_message(), time.time())
    log("webhook tested", now.host, {"answer": answer.detail})
    if answer.state == SENT:
        flash(f"The test message arrived: the receiver {answer.detail}.", "success")
    else:
        flash(f"The test message did not arrive. {answer.detail}.", "danger")


def _page(now: Webhook | None, error: str = "", made: str = "") -> str:
    saved = webhook_of(store().control(WEBHOOK))
    return render_template("webhook.html", now=now, error=error, made=made, saved=saved)
