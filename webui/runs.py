"""``/runs``: what was read when, and how it went; ``/runs/<run_id>``: one run."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.store import web_queries
from callbeam_io.store.jobs import job_of_run
from callbeam_io.store.web_queries import RequestError
from webui import band, words
from webui.commands import again_options, resume_command
from webui.jobs import recent
from webui.layout import NavItem
from webui.new_run import begun
from webui.pulse import is_alive
from webui.roles import ADMIN, ANALYST, demand, log, may, required
from webui.services import cached, jobs, store

bp = Blueprint("runs", __name__)
NAV = [NavItem("Operate", "Runs", "cpu", "runs.runs", ANALYST, place=10)]
SHOWN: Final = 100
FATES: Final = (
    ("records_good", "Good", "Taken into the results."),
    ("records_rejected", "Rejected", "Could not be read as a record; see the rejects."),
    ("records_duplicate", "Duplicate", "Seen before: the same id of the same caller."),
    ("records_late", "Late", "Came after the watermark less the allowed lateness; kept among the rejects."),
)
TONES: Final = {"running": "ok", "done": "ok", "failed": "bad", "stopped": "bad", "cancelled": "idle"}


@bp.get("/runs")
@required(ANALYST)
def runs() -> ResponseReturnValue:
    """All runs, the newest first."""
    found = cached("all runs", 1, lambda: store().runs(SHOWN))
    started = recent() if may(ADMIN) else []
    return render_template(
        "runs.html",
        runs=found,
        jobs=started,
        tones=TONES,
        state=state,
        lasted=lasted,
        day=cached("day", 5, lambda: band.of_day(store())),
        resume=_resumable(found),
    )


def _resumable(found: list[dict[str, Any]]) -> str:
    """The command to go on with the newest streaming run, if it does not run."""
    row = next((r for r in found if r["mode"] == "streaming"), None)
    return resume_command(row) if row is not None and state(row) != "running" else ""


@bp.route("/runs/<run_id>", methods=["GET", "POST"])
@required(ANALYST)
def run(run_id: str) -> ResponseReturnValue:
    """One run: its records by fate, its options, its error; ``do=again`` reads its files again."""
    row = web_queries.run_row(store(), run_id) or abort(404)
    again = again_options(row) if may(ADMIN) else None
    if request.method == "POST":
        demand(ADMIN)
        return _again(row, again)
    return render_template(
        "run.html",
        run=row,
        fates=FATES,
        tones=TONES,
        state=state(row),
        reasons=web_queries.grouped(store(), "rejects", run_id, ["reason"]),
        lasted=lasted(row),
        again=again,
        resume=resume_command(row) if row["mode"] == "streaming" and state(row) != "running" else "",
        job_id=job_of_run(store(), run_id) if may(ADMIN) else None,
    )


def _again(row: dict[str, Any], options: dict[str, Any] | None) -> ResponseReturnValue:
    """Starts a run on the same files, with the rules that are on now."""
    if request.form.get("do") != "again" or options is None:
        abort(400)
    note = {"name": "the same files again", "records": row["records_read"]}
    try:
        job_id = jobs().start("run", options, current_user.name, note=note)
    except RequestError as error:
        flash(str(error), "danger")
        return redirect(url_for("runs.run", run_id=row["run_id"]))
    log("run started", row["run_id"], {"job": job_id, "again": True})
    return begun(job_id)


def state(row: dict[str, Any]) -> str:
    """The state of a run; of one whose process was killed it is ``stopped``."""
    if row["state"] != "running" or is_alive(store(), row, time.time()):
        return str(row["state"])
    return "stopped"


def lasted(row: dict[str, Any]) -> str:
    """How long a run took, or has been going on."""
    start, end = words.moment(row["started_at"]), words.moment(row["finished_at"] or row["heartbeat"])
    return words.DASH if start is None or end is None else words.talk((end - start).total_seconds())
