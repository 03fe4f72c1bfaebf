"""``/rejects``: the records that were not taken, by reason, as they came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from webui import view
from webui.exports import csv_response
from webui.layout import NavItem
from webui.roles import ANALYST, log, required
from webui.services import cached, store

bp = Blueprint("rejects", __name__)
NAV = [NavItem("Operate", "Rejects", "x-octagon", "rejects.rejects", ANALYST, place=20)]
PAGE: Final = 100
EXPORT_PAGE: Final = 20_000
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
    log("rejects viewed", run_id)
    older = rows[PAGE - 1] if len(rows) > PAGE else None
    return render_template(
        "rejects.html",
        run=run,
        runs=view.recent_runs(),
        groups=groups,
        rows=rows[:PAGE],
        older=older,
        where=where,
    )


@bp.get("/rejects.csv")
@required(ANALYST)
def as_csv() -> Response:
    """The lines as CSV."""
    run = view.chosen_run() or abort(404)
    log("rejects exported", run["run_id"], _where())
    return csv_response("rejects", COLUMNS, pages("rejects", run["run_id"], _where()))


def pages(table: str, run_id: str | None, where: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """All rows of a table in the order of its key, some at a time."""
    opened, after = store(), None
    while True:
        rows = opened.rows(table, run_id, where=where, limit=EXPORT_PAGE, after=after)
        if not rows:
            return
        yield rows
        after = rows[-1]


def _where() -> dict[str, str]:
    return {name: request.args[name] for name in ("reason", "field") if request.args.get(name)}


def _after() -> dict[str, str] | None:
    names = ("source", "line")
    if not all(f"after_{name}" in request.args for name in names):
        return None
    run = view.chosen_run() or abort(404)
    return {"run_id": run["run_id"], **{name: request.args[f"after_{name}"] for name in names}}
