"""``/runs/jobs/<job_id>``: a command that was started from here: how far it is, its log, cancel. For administrators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from webui import words
from webui.roles import ADMIN, log, required
from webui.services import jobs, services, store

bp = Blueprint("jobs", __name__)
TONES: Final = {"running": "ok", "done": "ok", "failed": "bad", "cancelled": "idle"}
TITLES: Final = {"run": "Run", "sample": "Sample data", "generate": "Workload generator"}


@bp.route("/runs/jobs/<job_id>", methods=["GET", "POST"])
@required(ADMIN)
def job(job_id: str) -> ResponseReturnValue:
    """The page; ``do=cancel`` asks the command to end."""
    row = jobs().job(job_id) or abort(404)
    if request.method == "POST":
        if request.form.get("do") != "cancel":
            abort(400)
        jobs().cancel(job_id)
        log("job cancelled", job_id)
        flash("It was asked to end; it is ended by force in ten seconds.", "info")
        return redirect(url_for("jobs.job", job_id=job_id))
    return render_template("job.html", job=described(row), log=jobs().tail(job_id))


@bp.get("/runs/jobs/<job_id>/live")
@required(ADMIN)
def live(job_id: str) -> ResponseReturnValue:
    """What changed on that page."""
    row = described(jobs().job(job_id) or abort(404))
    parts = {
        "state": render_template("_job_state.html", job=row),
        "log": render_template("_job_log.html", log=jobs().tail(job_id)),
    }
    if row["state"] != "running":  # a button that is replaced while it is pressed does nothing
        parts["act"] = render_template("_job_act.html", job=row)
    return jsonify(status=services().pulse.status().as_json(), parts=parts)


def described(row: Mapping[str, Any]) -> dict[str, Any]:
    """A job with its title, how long it lasts, its run and how far that is (0 to 1, None where nobody knows).

    ``guided``: it was a step of the checklist, to which one goes back.
    """
    note = (row["command"] or {}).get("note") or {}
    name, about = note.get("name"), note.get("records")
    run = web_queries.run_row(store(), row["run_id"]) if row["run_id"] else None
    read = (run or {}).get("records_read") or 0
    return {
        **row,
        "title": TITLES.get(row["kind"], row["kind"]) + (f": {name}" if name else ""),
        "lasted": _lasted(row),
        "run": run,
        "read": read,
        "about": about,
        "part": min(1.0, read / about) if about else None,
        "guided": row["kind"] == "sample" or bool(note.get("guided")),
        "tone": TONES.get(row["state"], "idle"),
    }


def _lasted(row: Mapping[str, Any]) -> str:
    start, end = words.moment(row["started_at"]), words.moment(row["finished_at"] or words.now())
    return words.DASH if start is None or end is None else words.talk((end - start).total_seconds())


def recent(most: int = 5) -> list[dict[str, Any]]:
    """The newest jobs, described."""
    return [described(row) for row in jobs().newest(most)]
