"""``/audience``: people by id, groups, day and time of day, as a table; from there to a rule for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from callbeam_io.store.web_exports import csv_pages
from webui import spelling, view
from webui.analysis_kinds import tag_place
from webui.crowd import crowd_of
from webui.exports import csv_download
from webui.roles import ANALYST, log, required
from webui.services import cached, store
from webui.subscribers import beginning

bp = Blueprint("audience", __name__)
PAGE: Final = 50
SORTS: Final = dict.fromkeys(("subscriber", "tag", "business_type", "best_hour", "best_weekday"), True)
COLUMNS: Final = tuple(SORTS)
PERIODS: Final = {
    "night": ("0–6", range(6)),
    "morning": ("6–12", range(6, 12)),
    "afternoon": ("12–18", range(12, 18)),
    "evening": ("18–24", range(18, 24)),
}
"""Parts of the day: their hours in words and in numbers."""


class Asked:
    """What is asked for: people id, groups (``tag.Health=on``), day, part of the day."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.id = request.args.get("id", "").strip()
        self.tags = [n.removeprefix("tag.") for n in request.args if n.startswith("tag.")]
        day = request.args.get("day", type=int)
        self.day = day if day is not None and 0 <= day <= 6 else None
        self.period = request.args.get("period", "")
        self.where: dict[str, Any] = {}
        if self.id:
            self.where["subscriber"] = ("prefix", beginning(self.id, spelling.home_region(run)))
        if self.tags:
            self.where["tag"] = ("in", self.tags)
        if self.day is not None:
            self.where["best_weekday"] = self.day
        if self.period in PERIODS:
            self.where["best_hour"] = ("in", list(PERIODS[self.period][1]))


@bp.get("/audience")
@required(ANALYST)
def audience() -> ResponseReturnValue:
    """The question and its answer."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Find people")
    asked, run_id = Asked(run), run["run_id"]
    sort, down = view.sort_of(SORTS, "subscriber")
    people = crowd_of(run_id, asked.where)
    total = cached(("people", run_id, repr(asked.where)), 5, people.count)
    last = max(1, -(-total // PAGE))
    page = min(max(1, request.args.get("page", 1, type=int)), last)
    tags = cached(("types", run_id), 30, lambda: web_queries.tags_of_types(store(), run_id))
    return render_template(
        "audience.html",
        asked=asked,
        rows=people.page(sort, down, PAGE, (page - 1) * PAGE),
        total=total,
        page=page,
        last=last,
        sort=sort,
        down=down,
        tags=sorted(set(tags.values()), key=tag_place),
        periods=PERIODS,
    )


@bp.get("/audience.csv")
@required(ANALYST)
def as_csv() -> Response:
    """Everybody who is asked for."""
    run = view.chosen_run() or abort(404)
    log("subscribers exported", run["run_id"], {"asked": request.args.to_dict()})
    return csv_download(
        "audience", csv_pages(store(), "subscribers", run["run_id"], Asked(run).where, COLUMNS)
    )
