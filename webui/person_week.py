"""When one subscriber calls: the hours of the week and the newest records, as far as records are kept."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.rule_desk import DeskError
from callbeam_io.store.web_queries import RequestError
from webui.analyses import news
from webui.desk import desk
from webui.figures.graphs import week
from webui.figures.style import theme
from webui.records import Answer
from webui.roles import ANALYST, required, viewed_with
from webui.services import services

bp = Blueprint("person_week", __name__)
NONE_KEPT = "No records are kept: a run has to be started with --keep_records for that."


@bp.get("/figures/person/<path:number>")
@required(ANALYST)
def figures(number: str) -> ResponseReturnValue:
    """The chart, and beside it the list."""
    viewed_with(number, "records")
    found = _found(number)
    parts = {
        "newest": render_template("_person_records.html", found=found, answer=Answer(rows=found["rows"]))
    }
    look = theme(request.args.get("theme"))
    cells = {(d, h): n for d, hours in enumerate(found["week"]) for h, n in enumerate(hours)}
    drawn = {"week": week(cells, "records", "Most active", look)}
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), parts=parts)


def _found(number: str) -> dict[str, Any]:
    """What the kept records say; ``reason`` where they say nothing."""
    nothing = {"week": [[0] * 24] * 7, "rows": [], "records": 0, "since": ""}
    try:
        found = desk().person(number)
    except (DeskError, RequestError) as error:
        return {**nothing, "reason": f"The kept records cannot be read: {error}"}
    return {"reason": "", **found} if found.get("run_id") else {**nothing, "reason": NONE_KEPT}
