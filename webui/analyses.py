"""``/templates/<table>``: one page layout for every analysis: window, filters, chart, table, CSV, JSON."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from flask import Blueprint, Response, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from webui import measures, view
from webui.analysis_kinds import ANALYSES, Analysis, Options, Rows
from webui.exports import csv_response
from webui.figures.style import Figure, theme
from webui.layout import NavItem
from webui.measures import MEASURES, Measure
from webui.roles import VIEWER, log, required
from webui.services import cached, services, store

bp = Blueprint("analyses", __name__)
NAV = [
    NavItem("Analyses", a.title, a.icon, "analyses.page", VIEWER, {"table": a.table}, place)
    for place, a in enumerate(ANALYSES.values())
]
ALL_WINDOWS: Final = "all"
SHOWN: Final = 48
"""Rows of a table before the button that shows all."""
_COUNTED: Final = ("calls", "answered", "messages", "duration_s")


@bp.get("/templates/<table>")
@required(VIEWER)
def page(table: str) -> ResponseReturnValue:
    """The page of an analysis."""
    analysis = ANALYSES.get(table) or abort(404)
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title=analysis.title)
    asked = _Asked(analysis, run)
    address = view.address("analyses.figures", table=table)
    return render_template(
        "analysis.html", a=analysis, asked=asked, runs=view.recent_runs(), figures=address, measures=MEASURES
    )


@bp.get("/figures/<table>")
@required(VIEWER)
def figures(table: str) -> ResponseReturnValue:
    """The charts and the table of the page, for the browser to draw in place."""
    analysis = ANALYSES.get(table) or abort(404)
    asked = _Asked(analysis, view.chosen_run() or abort(404))
    look = theme(request.args.get("theme"))
    drawn = analysis.figures(asked.rows, asked.what, look)
    parts = {"table": render_template("_analysis_table.html", a=analysis, asked=asked, measures=MEASURES)}
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), parts=parts)


def news(drawn: dict[str, Figure]) -> dict[str, Figure]:
    """The figures that the browser does not show yet, by the revisions that it has."""
    shown = set(request.args.get("have", "").split(","))
    return {name: f for name, f in drawn.items() if f["rev"] not in shown}


@bp.get("/templates/<table>.csv")
@required(VIEWER)
def as_csv(table: str) -> Response:
    """The rows of the page as CSV."""
    analysis = ANALYSES.get(table) or abort(404)
    asked = _Asked(analysis, view.chosen_run() or abort(404))
    log("analysis exported", table, {"run": asked.run["run_id"]})
    columns = [*dict.fromkeys(c.name for c in analysis.columns), "window_start", "window_end", *_COUNTED]
    return csv_response(table, columns, [asked.rows])


class _Asked:
    """What the request wants to see of a run: its rows, in order, and what is chosen where."""

    def __init__(self, analysis: Analysis, run: dict[str, Any]) -> None:
        self.run = run
        self.table = analysis.table
        self.windows = view.windows(analysis.table, run["run_id"])
        self.apart = are_apart(self.windows)
        self.window = self._window()
        self.what: Measure = measures.measure(request.args.get("measure"), analysis.default)
        self.options: Options = {f.name: request.args.get(f.name, "") for f in analysis.filters}
        every = self._every_row()
        self.choices = [(f, f.choices(every)) for f in analysis.filters]
        self.sort, self.down = view.sort_of(_sorts(analysis), analysis.order)
        self.rows: Rows = sorted(analysis.shape(every, self.options), key=self._key(), reverse=self.down)
        self.shown = self.rows if request.args.get("all") else self.rows[:SHOWN]
        self.total = measures.total(self.rows, self.what)
        self.live = run["mode"] == "streaming" and run["state"] == "running"

    def _window(self) -> tuple[str, str] | None:
        if request.args.get("window") == ALL_WINDOWS and self.apart:
            return None
        return view.chosen_window(self.windows, self.run)

    @property
    def now(self) -> tuple[str, str] | None:
        """The window that is shown when none is chosen."""
        return view.window_of_now(self.windows, self.run["watermark"])

    def _every_row(self) -> Rows:
        run_id = self.run["run_id"]
        if not self.windows:
            return []
        start = self.window[0] if self.window else None
        return cached(
            ("rows", self.table, run_id, start),
            1,
            lambda: web_queries.analysis_rows(store(), self.table, run_id, start),
        )

    def _key(self) -> Callable[[dict[str, Any]], Any]:
        name = self.what.name if self.sort == "value" else self.sort
        return (lambda r: MEASURES[name].of(r)) if name in MEASURES else (lambda r: r[name])

    @property
    def data_url(self) -> str:
        """Where the rows are as JSON."""
        start: dict[str, Any] = {} if self.window is None else {"window_start": self.window[0]}
        return url_for("data.table_rows", table=self.table, run=self.run["run_id"], **start)


def _sorts(analysis: Analysis) -> dict[str, bool]:
    names = ["value", *MEASURES, *(c.name for c in analysis.columns)]
    return dict.fromkeys(names, True)


def are_apart(windows: list[tuple[str, str]]) -> bool:
    """Whether no two of these windows (the newest first) overlap, so that their rows may be added up."""
    return len(windows) > 1 and all(older[1] <= newer[0] for newer, older in pairwise(windows))
