"""``/runs``: what was read when, and how it went; ``/runs/<run_id>``: one run."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from webui import words
from webui.layout import NavItem
from webui.roles import ANALYST, required
from webui.services import cached, store

bp = Blueprint("runs", __name__)
NAV = [NavItem("Operate", "Runs", "cpu", "runs.runs", ANALYST, place=10)]
SHOWN: Final = 100
FATES: Final = (
    ("records_good", "Good", "Taken into the results."),
    ("records_rejected", "Rejected", "Could not be read as a record; see the rejects."),
    ("records_duplicate", "Duplicate", "Seen before: the same id of the same caller."),
    ("records_late", "Late", "Came after the watermark less the allowed lateness; kept among the rejects."),
)
TONES: Final = {"running": "ok", "done": "ok", "failed": "bad", "cancelled": "idle"}


@bp.get("/runs")
@required(ANALYST)
def runs() -> ResponseReturnValue:
    """All runs, the newest first."""
    found = cached("all runs", 1, lambda: store().runs(SHOWN))
    return render_template("runs.html", runs=found, tones=TONES, lasted=lasted)


@bp.get("/runs/<run_id>")
@required(ANALYST)
def run(run_id: str) -> ResponseReturnValue:
    """One run: its records by fate, its options, its error."""
    row = web_queries.run_row(store(), run_id) or abort(404)
    reasons = web_queries.grouped(store(), "rejects", run_id, ["reason"])
    return render_template("run.html", run=row, fates=FATES, tones=TONES, reasons=reasons, lasted=lasted(row))


def lasted(row: dict[str, Any]) -> str:
    """How long a run took, or has been going on."""
    start, end = words.moment(row["started_at"]), words.moment(row["finished_at"] or row["heartbeat"])
    return words.DASH if start is None or end is None else words.talk((end - start).total_seconds())
