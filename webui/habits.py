"""``/templates/subscribers``: when people are reached and whom they reach, all of them together."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from webui import view
from webui.analyses import news
from webui.analysis_kinds import tag_number, tag_place
from webui.crowd import crowd_of
from webui.exports import csv_response
from webui.figures.bars import ranked, top_of
from webui.figures.graphs import week
from webui.figures.style import TAG_COLOURS, Figure, Theme, theme
from webui.layout import NavItem
from webui.measures import Measure
from webui.roles import VIEWER, log, required
from webui.services import cached, services

bp = Blueprint("habits", __name__)
NAV = [NavItem("Analyses", "Subscriber habits", "calendar3-week", "habits.page", VIEWER, place=40)]
PEOPLE: Final = Measure("subscribers", "Subscribers", "subscribers", "People who called or wrote.")
COLUMNS: Final = ("tag", "business_type", "subscribers", "calls", "messages", "duration_s")
FRESH: Final = 10.0


@bp.get("/templates/subscribers")
@required(VIEWER)
def page() -> ResponseReturnValue:
    """The page: groups, types, and the hours of the week."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Subscriber habits")
    rows = by_type(run["run_id"])
    tag = request.args.get("tag", "")
    return render_template(
        "habits.html",
        run=run,
        runs=view.recent_runs(),
        rows=[r for r in rows if tag in ("", r["tag"])],
        people=sum(r["subscribers"] for r in rows),
        tags=sorted({r["tag"] for r in rows}, key=tag_place),
        tag=tag,
        figures=view.address("habits.figures"),
    )


@bp.get("/figures/subscribers")
@required(VIEWER)
def figures() -> ResponseReturnValue:
    """The charts of the page."""
    run = view.chosen_run() or abort(404)
    drawn = charts(run["run_id"], request.args.get("tag", ""), theme(request.args.get("theme")))
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn))


@bp.get("/templates/subscribers.csv")
@required(VIEWER)
def as_csv() -> Response:
    """The table of the page."""
    run, tag = view.chosen_run() or abort(404), request.args.get("tag", "")
    log("analysis exported", "subscribers", {"run": run["run_id"]})
    rows = [r for r in by_type(run["run_id"]) if tag in ("", r["tag"])]
    return csv_response("subscriber-habits", COLUMNS, [rows])


def by_type(run_id: str) -> list[dict[str, Any]]:
    """Subscribers, and what they did, by their group and the type that they reach most."""

    def make() -> list[dict[str, Any]]:
        sums = ("calls", "messages", "duration_s")
        rows = crowd_of(run_id).grouped(["tag", "business_type"], sums)
        return [{**r, "subscribers": r["count"], "tag": r["tag"] or "–"} for r in rows]

    return cached(("habits", run_id), FRESH, make)


def charts(run_id: str, tag: str, look: Theme) -> dict[str, Figure]:
    """Bars by group, and the week."""
    people: dict[str, int] = {}
    for row in by_type(run_id):
        people[row["tag"]] = people.get(row["tag"], 0) + row["subscribers"]
    pairs = sorted(people.items(), key=lambda pair: -pair[1])
    colours = [TAG_COLOURS[tag_number(name)] for name, _ in pairs]
    return {
        "groups": ranked(pairs, PEOPLE, look, top_of(pairs, PEOPLE), colours),
        "week": week(best_times(run_id, tag), "subscribers", "Most subscribers are reached best", look),
    }


def best_times(run_id: str, tag: str) -> dict[tuple[int, int], int]:
    """How many subscribers have their best weekday and hour there."""

    def make() -> dict[tuple[int, int], int]:
        where = {"tag": tag} if tag else {}
        rows = crowd_of(run_id, where).grouped(["best_weekday", "best_hour"])
        return {(r["best_weekday"], r["best_hour"]): r["count"] for r in rows if r["best_hour"] is not None}

    return cached(("best times", run_id, tag), FRESH, make)
