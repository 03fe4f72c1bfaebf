"""Runs, and what they did not take."""

from __future__ import annotations

from typing import Any

from flask import abort
from marshmallow import fields

from callbeam_io.store import web_queries
from webui.api.base import Part, listed, row_of, shape, whole
from webui.roles import ANALYST
from webui.services import store

part = Part("runs", "What was read when, and how it went.")
RunRow = row_of("runs")
Runs = listed("Runs", RunRow)
Newest = shape("NewestRuns", limit=whole("how many", 1, 1000, load_default=100))
Reason = shape("Reason", reason=fields.String(), field=fields.String(allow_none=True), count=fields.Integer())
Reasons = listed("Reasons", Reason)


@part.call("GET", "/runs", ANALYST, Runs, query=Newest)
def runs(asked: dict[str, Any]) -> dict[str, Any]:
    """Runs, the newest first."""
    return {"rows": store().runs(asked["limit"])}


@part.call("GET", "/runs/<string:run_id>", ANALYST, RunRow)
def run(run_id: str) -> dict[str, Any]:
    """One run: records by fate, options, live numbers, error."""
    return web_queries.run_row(store(), run_id) or abort(404, "There is no such run.")


@part.call("GET", "/runs/<string:run_id>/rejects", ANALYST, Reasons)
def reasons(run_id: str) -> dict[str, Any]:
    """The rejected records of a run, counted by reason and field; the lines are the table `rejects`."""
    if web_queries.run_row(store(), run_id) is None:
        abort(404, "There is no such run.")
    return {"rows": web_queries.grouped(store(), "rejects", run_id, ["reason", "field"])}
