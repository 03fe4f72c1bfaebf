"""Subscribers: lists, one of them, and saying no on behalf of one."""

from __future__ import annotations

from typing import Any, Final

from flask import abort
from marshmallow import fields

from callbeam_io.store import web_people
from webui import subscribers, view, why
from webui.api.base import Part, Run, choice, listed, row_of, shape, text, whole
from webui.consent import record
from webui.crowd import crowd_of
from webui.moments import contact_time
from webui.person import known
from webui.roles import ANALYST, log, viewed
from webui.services import store

part = Part("subscribers", "The people who call: what is known of each.")
MOST: Final = 1000
Person = row_of("subscribers")
Contact = shape(
    "Contact",
    allowed=fields.Boolean(
        allow_none=True, metadata={"description": "null: nothing is known, which means no"}
    ),
    at=fields.String(),
    source=fields.String(),
    suppressed=fields.Boolean(),
)
Said = shape("Said", at=fields.String(), said=fields.String(), source=fields.String(allow_none=True))
Profile = shape(
    "Profile",
    subscriber=fields.Nested(Person),
    contact=fields.Nested(Contact),
    history=fields.List(fields.Nested(Said)),
    promotions=fields.Dict(metadata={"description": "how many were offered"}),
)


class WhyAsked(Run):
    """Which promotion is to be explained, or which rule that made none."""

    rule_id = text("only of this rule", most=300)
    decided_at = text("only the one decided then", most=19)
    not_rule = text("a rule_id", most=300, data_key="not")


Why = shape(
    "Why",
    promotions=fields.List(
        fields.Dict(), metadata={"description": "each with `said`: conditions, gate, answer"}
    ),
    not_fired=fields.Dict(allow_none=True, metadata={"description": "why a rule made no promotion"}),
)


class Filters(Run):
    """Which subscribers, in which order."""

    q = text("the beginning of a number, in any spelling", most=60)
    tag = text("the tag", most=200)
    business_type = text("the type reached most", most=200)
    weekday = whole("best weekday, 0 is Monday", 0, 6)
    hour = whole("best hour", 0, 23)
    contact = choice("whether they may be contacted", list(subscribers.MAY_CONTACT))
    min_calls = whole("at least so many calls", 1, 10**9)
    min_talk = whole("at least so many minutes of talk", 1, 10**9)
    min_abroad = whole("at least so many international interactions", 1, 10**9)
    sort = choice("order", [s for n in subscribers.SORTS for s in (n, f"-{n}")])
    page = whole("number of the page", 1, 10**7, load_default=1)
    limit = whole("people of a page", 1, MOST, load_default=100)


People = listed("Subscribers", Person, run_id=fields.String(), total=fields.Integer(), pages=fields.Integer())


@part.call("GET", "/subscribers", ANALYST, People, query=Filters)
def people(asked: dict[str, Any]) -> dict[str, Any]:
    """Subscribers, filtered, sorted, page by page."""
    run = view.chosen_run() or abort(404, "There is no run with results yet.")
    wanted = subscribers.Asked(run)
    found = crowd_of(run["run_id"], wanted.where, wanted.standing)
    sort, down = view.sort_of(subscribers.SORTS, subscribers.DEFAULT_SORT)
    total, limit = found.count(), asked["limit"]
    rows = found.page(sort, down, limit, (asked["page"] - 1) * limit)
    log("data read", "subscribers", {"rows": len(rows)})
    return {"run_id": run["run_id"], "rows": rows, "total": total, "pages": -(-total // limit)}


@part.call("GET", "/subscribers/<string:number>", ANALYST, Profile, query=Run)
def person(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """One subscriber, by the number in any spelling: profile, consent with its history, promotions."""
    run, row = _known(number)
    spelled = row["subscriber"]
    viewed(spelled)
    return {
        "subscriber": row,
        "contact": web_people.contacts(store(), [spelled], contact_time(run))[spelled],
        "history": web_people.contact_history(store(), spelled),
        "promotions": {"offered": web_people.offers(store(), run["run_id"], [spelled]).get(spelled, 0)},
    }


@part.call("GET", "/subscribers/<string:number>/why", ANALYST, Why, query=WhyAsked)
def explain(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Why somebody was offered something, or was not: conditions and every step of the gate.

    The promotion that is named, else the newest ones; with `not`, why that rule made none.
    """
    run, row = _known(number)
    spelled, rule_id = row["subscriber"], asked.get("not_rule")
    viewed(spelled, {"why": rule_id or asked.get("rule_id") or "newest promotions"})
    if rule_id:
        return {"promotions": [], "not_fired": why.not_fired(rule_id, spelled)}
    found = why.chosen(why.promotions_of(run, spelled))
    return {"promotions": [why.explained(promotion) for promotion in found], "not_fired": None}


@part.call("POST", "/subscribers/<string:number>/opt-out", ANALYST)
def opt_out(number: str) -> None:
    """Opts a subscriber out: nothing that was not sent yet is sent."""
    record(_known(number)[1]["subscriber"], "opt_out", "")


def _known(number: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The run, and the row of a subscriber; 404 where nobody has the number."""
    run = view.chosen_run() or abort(404, "There is no run with results yet.")
    return run, known(run, number)
