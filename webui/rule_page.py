"""``/rules/<rule_id>``: one rule: what it does now, its history, its effect, its versions; and switching it on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import rules as saved
from callbeam_io.store import utc_text, web_promotions, web_rules
from callbeam_io.store.web_queries import CallbeamError, RequestError
from webui import rule_form, rule_saving, rule_words, view, words
from webui.analyses import news
from webui.desk import DAYS, begin_count, desk, sentence_of
from webui.figures.days import outcome_days
from webui.figures.style import theme
from webui.moments import is_live
from webui.promotions import described
from webui.reasons import OUTCOMES, reasons
from webui.roles import ANALYST, required
from webui.rule_saving import row_of
from webui.rules import done, rules_file
from webui.services import cached, services, store

bp = Blueprint("rule_page", __name__)
SHOWN: Final = 60
"""Days of the history."""
NEWEST: Final = 5
SPANS: Final = {"last hour": timedelta(hours=1), "last day": timedelta(days=1)}


@bp.route("/rules/<rule:rule_id>", methods=["GET", "POST"])
@required(ANALYST)
def page(rule_id: str) -> ResponseReturnValue:
    """The page; the field ``do`` switches the rule off or changes its priority."""
    row = row_of(rule_id)
    if request.method == "POST":
        return done(request.form.get("do", ""), row, url_for("rule_page.page", rule_id=rule_id))
    run = view.chosen_run()
    return render_template(
        "rule.html",
        row=row,
        sentence=sentence_of(row),
        run=run,
        runs=view.recent_runs(),
        live=run is not None and is_live(run),
        **({"counts": {}} if run is None else _changing(run, rule_id)),
        days=[] if run is None else _days(run, rule_id),
        effect=_effect(rule_id),
        versions=[{**v, "sentence": sentence_of(v)} for v in saved.rule_versions(store(), rule_id)[::-1]],
        activations=_activations(rule_id),
        outcomes=OUTCOMES,
        say=rule_words,
        definition=saved.definition_of(row),
    )


def _changing(run: dict[str, Any], rule_id: str) -> dict[str, Any]:
    """What changes on the page while a run lives."""
    end = words.moment(run["watermark"])
    second = timedelta(seconds=1)
    since = {} if end is None else {n: utc_text(end - span + second) for n, span in SPANS.items()}
    newest = web_promotions.newest(store(), run["run_id"], {"rule_id": rule_id}, NEWEST)
    until = max(run["watermark"] or "", newest[0]["decided_at"] if newest else "")
    counts = _counts(run, rule_id)
    return {"counts": counts, "since": since, "until": until, "newest": described(newest, run)}


def _counts(run: dict[str, Any], rule_id: str) -> dict[str, dict[str, int]]:
    """Promotions by outcome in the last hour and day of the run's own time, and in all of it."""
    found, end = {}, words.moment(run["watermark"])
    for label, span in SPANS.items():
        if end is not None:
            found[label] = web_rules.outcomes_since(store(), run["run_id"], rule_id, utc_text(end - span))
    whole: dict[str, int] = {}
    for row in _by_day(run, rule_id):
        whole[row["outcome"]] = whole.get(row["outcome"], 0) + row["count"]
    return {**found, "whole run": whole}


def _days(run: dict[str, Any], rule_id: str) -> list[dict[str, Any]]:
    """Per day the promotions by outcome, the oldest first: ``{"day": …, "offered": 3, …}``."""
    days: dict[str, dict[str, Any]] = {}
    for row in _by_day(run, rule_id):
        days.setdefault(row["day"], {"day": row["day"]})[row["outcome"]] = row["count"]
    return list(days.values())[-SHOWN:]


def _by_day(run: dict[str, Any], rule_id: str) -> list[dict[str, Any]]:
    run_id = run["run_id"]
    seconds = view.lasting(run, 2)
    return cached(
        ("rule days", run_id, rule_id), seconds, lambda: web_rules.outcomes_by_day(store(), run_id, rule_id)
    )


def _effect(rule_id: str) -> str:
    """What the rule brought about, in a sentence."""
    asked = desk()
    try:
        return cached(("effect", rule_id), 10, lambda: str(asked.effect(rule_id)["sentence"]))
    except CallbeamError:
        return "It cannot be worked out now."


def _activations(rule_id: str) -> list[dict[str, Any]]:
    """When it was on, the newest first."""
    found = saved.rule_activations(store(), rule_id)
    return sorted(found, key=lambda row: (row["run_id"], row["active_from"]), reverse=True)[:SHOWN]


@bp.get("/figures/rules/<rule:rule_id>")
@required(ANALYST)
def figures(rule_id: str) -> ResponseReturnValue:
    """The chart of the page, and beside it what changes while a run lives."""
    row, run = row_of(rule_id), view.chosen_run() or abort(404)
    drawn = {"days": outcome_days(_days(run, row["rule_id"]), theme(request.args.get("theme")))}
    key = ("rule now", run["run_id"], rule_id, request.args.get("run"))
    parts = cached(key, 1, lambda: _parts(run, row))
    texts = {"until": words.when(run["watermark"])}
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), parts=parts, texts=texts)


def _parts(run: dict[str, Any], row: dict[str, Any]) -> dict[str, str]:
    shown = {"row": row, "run": run, "outcomes": OUTCOMES, "activations": _activations(row["rule_id"])}
    shown |= _changing(run, row["rule_id"])
    return {name: render_template(f"_rule_{name}.html", **shown) for name in ("now", "newest", "times")}


@bp.get("/rules/<rule:rule_id>.json")
@required(ANALYST)
def as_json(rule_id: str) -> Response:
    """The rule as a rules file."""
    return rules_file(rule_id, [saved.definition_of(row_of(rule_id))])


@bp.route("/rules/<rule:rule_id>/on", methods=["GET", "POST"])
@required(ANALYST)
def on(rule_id: str) -> ResponseReturnValue:
    """Asks for whom the rule is to be switched on, and does it."""
    row = row_of(rule_id)
    if row["enabled"]:
        return redirect(url_for("rule_page.page", rule_id=rule_id))
    op = request.form.get("op", "")
    if op == "on":
        return _switched_on(row)
    token, count = request.form.get("token") or f"on-{rule_id}", None
    if op in ("preview", "count"):
        count = begin_count(row["definition"], token, 0.3)
        if op == "preview":
            return render_template("_rule_count.html", **_asked(row, token, count))
        count.wait(60)
    return render_template("rule_on.html", **_asked(row, token, count))


def _asked(row: dict[str, Any], token: str, count: Any) -> dict[str, Any]:
    return {
        "row": row,
        "sentence": sentence_of(row),
        "token": token,
        "count": count,
        "days": DAYS,
        "say": rule_words,
        "starts": rule_form.STARTS,
        "reasons": reasons,
    }


def _switched_on(row: dict[str, Any]) -> ResponseReturnValue:
    start = request.form.get("start", "entering")
    if start not in rule_form.STARTS:
        abort(400)
    try:
        seen = request.form.get("base", rule_saving.version_of(row), type=int)
        rule_saving.switch_on({**row, "version": seen}, start)
    except RequestError as error:
        flash(f"{row['name']} stays off: {error}", "warning")
        return redirect(url_for("rule_builder.edit", rule_id=row["rule_id"]))
    flash(f"{row['name']} is on. A live pipeline takes it up within two seconds.", "success")
    return redirect(url_for("rule_page.page", rule_id=row["rule_id"]))
