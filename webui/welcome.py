"""``/``: where one is, and what to do next; from here the sample data are loaded."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.store import web_people, web_promotions, web_queries
from callbeam_io.store.web_queries import Milestones, RequestError
from webui import view, words
from webui.commands import again_options
from webui.jobs import recent
from webui.layout import NavItem
from webui.moments import is_live
from webui.roles import ADMIN, ANALYST, VIEWER, demand, log, may, required
from webui.services import cached, jobs, store

bp = Blueprint("welcome", __name__)
NAV = [NavItem("Now", "Welcome", "house", "welcome.welcome", VIEWER, place=10)]


class Step(NamedTuple):
    """A line of the checklist.

    Attributes:
        done: whether the store shows that it was done.
        title: what it is.
        said: how far it is, or what to do.
        url: of the page where it is done, or none.
        action: the text of its link.
        do: what the button of this step sends, or none.
        button: its text.
    """

    done: bool
    title: str
    said: str
    url: str = ""
    action: str = ""
    do: str = ""
    button: str = ""


@bp.route("/", methods=["GET", "POST"])
@required(VIEWER)
def welcome() -> ResponseReturnValue:
    """The checklist, ticked from the store; ``do`` loads the sample, or reads the newest files again."""
    if request.method == "POST":
        demand(ADMIN)
        return _started(request.form.get("do", ""))
    steps = checklist(cached("welcome", 2, lambda: web_queries.milestones(store())))
    running = [job for job in recent(3) if job["state"] == "running"] if may(ADMIN) else []
    left = sum(not s.done for s in steps)
    return render_template("welcome.html", steps=steps, left=left, running=running)


def _started(do: str) -> ResponseReturnValue:
    """Starts what the button says, and shows how far it is."""
    run = view.chosen_run()
    try:
        if do == "sample":
            job_id = load_sample()
        elif do == "again" and run is not None and (options := again_options(run)) is not None:
            note = {"name": "the same files again", "records": run["records_read"], "guided": True}
            job_id = jobs().start("run", options, current_user.name, note=note)
            log("run started", run["run_id"], {"job": job_id, "again": True})
        else:
            abort(400)
    except RequestError as error:
        flash(str(error), "danger")
        return redirect(url_for("welcome.welcome"))
    return redirect(url_for("jobs.job", job_id=job_id))


def load_sample() -> str:
    """Starts loading the sample data; gives the job's id.

    Raises:
        RequestError: it cannot start now.
    """
    job_id = jobs().start("sample", {}, current_user.name)
    log("sample loaded", "", {"job": job_id})
    return job_id


def checklist(found: Milestones) -> list[Step]:
    """The steps from an empty store to the first promotion."""
    run = view.chosen_run()
    return [_records(found), _consents(found), _rules(found), _promotion(found, run)]


def _records(found: Milestones) -> Step:
    if found.records:
        said = f"{words.count(found.records, 'record was', 'records were')} taken."
        return Step(True, "Records flow", said, url_for("dashboard.dashboard"), "Open the dashboard")
    said = "Nothing was read into this store yet. Look round with made-up records, or read your own."
    if may(ADMIN):
        return Step(
            False,
            "Records flow",
            said,
            url_for("new_run.new_run"),
            "Read a file",
            "sample",
            "Load sample data",
        )
    return Step(False, "Records flow", f"{said} An administrator does that here.")


def _consents(found: Milestones) -> Step:
    title = "Consents are loaded"
    url = url_for("consent.consent") if may(ADMIN) else ""
    if found.consents:
        return Step(
            True, title, f"{words.count(found.consents, 'entry says', 'entries say')} yes.", url, "Consent"
        )
    said = "Nobody may be contacted yet: nothing is offered to people who were not asked."
    return Step(False, title, said, url, "Load a list")


def _rules(found: Milestones) -> Step:
    title = "A rule is switched on"
    url = url_for("rules.rules") if may(ANALYST) else ""
    if found.rules_on:
        verb = "rule is" if found.rules_on == 1 else "rules are"
        return Step(True, title, f"{found.rules_on} {verb} on.", url, "Policy & Plan")
    return Step(False, title, "A rule says who is offered what, and when.", url, "Choose a rule")


def _promotion(found: Milestones, run: dict[str, Any] | None) -> Step:
    title = "The first promotion was made"
    number = None if run is None or not found.promotions else _first_number(run["run_id"])
    if number is not None:
        url = url_for("why.why", number=number) if may(ANALYST) else ""
        return Step(
            True,
            title,
            f"{words.count(found.promotions, 'promotion was', 'promotions were')} decided.",
            url,
            "See who and why",
        )
    said = "It comes by itself once a rule that is on holds for somebody."
    if not found.rules_on or run is None or is_live(run):
        return Step(False, title, said)
    said = (
        "The newest run was read before a rule was on. Read the same files again, with the rules that are on."
    )
    if may(ADMIN) and again_options(run) is not None:
        return Step(False, title, said, do="again", button="Run again with the rules that are on")
    return Step(False, title, said, url_for("runs.runs") if may(ANALYST) else "", "Runs")


def _first_number(run_id: str) -> str | None:
    """Somebody who was offered something in a run, or at least somebody whom a rule found."""
    for where in ({"outcome": web_people.OFFERED}, {}):
        rows = web_promotions.newest(store(), run_id, where, 1)
        if rows:
            return str(rows[0]["subscriber"])
    return None
