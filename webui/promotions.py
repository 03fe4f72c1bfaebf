"""``/promotions``: who was offered what, who was held back, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.delivery.moments import second_of, text_of
from callbeam_io.store import utc_text, web_people, web_promotions, web_queries, web_rules
from callbeam_io.store.rules import list_rules
from callbeam_io.store.web_promotions import Delivery
from webui import view
from webui.exports import csv_response
from webui.layout import NavItem
from webui.moments import contact_time
from webui.pause import is_paused
from webui.reasons import OUTCOMES, reasons
from webui.roles import ANALYST, log, required, viewed
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
HELD_BACK: Final = "held_back"
"""As an outcome to filter by: all but offered."""
_DECIDED: Final = ("decided_from", "decided_until")
_PLACE: Final = ("decided_at", "rule_id", "subscriber")
_SPAN: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Key = tuple[str, str, str]
"""Of a promotion in all runs: rule_id, subscriber, decided_at."""


@bp.get("/promotions")
@required(ANALYST)
def promotions() -> ResponseReturnValue:
    """Counts by outcome and by rule, and the newest promotions."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Promotions")
    run_id, where = run["run_id"], _where()
    if "subscriber" in where:
        viewed(where["subscriber"], "promotions")
    by_rule = outcomes_of(run)
    counts = dict(by_rule)
    counts[""] = {o: sum(of.get(o, 0) for of in counts.values()) for o in web_promotions.OUTCOMES}
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
        where=_chosen(),
        span=tuple(request.args.get(n, "") for n in _DECIDED),
        total=_total(run, where, by_rule),
    )


def _total(run: Mapping[str, Any], where: Mapping[str, Any], by_rule: Mapping[str, Mapping[str, int]]) -> int:
    """How many promotions pass the filters; where they only choose rule and outcome, of those counted already."""
    run_id = run["run_id"]
    if where.keys() - {"rule_id", "outcome"}:
        key = ("promotions", run_id, repr(where))
        return cached(key, view.lasting(run, 1), lambda: store().count("promotions", run_id, where=where))
    some = [by_rule.get(where["rule_id"], {})] if "rule_id" in where else by_rule.values()
    wanted = _chosen().get("outcome", "")
    return sum(count for of in some for outcome, count in of.items() if _passes(outcome, wanted))


def _passes(outcome: str, wanted: str) -> bool:
    return wanted in ("", outcome) or (wanted == HELD_BACK and outcome != web_people.OFFERED)


def outcomes_of(run: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Per rule its promotions in a run by outcome, the rule with the most of them first."""
    run_id = run["run_id"]
    made = cached(
        ("outcomes", run_id), view.lasting(run, 2), lambda: web_rules.outcomes_of_all(store(), run_id)
    )
    return dict(sorted(made.items(), key=lambda of_rule: -sum(of_rule[1].values())))


def rule_names() -> dict[str, str]:
    """The name of every rule by its id."""
    return cached("rule names", 2, lambda: {r["rule_id"]: r["name"] for r in list_rules(store())})


def described(rows: list[dict[str, Any]], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Promotions with ``reason`` in words, ``delivery`` and ``may_contact`` as of this moment."""
    versions, queued = _definitions(), _queued(rows)
    found = []
    for row, may_contact in zip(rows, _standing(rows, run, queued), strict=True):
        delivery = queued.get(_key(row))
        more = {
            "reason": reasons(row["features"], versions.get((row["rule_id"], row["rule_version"]))),
            "delivery": "" if delivery is None else delivery.state,
            "may_contact": may_contact,
        }
        found.append({**row, **more})
    return found


def _definitions() -> dict[tuple[str, int], dict[str, Any]]:
    return cached("definitions", 2, lambda: web_promotions.definitions(store()))


def _queued(rows: Sequence[Mapping[str, Any]]) -> Mapping[Key, Delivery]:
    return web_promotions.deliveries(store(), rows) if rows else {}


def _key(row: Mapping[str, Any]) -> Key:
    return row["rule_id"], row["subscriber"], row["decided_at"]


def standing(rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> list[bool]:
    """Per promotion of a run whether its offer may be made at this moment: it was to be offered, is still good,
    and its subscriber may be contacted."""
    return _standing(rows, run, _queued(rows))


def _standing(
    rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any], queued: Mapping[Key, Delivery]
) -> list[bool]:
    now, people = utc_text(), _reachable(rows, run)
    return [
        row["outcome"] == web_people.OFFERED
        and row["subscriber"] in people
        and now < _good_until(row, queued)
        for row in rows
    ]


def _reachable(rows: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> set[str]:
    """The subscribers of promotions who may be contacted at this moment; nobody while promotions are paused."""
    if not rows or is_paused():
        return set()
    contacts = web_people.contacts(store(), list({r["subscriber"] for r in rows}), contact_time(run))
    in_by_default = (run["options"] or {}).get("consent_default") in (True, "in")
    return {who for who, c in contacts.items() if (in_by_default if c.allowed is None else c.allowed)}


def _good_until(row: Mapping[str, Any], queued: Mapping[Key, Delivery]) -> str:
    """Until when an offer is good: as its delivery says; where it was not queued, so long as its rule says."""
    delivery = queued.get(_key(row))
    if delivery is not None and delivery.expires_at:
        return delivery.expires_at
    offer = (_definitions().get((row["rule_id"], row["rule_version"])) or {}).get("offer") or {}
    span = _SPAN.fullmatch(str(offer.get("expires_after") or "24h"))
    seconds = int(span[1]) * _UNITS[span[2]] if span else _UNITS["d"]
    return text_of(second_of(row["decided_at"]) + seconds)


@bp.get("/promotions.csv")
@required(ANALYST)
def as_csv() -> Response:
    """The promotions that pass the filters, without offers to people who may not be contacted any more."""
    run = view.chosen_run() or abort(404)
    log(
        "promotions exported",
        run["run_id"],
        {n: request.args[n] for n in (*_chosen(), *_DECIDED) if n in request.args},
    )
    return csv_response("promotions", COLUMNS, _pages(run, _where()))


def _pages(run: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    before = None
    while True:
        rows = web_promotions.newest(store(), run["run_id"], where, EXPORT_PAGE, before)
        if not rows:
            return
        before = {n: rows[-1][n] for n in _PLACE}
        people = _reachable(rows, run)
        yield described(
            [r for r in rows if r["outcome"] != web_people.OFFERED or r["subscriber"] in people], run
        )


def _chosen() -> dict[str, str]:
    """The filters as the form shows them."""
    return {n: request.args[n] for n in ("rule_id", "outcome", "subscriber") if request.args.get(n)}


def _where() -> dict[str, Any]:
    """The filters as the store wants them."""
    found: dict[str, Any] = dict(_chosen())
    if found.get("outcome") == HELD_BACK:
        found["outcome"] = ("!=", web_people.OFFERED)
    begin, end = (request.args.get(n) or None for n in _DECIDED)
    if begin or end:
        found["decided_at"] = ("between", (begin or web_queries.ALL_START, end or web_queries.ALL_END))
    return found


def _before() -> dict[str, str] | None:
    if not all(f"before_{n}" in request.args for n in _PLACE):
        return None
    return {n: request.args[f"before_{n}"] for n in _PLACE}
