"""``/rules/new`` and ``/rules/<rule_id>/edit``: the rule builder. It works without scripts; with them, in place.

Buttons send ``op``: ``add:0.1``, ``group:0``, ``remove:0.2``, ``shape:0.2`` (another field or comparison),
``where:0.2`` and ``unwhere:0.2:region`` (filters), ``json``, ``count``, ``try``, ``save``, ``save_on``,
``save_new``, ``over:5`` (after somebody else's version 5); scripts send ``preview``.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store.web_queries import RequestError
from webui import rule_form, rule_tree, rule_words, spelling, view
from webui.audience import PERIODS
from webui.desk import DAYS, begin_count, count_of, desk, language
from webui.reasons import reasons
from webui.roles import ANALYST, required, viewed
from webui.rule_draft import Draft
from webui.rule_language import FEW, Language
from webui.rule_saving import RuleConflict, draft_of, row_of, save, version_of

bp = Blueprint("rule_builder", __name__)
SOON: Final = 0.3
"""Seconds that a preview waits for a first count."""
PATIENT: Final = 60.0
"""Seconds that the Count button waits for the exact one."""
STRUCTURE: Final = ("add", "group", "remove", "shape", "where", "unwhere", "json")


@bp.route("/rules/new", methods=["GET", "POST"])
@required(ANALYST)
def new() -> ResponseReturnValue:
    """A rule from nothing, or from a recipe (``?recipe=``)."""
    return _answer(None)


@bp.route("/rules/<rule:rule_id>/edit", methods=["GET", "POST"])
@required(ANALYST)
def edit(rule_id: str) -> ResponseReturnValue:
    """A rule that is there; what is saved becomes its next version."""
    return _answer(row_of(rule_id))


def _answer(row: dict[str, Any] | None) -> ResponseReturnValue:
    if request.method == "GET":
        return _page(Draft(_beginning(), None) if row is None else _stored(row))
    draft = _posted(row)
    if request.form.get("judged"):
        draft.judge()
    op, _, place = request.form.get("op", "count").partition(":")
    if op in STRUCTURE:
        return _restructured(draft, op, place)
    if op == "preview":
        return _preview(draft)
    if op == "try":
        return _tried(draft)
    if op == "over":  # theirs was looked at: mine comes after it
        draft.base, op = int(place) if place.isdecimal() else draft.base, "save"
    if op in ("save", "save_on", "save_new"):
        return _saved(draft, op)
    if op == "count" and draft.counted["ok"]:
        draft.count = begin_count(draft.counted["definition"], draft.token, 0)
        draft.count.wait(PATIENT)
    return _page(draft)


def _stored(row: dict[str, Any]) -> Draft:
    """A rule as it is saved; where that has not the form of a rule, an empty one beside its JSON."""
    draft = Draft(dict(row["definition"]), row, base=version_of(row))
    try:
        draft.definition = parsed(draft.json)
    except ValueError as error:
        draft.json_text, draft.json_error = draft.json, str(error)
        draft.definition = {**rule_form.empty(language()), "name": row["name"] or row["rule_id"]}
    return draft


def _beginning() -> dict[str, Any]:
    key = request.args.get("recipe")
    if not key:
        told = language()
        return {**rule_form.empty(told), **_of_people(told)}
    recipe = next((r for r in desk().recipes() if r["key"] == key), None) or abort(404)
    return {"start": "entering", **recipe["definition"]}


def _of_people(told: Language) -> dict[str, Any]:
    """The tree for the people that the page ``/audience`` shows: by tags, day and part of the day."""
    tags = [n.removeprefix("tag.") for n in request.args if n.startswith("tag.")]
    hours = PERIODS.get(request.args.get("period", ""), ("", range(0)))[1]
    day = request.args.get("day", "")
    asked = (("tag", "in", tags), ("best_weekday", "=", [day] if day else []))
    rules = [told.fitted(field, operator, given, "30d", {}) for field, operator, given in asked if given]
    if hours:
        rules.append(told.fitted("best_hour", "between", [str(hours[0]), str(hours[-1])], "30d", {}))
    return {"when": rule_tree.group("all", rules)} if rules else {}


def _posted(row: dict[str, Any] | None) -> Draft:
    """The rule in the form, which edits version ``base``."""
    return Draft(
        rule_form.definition_in(request.form, language()),
        row,
        base=request.form.get("base", version_of(row), type=int),
        token=request.form.get("token") or secrets.token_urlsafe(12),
    )


def _restructured(draft: Draft, op: str, place: str) -> ResponseReturnValue:
    """The builder after something came or went; for scripts alone, with the preview beside it."""
    if op == "json":
        _take_json(draft, request.form.get("json", ""))
    elif op in ("where", "unwhere"):
        _filter(draft, op, place)
    else:
        draft.focus = rule_tree.edited(draft.definition["when"], op, place, language())
    if request.headers.get("HX-Target") != "fields":
        return _page(draft)
    _start_count(draft)
    return render_template("_rule_fields.html", swapped=True, **_shown(draft))


def _take_json(draft: Draft, text: str) -> None:
    try:
        draft.definition = parsed(text)
    except ValueError as error:
        draft.json_text, draft.json_error = text, str(error)


def parsed(text: str) -> dict[str, Any]:
    """The one rule in a JSON text (a list of one will do); ValueError says what is wrong with it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"This is no JSON: {error}.") from error
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict) or not rule_tree.is_shapely(found.get("when")):
        raise ValueError("This is no rule: it needs a group of conditions as when.")
    for part in ("offer", "limits"):
        if not isinstance(found.get(part, {}), dict):
            raise ValueError(f"{part} has to be an object.")
    return found


def _filter(draft: Draft, op: str, place: str) -> None:
    """Adds the filter that was chosen for a condition, or for the goal; or takes one away."""
    place, _, column = place.partition(":")
    if op == "where":
        column = request.form.get(f"{'goal' if place == 'goal' else f'n.{place}'}.more", "")
    found = draft.filters(place)
    if found is None or column not in language().filters:
        return
    if op == "where":
        found.setdefault(column, [])
    else:
        found.pop(column, None)
        if place == "goal" and not found:
            draft.definition["offer"].pop("goal")
    draft.focus, draft.opened = place, f"{place}:{column}"


def _preview(draft: Draft) -> ResponseReturnValue:
    """What the values in the form would do; the fields stay as they are."""
    _start_count(draft)
    return render_template("_rule_news.html", **_shown(draft))


def _start_count(draft: Draft) -> None:
    if draft.counted["ok"]:
        draft.count = begin_count(draft.counted["definition"], draft.token, SOON)


def _tried(draft: Draft) -> ResponseReturnValue:
    """The rule tried on one person."""
    typed, run = request.form.get("try", "").strip(), view.chosen_run()
    draft.tried = {"typed": typed}
    number = spelling.subscriber_of(typed, run)
    if not typed or not draft.counted["ok"]:
        draft.tried["error"] = "Enter a number." if not typed else "First put right what is marked."
    else:
        viewed(number, {"rule tried": draft.definition["name"]})
        try:
            draft.tried |= {"number": number, **desk().try_on(draft.counted["definition"], number)}
        except RequestError as error:
            draft.tried["error"] = str(error)
    if request.headers.get("HX-Target") == "tried":
        return render_template("_rule_tried.html", **_shown(draft))
    return _page(draft)


def _saved(draft: Draft, op: str) -> ResponseReturnValue:
    """Saves it, or says why not: problems beside the fields, or what somebody else saved meanwhile."""
    checked = draft.judge()
    row = draft.row
    if not checked["ok"]:
        return _page(draft, 422)
    if row is not None and checked["rule_id"] != row["rule_id"] and op != "save_new":
        draft.renamed = checked["rule_id"]
        return _page(draft, 422)
    as_new = row is None or op == "save_new"
    on = row is not None and bool(row["enabled"]) and not as_new
    base = 0 if op == "save_new" else draft.base
    try:
        version = save([draft_of(checked, False if as_new else None, base)])[0]
    except RuleConflict:
        draft.theirs = row_of(checked["rule_id"])
        return _page(draft, 409)
    said = f"{checked['definition']['name']} is saved as version {version}."
    flash(said if on else f"{said} It is switched off.", "success")
    page = "rule_page.on" if op == "save_on" and not on else "rule_page.page"
    return redirect(url_for(page, rule_id=checked["rule_id"]))


def _page(draft: Draft, status: int = 200) -> ResponseReturnValue:
    response = make_response(render_template("rule_builder.html", **_shown(draft)), status)
    response.headers["Vary"] = "HX-Request, HX-Target"
    return response


def _shown(draft: Draft) -> dict[str, Any]:
    """What the templates of the builder need."""
    return {
        "draft": draft,
        "d": draft.definition,
        "language": language(),
        "tree": rule_tree,
        "form": rule_form,
        "say": rule_words,
        "few": FEW,
        "posted_to": request.path,
        **_counting(),
    }


@bp.get("/rules/count/<token>")
@required(ANALYST)
def counted(token: str) -> ResponseReturnValue:
    """How far a count is, for the page that polls for it."""
    count = count_of(token, request.args.get("of", ""))
    return render_template("_rule_count.html", count=count, token=token, **_counting())


def _counting() -> dict[str, Any]:
    """What the template of a count needs."""
    return {"say": rule_words, "days": DAYS, "reasons": reasons}
