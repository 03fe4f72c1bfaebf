"""``/subscribers/<number>``: what is known about one subscriber."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_people, web_promotions
from webui import spelling, view, words
from webui.consent import record
from webui.moments import contact_time
from webui.promotions import described, rule_names
from webui.reasons import OUTCOMES
from webui.roles import ANALYST, required, viewed
from webui.services import store

bp = Blueprint("person", __name__)
SHOWN: int = 100


@bp.route("/subscribers/<path:number>", methods=["GET", "POST"])
@required(ANALYST)
def person(number: str) -> ResponseReturnValue:
    """The profile: habits, contact hours, consent with its history, promotions."""
    run = view.chosen_run() or abort(404)
    row = known(run, number)
    if row["subscriber"] != number:
        return redirect(url_for("person.person", number=row["subscriber"]))
    if request.method == "POST":
        return _opted_out(number)
    viewed(number)
    return render_template(
        "person.html",
        run=run,
        p=row,
        n=interactions(row),
        contact=web_people.contacts(store(), [number], contact_time(run))[number],
        history=web_people.contact_history(store(), number),
        promotions=_promotions(run, number),
        one_person=True,
        names=rule_names(),
        outcomes=OUTCOMES,
    )


def known(run: Mapping[str, Any], number: str) -> dict[str, Any]:
    """The row of a subscriber of a run, by the number as the store spells it or in another spelling; else 404."""
    spelled = spelling.subscriber_of(number, run)
    rows = (web_people.person(store(), run["run_id"], n) for n in dict.fromkeys((number, spelled)))
    found = next((row for row in rows if row is not None), None)
    return found or abort(404, "This subscriber is not in the results of the run.")


def _promotions(run: dict[str, Any], number: str) -> list[dict[str, Any]]:
    return described(web_promotions.newest(store(), run["run_id"], {"subscriber": number}, SHOWN), run)


def _opted_out(number: str) -> ResponseReturnValue:
    """The one thing that can be done here: somebody says no."""
    if request.form.get("do") != "opt_out":
        abort(400)
    record(number, "opt_out", "")
    flash(f"{words.phone(number)} is opted out now. What waited to be sent is withdrawn.", "success")
    return redirect(url_for("person.person", number=number))


def interactions(row: dict[str, Any]) -> int:
    """Calls and messages of a subscriber."""
    return int((row["calls"] or 0) + (row["messages"] or 0))
