"""``/dashboard``: is it alive, what goes out, what is held back, and what the records say."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from webui import view
from webui.analyses import news
from webui.figures.style import Figure, Theme, theme
from webui.layout import NavItem
from webui.promotions import rule_names
from webui.reasons import OUTCOMES
from webui.roles import ANALYST, VIEWER, may, required
from webui.services import cached, services
from webui.snapshot import charts, snapshot

bp = Blueprint("dashboard", __name__)
NAV = [NavItem("Now", "Dashboard", "speedometer2", "dashboard.dashboard", VIEWER, place=20)]


@bp.get("/dashboard")
@required(VIEWER)
def dashboard() -> ResponseReturnValue:
    """The page, with its numbers; the charts follow."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Dashboard")
    return render_template("dashboard.html", run=run, snap=snapshot(run), **_words())


@bp.get("/dashboard/live")
@required(VIEWER)
def live() -> ResponseReturnValue:
    """What changed: texts, tables and charts, for the browser to put in place."""
    run, look = view.chosen_run() or abort(404), theme(request.args.get("theme"))
    # the same for all browsers but for masked numbers, so made once a second
    key = ("live dashboard", run["run_id"], look.name, may(ANALYST))
    made, drawn = cached(key, 1, lambda: _changing(run, look))
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), **made)


def _changing(run: view.Run, look: Theme) -> tuple[dict[str, dict[str, str]], dict[str, Figure]]:
    snap = snapshot(run)
    parts = {
        name: render_template(f"_dash_{name}.html", snap=snap, **_words())
        for name in ("rules", "promotions", "held", "sparks")
    }
    links = {"offered": snap.link("offered"), "held": snap.link("held_back")} if may(ANALYST) else {}
    return {"texts": snap.texts, "parts": parts, "links": links}, charts(run, look)


def _words() -> dict[str, object]:
    return {"names": rule_names(), "outcomes": OUTCOMES}
