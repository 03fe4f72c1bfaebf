"""``/``: where one is, and what to do next."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_queries
from callbeam_io.store.web_queries import Milestones
from webui.layout import NavItem
from webui.roles import ADMIN, ANALYST, VIEWER, may, required
from webui.services import cached, store

bp = Blueprint("welcome", __name__)
NAV = [NavItem("Now", "Welcome", "house", "welcome.welcome", VIEWER, place=10)]


class Step(NamedTuple):
    """A line of the checklist.

    Attributes:
        done: whether the store shows that it was done.
        title: what it is.
        said: how far it is, or what to do.
        endpoint: of the page where it is done, or none.
        action: the button's text.
    """

    done: bool
    title: str
    said: str
    endpoint: str = ""
    action: str = ""


@bp.get("/")
@required(VIEWER)
def welcome() -> ResponseReturnValue:
    """The checklist, ticked from the store."""
    steps = checklist(cached("welcome", 2, lambda: web_queries.milestones(store())))
    return render_template("welcome.html", steps=steps, left=sum(not s.done for s in steps))


def checklist(found: Milestones) -> list[Step]:
    """The steps from an empty store to the first promotion."""
    return [
        Step(
            found.records > 0,
            "Records flow",
            f"{found.records:,} records were taken."
            if found.records
            else "Start the pipeline: make run reads a generated day, make demo a live stream.",
            "dashboard.dashboard" if found.records else "",
            "Open the dashboard",
        ),
        Step(
            found.consents > 0,
            "Consents are loaded",
            f"{found.consents:,} entries say yes."
            if found.consents
            else "Nobody may be contacted yet: nothing is offered to people who were not asked.",
            "consent.consent" if may(ADMIN) else "",
            "Consent" if found.consents else "Load a list",
        ),
        Step(
            found.rules_on > 0,
            "A rule is switched on",
            f"{found.rules_on} of the rules are on."
            if found.rules_on
            else "A rule says who is offered what, and when.",
        ),
        Step(
            found.promotions > 0,
            "The first promotion was made",
            f"{found.promotions:,} promotions were decided."
            if found.promotions
            else "It comes by itself once a rule holds for somebody.",
            "promotions.promotions" if found.promotions and may(ANALYST) else "",
            "See who and why",
        ),
    ]
