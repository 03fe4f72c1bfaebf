"""``/alerts``: whom to tell when the pipeline's state changes. For administrators."""

from __future__ import annotations

from dataclasses import asdict, replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.alerts import LAST, SECURITY, Alerts, load_alerts, save_alerts, tell
from callbeam_io.store import utc_text
from callbeam_io.store.states import Change
from callbeam_io.store.web_queries import RequestError
from webui.layout import NavItem
from webui.roles import ADMIN, log, required
from webui.services import store
from webui.statebook import NAMES

bp = Blueprint("alerts", __name__)
NAV = [NavItem("Operate", "Alerts", "bell", "alerts.alerts", ADMIN, place=40)]


@bp.route("/alerts", methods=["GET", "POST"])
@required(ADMIN)
def alerts() -> ResponseReturnValue:
    """The form; ``do=save`` keeps it, ``do=test`` keeps it and tells a change that did not happen."""
    if request.method == "GET":
        return _page(load_alerts(store()))
    if request.form.get("do") not in ("save", "test"):
        abort(400)
    wanted = _wanted()
    try:
        now = set_up(wanted)
    except RequestError as error:
        return _page(wanted, {error.what: said(error)}), 400
    if request.form["do"] == "test":
        _test(now)
    else:
        flash("Saved.", "success")
    return redirect(url_for("alerts.alerts"))


def set_up(wanted: Alerts) -> Alerts:
    """Sets it up; gives what is set up now.

    Raises:
        RequestError: what cannot be; ``what`` is the name of the field.
    """
    save_alerts(store(), wanted)
    now = load_alerts(store())
    log("alerts set up", "", {**asdict(replace(now, password="")), "password": bool(now.password)})
    return now


def said(error: RequestError) -> str:
    """What is wrong with a field."""
    return f"Expected {error.expected}." if error.expected else error.todo


def tried() -> list[str]:
    """Tells a change that did not happen; gives what went wrong, a sentence each."""
    wrong = tell(
        store(), load_alerts(store()), Change(utc_text(), "test", "This is a test: nothing happened.")
    )
    log("alerts tested", "", {"wrong": wrong})
    return wrong


def _wanted() -> Alerts:
    form = {name: value.strip() for name, value in request.form.items()}
    texts = {n: form.get(n, "") for n in ("url", "host", "user", "password", "sender", "to")}
    port = form.get("port") or "587"
    number = int(port) if port.isascii() and port.isdigit() else 0
    return Alerts(**texts, inner="inner" in form, port=number, security=form.get("security", "starttls"))


def _test(now: Alerts) -> None:
    """Tells it at once, so that the page can say what became of it."""
    if not (now.url or now.host):
        flash("There is nobody to tell yet.", "warning")
        return
    wrong = tried()
    if wrong:
        flash("The test did not arrive. " + ". ".join(wrong), "danger")
    else:
        flash("The test was taken. See whether it arrived.", "success")


def _page(now: Alerts, errors: dict[str, str] | None = None) -> str:
    return render_template(
        "alerts.html",
        now=now,
        errors=errors or {},
        security=SECURITY,
        has_password=bool(load_alerts(store()).password),
        last=store().control(LAST),
        states=NAMES,
    )
