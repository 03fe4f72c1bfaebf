"""``/rules``: Policy & Plan: all rules with what they do, recipes to start from, files in and out."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from callbeam_io.rule_desk import DeskError
from callbeam_io.store import rules as saved
from callbeam_io.store.web_queries import CallbeamError, RequestError
from webui import errors, rule_saving, rule_words, view
from webui.desk import desk, sentence_of
from webui.layout import NavItem
from webui.promotions import outcomes_of
from webui.reasons import OUTCOMES
from webui.roles import ANALYST, log, required
from webui.rule_saving import RuleConflict, RuleDraft, draft_of, row_of
from webui.services import cached, store

bp = Blueprint("rules", __name__)
NAV = [NavItem("People", "Policy & Plan", "bullseye", "rules.rules", ANALYST, place=20, also=("/audience",))]
_LOG: Final = logging.getLogger(__name__)
NO_DESK: Final = (
    "Rules cannot be checked and counted at this moment. What is saved goes on as it is; try again soon."
)


@bp.app_template_filter("capfirst")
def capfirst(text: object) -> str:
    """A text that begins with a capital letter; the others stay as they are."""
    said = str(text)
    return said[:1].upper() + said[1:]


@bp.app_errorhandler(DeskError)
def no_desk(error: DeskError) -> ResponseReturnValue:
    """What is shown where rules cannot be checked now; scripts put it in place of the preview."""
    _LOG.warning("%s", error)
    if errors.for_programs():
        return errors.error_json(503, NO_DESK)
    if request.headers.get("HX-Request"):
        response = make_response(render_template("_error.html", status=503, message=NO_DESK))
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#preview", "innerHTML"
        return response
    return render_template("error.html", shell="base.html", status=503, title="Not now", message=NO_DESK), 503


@bp.route("/rules", methods=["GET", "POST"])
@required(ANALYST)
def rules() -> ResponseReturnValue:
    """The list; the field ``do`` says what is to be done with a rule, or with a file of rules."""
    if request.method == "GET":
        return _page()
    do = request.form.get("do", "")
    if do == "import":
        return _imported()
    return done(do, row_of(request.form.get("rule_id", "")), url_for("rules.rules"))


def done(do: str, row: dict[str, Any], back: str) -> ResponseReturnValue:
    """What can be done with a rule from a list or from its page."""
    if do == "off":
        rule_saving.switch_off(row["rule_id"])
        flash(f"{row['name']} is switched off.", "success")
    elif do == "priority":
        priority = request.form.get("priority", type=int)
        if priority is None:
            flash(f"The priority of {row['name']} has to be a whole number.", "warning")
        elif priority != row["priority"]:
            _set_priority(row, priority)
    else:
        abort(400)
    return redirect(back)


def _set_priority(row: dict[str, Any], priority: int) -> None:
    try:
        rule_saving.set_priority(row, priority)
        flash(f"{row['name']} has priority {priority} now.", "success")
    except RequestError as error:  # a conflict is one too
        flash(f"{row['name']} stays as it is: {error}", "warning")


def _page(wrong: dict[str, str] | None = None) -> ResponseReturnValue:
    rows = saved.list_rules(store())
    run = view.chosen_run()
    counts = {} if run is None else outcomes_of(run)
    page = render_template(
        "rules.html",
        rows=[
            {**row, "sentence": sentence_of(row), "counts": counts.get(row["rule_id"], {})} for row in rows
        ],
        recipes=_recipes({row["rule_id"] for row in rows}),
        outcomes=OUTCOMES,
        run=run,
        errors=wrong or {},
    )
    return page, 422 if wrong else 200


def _recipes(there: set[str]) -> list[dict[str, Any]]:
    """The recipes that are not in use yet, those first that can be used as they are; none without the desk."""
    asked = desk()
    try:
        found = cached("recipes", 10, asked.recipes)
    except CallbeamError:
        return []
    wanted = [r for r in found if r["key"] not in there]
    return sorted(wanted, key=lambda recipe: recipe["needs"] is not None)


def _imported() -> ResponseReturnValue:
    """Saves the rules of a file, all or none, switched off; those that are there get a next version."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return _page({"file": "Choose a file."})
    try:
        saved_now = save_all(_read(upload.read()))
    except (ValueError, RuleConflict) as error:
        return _page({"file": str(error)})
    count = len(saved_now)
    flash(f"{count} {'rule is' if count == 1 else 'rules are'} saved, switched off.", "success")
    return redirect(url_for("rules.rules"))


def save_all(definitions: list[dict[str, Any]]) -> dict[str, int]:
    """Saves rules, all or none, switched off; gives their ids with their versions.

    Raises:
        ValueError: one of them is wrong, or two have one id.
        RuleConflict: somebody else has saved one of them meanwhile.
    """
    drafts = []
    for definition in definitions:
        checked = desk().check(definition)
        if not checked["ok"]:
            name = definition.get("name") or "a rule without a name"
            raise ValueError(f"{name}: {rule_words.listed(checked['problems'])}")
        drafts.append(draft_of(checked, False, None))
    versions = rule_saving.save(_distinct(drafts))
    return {draft.rule_id: version for draft, version in zip(drafts, versions, strict=True)}


def _read(content: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ValueError(f"This is no JSON: {error}.") from error
    definitions = found if isinstance(found, list) else [found]
    if not definitions or not all(isinstance(d, dict) for d in definitions):
        raise ValueError("This is no list of rules.")
    return definitions


def _distinct(drafts: list[RuleDraft]) -> list[RuleDraft]:
    ids = [draft.rule_id for draft in drafts]
    twice = next((rule_id for rule_id in ids if ids.count(rule_id) > 1), None)
    if twice is not None:
        raise ValueError(f"Two rules of the file are called {twice}.")
    return drafts


@bp.get("/rules.json")
@required(ANALYST)
def as_json() -> Response:
    """All rules as a rules file."""
    return rules_file("rules", [saved.definition_of(row) for row in saved.list_rules(store())])


def rules_file(name: str, definitions: list[dict[str, Any]]) -> Response:
    """Rules as a download."""
    log("rules exported", name)
    text = json.dumps(definitions, indent=2, ensure_ascii=False) + "\n"
    response = Response(text, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return response
