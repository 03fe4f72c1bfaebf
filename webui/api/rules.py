"""Rules: what they can say, whether one is right, what it would have done; saving, switching, and what came of it."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate
from werkzeug.exceptions import Conflict

from callbeam_io.store import rules as saved
from callbeam_io.store.rules import RuleConflict
from callbeam_io.store.web_queries import RequestError
from webui import rule_saving, view
from webui import rules as page
from webui.api.base import Part, choice, listed, row_of, shape, text, whole
from webui.desk import DAYS, desk
from webui.errors import field_error, field_errors
from webui.roles import ANALYST, log, viewed
from webui.services import store

part = Part("rules", "Rules on windowed behaviour, which make promotions.")
Definition = shape(
    "RuleBody",
    definition=fields.Dict(
        required=True, metadata={"description": "the rule as JSON: name, when, offer, limits, …"}
    ),
)
Draft = shape(
    "RuleDraft",
    definition=fields.Dict(required=True, metadata={"description": "the rule as JSON"}),
    base=whole(
        "the version that was edited, 0 for a rule that is new: another one there is a conflict", 0, 2**31
    ),
    enabled=fields.Boolean(load_default=False, metadata={"description": "whether it is on"}),
)
Checked = shape(
    "CheckedRule",
    ok=fields.Boolean(),
    problems=fields.List(fields.Dict()),
    rule_id=fields.String(allow_none=True),
    definition=fields.Dict(allow_none=True),
    sentence=fields.String(allow_none=True),
    conditions=fields.List(fields.Dict()),
)
Saved = shape("SavedRule", rule_id=fields.String(), version=fields.Integer())
RuleRow = row_of("rules")
Rules = listed("Rules", RuleRow)
Versions = listed("RuleVersions", row_of("rule_versions"))
Activations = listed("RuleActivations", row_of("rule_activations"))
Outcomes = shape("Outcomes", run_id=fields.String(allow_none=True), outcomes=fields.Dict())
Recipes = listed(
    "Recipes",
    shape(
        "Recipe",
        key=fields.String(),
        title=fields.String(),
        text=fields.String(),
        definition=fields.Dict(),
        needs=fields.String(allow_none=True),
    ),
)
Anything = shape("Found", found=fields.Dict(required=True))
CountBody = shape(
    "CountBody",
    definition=fields.Dict(required=True, metadata={"description": "the rule as JSON"}),
    days=whole("firings of so many days", 1, 3650, load_default=DAYS),
)
TryBody = shape(
    "TryBody",
    definition=fields.Dict(required=True, metadata={"description": "the rule as JSON"}),
    subscriber=text("a number", most=100, required=True),
)
SwitchBody = shape(
    "SwitchBody",
    start=choice(
        "now: everyone who qualifies; entering: who starts to qualify from now on",
        ("now", "entering"),
        load_default="entering",
    ),
)
RulesBody = shape(
    "RulesFile",
    rules=fields.List(
        fields.Dict(),
        required=True,
        validate=validate.Length(min=1, max=1000),
        metadata={"description": "the list of a rules file"},
    ),
)
SavedRules = listed("SavedRules", Saved)
PriorityBody = shape("PriorityBody", priority=whole("the smaller goes first", -(2**31), 2**31, required=True))


@part.call("GET", "/rules", ANALYST, Rules)
def rules() -> dict[str, Any]:
    """All rules as they are now, by priority."""
    return {"rows": saved.list_rules(store())}


@part.call("POST", "/rules", ANALYST, Saved, body=Draft, status=201)
def save(body: dict[str, Any]) -> dict[str, Any]:
    """Saves a rule as its next version; a conflict where somebody else saved one meanwhile."""
    checked = _right(body["definition"])
    draft = rule_saving.draft_of(checked, body["enabled"], body.get("base"))
    try:
        return {"rule_id": draft.rule_id, "version": rule_saving.save([draft])[0]}
    except RuleConflict as error:
        raise Conflict(str(error)) from None


@part.call("POST", "/rules/import", ANALYST, SavedRules, body=RulesBody, status=201)
def take_in(body: dict[str, Any]) -> dict[str, Any]:
    """Saves the rules of a file, all or none, switched off; those that are there get a next version."""
    try:
        found = page.save_all(body["rules"])
    except RuleConflict as error:
        raise Conflict(str(error)) from None
    except ValueError as error:
        raise field_error("rules", str(error)) from None
    return {"rows": [{"rule_id": rule_id, "version": version} for rule_id, version in found.items()]}


@part.call("GET", "/rules/<string:rule_id>", ANALYST, RuleRow)
def rule(rule_id: str) -> dict[str, Any]:
    """One rule."""
    return rule_saving.row_of(rule_id)


@part.call("GET", "/rules/<string:rule_id>/versions", ANALYST, Versions)
def versions(rule_id: str) -> dict[str, Any]:
    """All versions of a rule, the oldest first."""
    rule_saving.row_of(rule_id)
    return {"rows": saved.rule_versions(store(), rule_id)}


@part.call("GET", "/rules/<string:rule_id>/activations", ANALYST, Activations)
def activations(rule_id: str) -> dict[str, Any]:
    """When a rule was on, in which run."""
    rule_saving.row_of(rule_id)
    return {"rows": saved.rule_activations(store(), rule_id)}


@part.call("GET", "/rules/<string:rule_id>/outcomes", ANALYST, Outcomes)
def outcomes(rule_id: str) -> dict[str, Any]:
    """Promotions of a rule in the newest run, by outcome."""
    rule_saving.row_of(rule_id)
    run = view.chosen_run()
    if run is None:
        return {"run_id": None, "outcomes": {}}
    return {"run_id": run["run_id"], "outcomes": saved.rule_outcomes(store(), rule_id, run["run_id"])}


@part.call("GET", "/rules/<string:rule_id>/effect", ANALYST, Anything)
def effect(rule_id: str) -> dict[str, Any]:
    """What a rule brought about: offered against control, with a confidence interval."""
    rule_saving.row_of(rule_id)
    return {"found": desk().effect(rule_id)}


@part.call("POST", "/rules/<string:rule_id>/enable", ANALYST, body=SwitchBody)
def enable(body: dict[str, Any], rule_id: str) -> None:
    """Switches a rule on; without another word only for those who start to qualify from now on."""
    try:
        rule_saving.switch_on(rule_saving.row_of(rule_id), body["start"])
    except RuleConflict as error:
        raise Conflict(str(error)) from None
    except RequestError as error:
        raise field_error("definition", str(error)) from None


@part.call("POST", "/rules/<string:rule_id>/disable", ANALYST)
def disable(rule_id: str) -> None:
    """Switches a rule off, at once."""
    rule_saving.row_of(rule_id)
    rule_saving.switch_off(rule_id)


@part.call("PUT", "/rules/<string:rule_id>/priority", ANALYST, RuleRow, body=PriorityBody)
def prioritise(body: dict[str, int], rule_id: str) -> dict[str, Any]:
    """Gives a rule another priority, as its next version; one that is on goes on with those who come to qualify."""
    row = rule_saving.row_of(rule_id)
    try:
        if body["priority"] != row["priority"]:
            rule_saving.set_priority(row, body["priority"])
    except RuleConflict as error:
        raise Conflict(str(error)) from None
    except RequestError as error:
        raise field_error("priority", str(error)) from None
    return rule_saving.row_of(rule_id)


@part.call("GET", "/rule-language", ANALYST, Anything)
def language() -> dict[str, Any]:
    """What rules can say: fields, operators, filters, limits."""
    return {"found": desk().language()}


@part.call("GET", "/recipes", ANALYST, Recipes)
def recipes() -> dict[str, Any]:
    """Rules to begin with."""
    return {"rows": desk().recipes()}


@part.call("POST", "/rules/check", ANALYST, Checked, body=Definition)
def check(body: dict[str, Any]) -> dict[str, Any]:
    """Whether a rule is right; what is wrong with it, by path; and the rule in words."""
    return desk().check(body["definition"])


@part.call("POST", "/rules/count", ANALYST, Anything, body=CountBody)
def count(body: dict[str, Any]) -> dict[str, Any]:
    """What a rule would have done, had it been on over the history that is kept: people, days, outcomes, overlap."""
    checked = _right(body["definition"])
    found = desk().count(checked["definition"], days=body["days"])
    log("rule counted", checked["rule_id"], {"people shown": len(found.get("examples") or ())})
    return {"found": found}


@part.call("POST", "/rules/try", ANALYST, Anything, body=TryBody)
def try_on(body: dict[str, Any]) -> dict[str, Any]:
    """Whether a rule holds for one person now: every condition with its value."""
    checked = _right(body["definition"])
    viewed(body["subscriber"], {"rule tried": checked["definition"]["name"]})
    return {"found": _asked("subscriber", lambda: desk().try_on(checked["definition"], body["subscriber"]))}


def _right(definition: dict[str, Any]) -> dict[str, Any]:
    """A rule that the live run can decide; 422 with what is wrong where it cannot."""
    checked = desk().check(definition)
    if not checked["ok"]:
        raise field_errors({f"definition.{p['path']}": p["message"] for p in checked["problems"]})
    return checked


def _asked(field: str, ask: Any) -> Any:
    try:
        return ask()
    except RequestError as error:
        raise field_error(field, str(error)) from None
