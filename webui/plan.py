"""``/plan``: which analyses the live run keeps, and over which windows. For administrators."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io import orders
from callbeam_io.orders import Order
from callbeam_io.store import web_queries
from callbeam_io.store.web_queries import RequestError
from webui.analysis_kinds import ANALYSES
from webui.desk import desk
from webui.layout import NavItem
from webui.moments import is_live
from webui.roles import ADMIN, log, required
from webui.services import store

bp = Blueprint("plan", __name__)
NAV = [NavItem("Operate", "What is analysed", "ui-checks", "plan.plan", ADMIN, place=15)]
CHOICES: Final = {
    **{a.table: a.title for a in ANALYSES.values()},
    "subscribers": "Subscribers, their habits and best time",
    "clusters": "Clusters of subscribers with like habits",
}
"""What can be on, with its name on the pages."""
WINDOWS: Final = {
    "all": "All of the run together",
    "fixed:1h": "Each hour",
    "fixed:1d": "Each day",
    "sliding:1d/2h": "The last day, every two hours",
    "sliding:1h/5m": "The last hour, every five minutes",
    "sliding:60s/5s": "The last minute, every five seconds",
}
"""Windows to choose from; others may be written out."""
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@bp.route("/plan", methods=["GET", "POST"])
@required(ADMIN)
def plan() -> ResponseReturnValue:
    """What the live run keeps, and the form that changes it."""
    run = live_run()
    if request.method == "GET" or run is None:
        return _page(run)
    wanted = _wanted(run)
    if not wanted:
        flash("Nothing was changed.", "info")
        return redirect(url_for("plan.plan"))
    try:
        give(run["run_id"], wanted)
    except RequestError as error:
        field = "window" if "window" in error.what or "window" in (error.expected or "") else "templates"
        return _page(run, {field: f"{error.what}: expected {error.expected}."}, request.form)
    flash("Ordered: the run drains and goes on with the change within some seconds.", "success")
    return redirect(url_for("plan.plan"))


def live_run() -> dict[str, Any] | None:
    """The newest streaming run; None where there is none."""
    run_id = store().newest_run(mode="streaming")
    return None if run_id is None else web_queries.run_row(store(), run_id)


def kept(run: dict[str, Any]) -> dict[str, Any]:
    """What a run keeps: ``templates``, ``window``."""
    found: dict[str, Any] = (run["options"] or {}).get("plan") or {}
    return {"templates": found.get("templates") or [], "window": plain(found.get("window") or "all")}


def plain(window: str) -> str:
    """A window with its lengths in the greatest unit that fits.

    >>> plain("sliding:86400s/7200s"), plain("fixed:90s"), plain("all")
    ('sliding:1d/2h', 'fixed:90s', 'all')
    """

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found[1])
        size, unit = next((s, u) for s, u in _UNITS if seconds % s == 0)
        return f"{seconds // size}{unit}"

    return re.sub(r"(\d+)s", shorter, window)


def give(run_id: str, changes: dict[str, str]) -> None:
    """Orders a run to go on with other flags, or, without changes, to drain; 404 where there is no such run.

    Raises:
        RequestError: it cannot be.
    """
    if web_queries.run_row(store(), run_id) is None:
        abort(404, "There is no such run.")
    found = desk().changes(changes)["changes"] if changes else {}
    orders.give(store(), run_id, Order(found, current_user.name))
    log("run ordered", run_id, changes or "drain")


def _wanted(run: dict[str, Any]) -> dict[str, str]:
    """The flags that the form changes."""
    now = kept(run)
    on = [name for name in CHOICES if name in request.form.getlist("templates")]
    window = request.form.get("other", "").strip() or request.form.get("window", "")
    found = {} if set(on) == set(now["templates"]) else {"templates": ",".join(on)}
    return found | ({} if window in ("", now["window"]) else {"window": window})


def _page(
    run: dict[str, Any] | None, errors: dict[str, str] | None = None, form: Any = None
) -> ResponseReturnValue:
    now = {"templates": [], "window": "all"} if run is None else kept(run)
    waiting = None if run is None else orders.given(store(), run["run_id"])
    shown = (
        now
        if form is None
        else {"templates": form.getlist("templates"), "window": form.get("other") or form.get("window")}
    )
    page = render_template(
        "plan.html",
        run=run,
        live=run is not None and is_live(run),
        shown=shown,
        waiting=waiting,
        choices=CHOICES,
        windows={**({} if now["window"] in WINDOWS else {now["window"]: now["window"]}), **WINDOWS},
        errors=errors or {},
    )
    return page, 400 if errors else 200
