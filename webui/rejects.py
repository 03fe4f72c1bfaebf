"""``/rejects``: the records that were not taken, by reason, as they came."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from callbeam_io.store.web_exports import csv_pages
from webui import view
from webui.exports import csv_download
from webui.layout import NavItem
from webui.roles import ANALYST, log, required
from webui.services import cached, store

bp = Blueprint("rejects", __name__)
NAV = [NavItem("Operate", "Rejects", "x-octagon", "rejects.rejects", ANALYST, place=20)]
PAGE: Final = 100
COLUMNS: Final = ("source", "line", "field", "reason", "raw")


@bp.get("/rejects")
@required(ANALYST)
def rejects() -> ResponseReturnValue:
    """Counts by reason and field, and the lines themselves."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Rejects")
    run_id, where = run["run_id"], _where()
    groups = cached(
        ("rejects", run_id), 3, lambda: web_queries.grouped(store(), "rejects", run_id, ["reason", "field"])
    )
    rows = store().rows("rejects", run_id, where=where, limit=PAGE + 1, after=_after())
    older = rows[PAGE - 1] if len(rows) > PAGE else None
    return render_template(
        "rejects.html",
        run=run,
        runs=view.recent_runs(),
        groups=groups,
        rows=rows[:PAGE],
        older=older,
        where=where,
        total=sum(g["count"] for g in groups if all(g[name] == value for name, value in where.items())),
    )


@bp.get("/rejects.csv")
@required(ANALYST)
def as_csv() -> Response:
    """The lines as CSV."""
    run = view.chosen_run() or abort(404)
    log("rejects exported", run["run_id"], _where())
    return csv_download("rejects", csv_pages(store(), "rejects", run["run_id"], _where(), COLUMNS))


def _where() -> dict[str, str]:
    return {name: request.args[name] for name in ("reason", "field") if request.args.get(name)}


def _after() -> dict[str, str] | None:
    names = ("source", "line")
    if not all(f"after_{name}" in request.args for name in names):
        return None
    run = view.chosen_run() or abort(404)
    return {"run_id": run["run_id"], **{name: request.args[f"after_{name}"] for name in names}}
