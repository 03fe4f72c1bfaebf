"""``/pause``: the switch that holds all promotions, on every way out, within two seconds."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.delivery.facts import PAUSED
from callbeam_io.store import utc_text
from webui.errors import local_path
from webui.roles import ANALYST, log, required
from webui.services import store

bp = Blueprint("pause", __name__)


@bp.route("/pause", methods=["GET", "POST"])
@required(ANALYST)
def pause() -> ResponseReturnValue:
    """The switch; ``do`` is ``pause`` or ``resume``, ``back`` the page to go on with."""
    if request.method == "GET":
        return render_template("pause.html")
    if request.form.get("do") not in ("pause", "resume"):
        abort(400)
    switch(on=request.form["do"] == "pause")
    return redirect(local_path(request.form.get("back")) or url_for("pause.pause"))


def switch(*, on: bool) -> None:
    """Pauses all promotions, or lets them go again."""
    if on == is_paused():
        return
    store().set_control(PAUSED, {"by": current_user.name, "at": utc_text()} if on else None)
    log("promotions paused" if on else "promotions resumed")
    if not on:  # that they are paused stands on every page
        flash("Promotions go out again.", "success")


def paused() -> dict[str, Any] | None:
    """Who paused all promotions and since when; None where nobody did."""
    found = store().control(PAUSED)
    return dict(found) if isinstance(found, dict) else None


def is_paused() -> bool:
    """Whether all promotions are paused."""
    return paused() is not None
