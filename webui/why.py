"""``/subscribers/<number>/why``: why somebody was offered something, or was not, step by step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_people, web_promotions
from callbeam_io.store.rules import list_rules
from callbeam_io.store.web_queries import CallbeamError
from webui import spelling, view, words
from webui.consent import record
from webui.desk import desk
from webui.moments import contact_time
from webui.promotions import described, rule_names
from webui.reasons import OUTCOMES
from webui.roles import ANALYST, required, viewed
from webui.services import store

bp = Blueprint("why", __name__)
LISTED: Final = 100
EXPLAINED: Final = 3
"""So many of the newest promotions stand there with all their steps."""
_LOG: Final = logging.getLogger(__name__)


@bp.route("/subscribers/<path:number>/why", methods=["GET", "POST"])
@required(ANALYST)
def why(number: str) -> ResponseReturnValue:
    """The page: ``rule_id`` and ``decided_at`` name a promotion, ``not`` a rule that did not fire."""
    run = view.chosen_run() or abort(404)
    promotions = promotions_of(run, number)
    known = promotions or web_people.person(store(), run["run_id"], number) is not None
    if not known and not web_people.contact_history(store(), number):
        spelled = spelling.subscriber_of(number, run)
        if spelled != number:
            return redirect(_address(spelled))
        abort(404, "This subscriber is not in the results of the run.")
    if request.method == "POST":
        return _opted_out(number)
    asked_not = request.args.get("not", "")
    viewed(number, {"why": asked_not or request.args.get("rule_id") or "newest promotions"})
    rules = list_rules(store())
    return render_template(
        "why.html",
        run=run,
        number=number,
        known=known,
        promotions=promotions,
        chosen=[] if asked_not else [explained(p) for p in chosen(promotions)],
        not_fired=not_fired(asked_not, number) if asked_not else None,
        rules=rules,
        asked_not=asked_not,
        contact=web_people.contacts(store(), [number], contact_time(run))[number],
        names={r["rule_id"]: r["name"] for r in rules},
        outcomes=OUTCOMES,
    )


def promotions_of(run: dict[str, Any], number: str) -> list[dict[str, Any]]:
    """The newest promotions of somebody, described."""
    return described(web_promotions.newest(store(), run["run_id"], {"subscriber": number}, LISTED), run)


def chosen(promotions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The promotions to be explained: the one that is asked for, else the newest ones."""
    asked = {name: request.args.get(name) for name in ("rule_id", "decided_at")}
    if not any(asked.values()):
        return promotions[:EXPLAINED]
    return [p for p in promotions if all(v in (None, p[n]) for n, v in asked.items())][:EXPLAINED]


def explained(promotion: dict[str, Any]) -> dict[str, Any]:
    """The promotion with its explanation; without the desk, with what the store alone knows."""
    key = (promotion["rule_id"], promotion["subscriber"], promotion["decided_at"])
    said = _asked(lambda: desk().why(*key))
    if said is None:
        name = rule_names().get(promotion["rule_id"], promotion["rule_id"])
        outcome = OUTCOMES.get(promotion["outcome"], (promotion["outcome"], ""))[0]
        answer = (
            f"The rule {name} held for {words.phone(promotion['subscriber'])} on "
            f"{words.when(promotion['decided_at'])} UTC: {promotion['reason']}. Its outcome was: {outcome}."
        )
        said = {"conditions": [], "gate": [], "answer": answer, "local_time": None}
    return {**promotion, "said": said}


def not_fired(rule_id: str, number: str) -> dict[str, Any] | None:
    """Why a rule has not made a promotion for somebody; None: it cannot be said now."""
    return _asked(lambda: desk().why_not(rule_id, number))


def _asked(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return ask()
    except CallbeamError as error:
        _LOG.warning("the rule desk cannot explain: %s", type(error).__name__)  # no number of anybody
        return None


def _opted_out(number: str) -> ResponseReturnValue:
    """The one thing that can be done here: somebody says no."""
    if request.form.get("do") != "opt_out":
        abort(400)
    record(number, "opt_out", "")
    flash(f"{words.phone(number)} is opted out now. What waited to be sent is withdrawn.", "success")
    return redirect(_address(number))


def _address(number: str) -> str:
    """This page for a number, with what was asked."""
    asked = {name: request.args.get(name) for name in ("run", "rule_id", "decided_at", "not")}
    values: dict[str, Any] = {name: value for name, value in asked.items() if value}
    return url_for("why.why", number=number, **values)
