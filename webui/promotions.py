"""``/promotions``: who was offered what, who was held back, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_people, web_promotions, web_queries
from callbeam_io.store.rules import list_rules
from webui import view
from webui.exports import csv_response
from webui.layout import NavItem
from webui.moments import contact_time
from webui.reasons import OUTCOMES, reasons
from webui.roles import ANALYST, log, required
from webui.services import cached, store

bp = Blueprint("promotions", __name__)
NAV = [NavItem("People", "Promotions", "megaphone", "promotions.promotions", ANALYST, place=30)]
PAGE: Final = 50
EXPORT_PAGE: Final = 5000
COLUMNS: Final = (
    "decided_at",
    "subscriber",
    "rule_id",
    "rule_version",
    "offer_code",
    "outcome",
    "contact_at",
    "may_contact",
    "delivery",
    "reason",
)
_PLACE: Final = ("decided_at", "rule_id", "subscriber")


@bp.get("/promotions")
@required(ANALYST)
def promotions() -> ResponseReturnValue:
    """Counts by outcome and by rule, and the newest promotions."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Promotions")
    run_id, where = run["run_id"], _where()
    counts = cached(("outcomes", run_id), 2, lambda: _counts(run_id))
    rows = web_promotions.newest(store(), run_id, where, PAGE + 1, _before())
    older = {f"before_{n}": rows[PAGE - 1][n] for n in _PLACE} if len(rows) > PAGE else None
    return render_template(
        "promotions.html",
        run=run,
        runs=view.recent_runs(),
        counts=counts,
        outcomes=OUTCOMES,
        names=rule_names(),
        promotions=described(rows[:PAGE], run),
        older=older,
        where=where,
    )


def _counts(run_id: str) -> dict[str, dict[str, int]]:
    """Per rule the promotions by outcome; under the empty name those of all rules."""
    found: dict[str, dict[str, int]] = {"": {}}
    for row in web_queries.grouped(store(), "promotions", run_id, ["rule_id", "outcome"]):
        for rule_id in ("", row["rule_id"]):
            of_rule = found.setdefault(rule_id, {})
            of_rule[row["outcome"]] = of_rule.get(row["outcome"], 0) + row["count"]
    return found


def rule_names() -> dict[str, str]:
    """The name of every rule by its id."""
    return cached("rule names", 2, lambda: {r["rule_id"]: r["name"] for r in list_rules(store())})


def described(rows: list[dict[str, Any]], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Promotions with ``reason`` in words, ``delivery`` and ``may_contact`` as of this moment."""
    versions = cached("definitions", 2, lambda: web_promotions.definitions(store()))
    states = web_promotions.deliveries(store(), rows) if rows else {}
    people = list({r["subscriber"] for r in rows})
    contacts = web_people.contacts(store(), people, contact_time(run)) if rows else {}
    in_by_default = (run["options"] or {}).get("consent_default") in (True, "in")
    found = []
    for row in rows:
        allowed = contacts[row["subscriber"]].allowed
        more = {
            "reason": reasons(row["features"], versions.get((row["rule_id"], row["rule_version"]))),
            "delivery": states.get((row["rule_id"], row["subscriber"], row["decided_at"]), ""),
            "may_contact": in_by_default if allowed is None else allowed,
        }
        found.append({**row, **more})
    return found


@bp.get("/promotions.csv")
@required(ANALYST)
def as_csv() -> Response:
    """The promotions that pass the filters, without offers to people who may not be contacted any more."""
    run = view.chosen_run() or abort(404)
    log("promotions exported", run["run_id"], _where())
    return csv_response("promotions", COLUMNS, _pages(run, _where()))


def _pages(run: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    before = None
    while True:
        rows = web_promotions.newest(store(), run["run_id"], where, EXPORT_PAGE, before)
        if not rows:
            return
        before = {n: rows[-1][n] for n in _PLACE}
        yield [r for r in described(rows, run) if r["outcome"] != web_people.OFFERED or r["may_contact"]]


def _where() -> dict[str, str]:
    return {n: request.args[n] for n in ("rule_id", "outcome", "subscriber") if request.args.get(n)}


def _before() -> dict[str, str] | None:
    if not all(f"before_{n}" in request.args for n in _PLACE):
        return None
    return {n: request.args[f"before_{n}"] for n in _PLACE}
