"""What rules can say, whether one is right, and recipes to begin with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipelines.recipes import RECIPES
from pipelines.rules_world import World
from transforms.columns.regions import REGIONS
from transforms.errors import RuleError
from transforms.rules import language as lang
from transforms.rules.language import FIELDS, Rule, conditions, operators_of
from transforms.rules.parse import parse_rule
from transforms.rules.problems import RuleProblem, duration_text
from transforms.rules.sentences import condition_sentence, sentence
from transforms.rules.write import to_json
from transforms.schema import CALL_RESULTS, CALL_TYPES

Json = dict[str, Any]
_WINDOWS: Final = (
    60, 300, 900, 1800, 3600, 7200, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400,
)  # fmt: skip
_LABELS: Final = {
    "calls": "calls",
    "answered": "answered calls",
    "messages": "messages",
    "interactions": "calls and messages",
    "duration_s": "seconds of talk",
    "charge": "charge",
    "international": "international calls and messages",
    "distinct_numbers": "different numbers",
    "distinct_regions": "different countries",
    "tag": "main tag",
    "business_type": "main business type",
    "best_hour": "busiest hour",
    "best_weekday": "busiest weekday",
    "subscriber_region": "home country",
}
_OPERATORS: Final = {
    "=": "is",
    "!=": "is not",
    "<": "less than",
    "<=": "at most",
    ">": "more than",
    ">=": "at least",
    "between": "between",
    "in": "one of",
    "notIn": "none of",
}
_WHERE: Final = {
    "business_type": "to the type",
    "tag": "to the tag",
    "region": "to the country",
    "call_type": "as",
    "call_result": "that were",
    "hour": "at the hour",
    "weekday": "on",
}
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_KINDS: Final = {"profile": "profile", "own": "subscriber"}
_STUB: Final[Json] = {"field": "calls", "operator": ">=", "value": 1, "window": "1d"}


def language(world: World) -> Json:
    """What rules can say in this world; ``labels`` stand beside choices that do not speak for themselves."""
    fits = [w for w in _WINDOWS if w % world.pane == 0 and (world.history is None or w <= world.history)]
    return {
        "fields": [_field(name, world) for name in FIELDS],
        "operators": dict(_OPERATORS),
        "where": {name: {"label": _WHERE[name], **_choices(name, world)} for name in lang.WHERE},
        "windows": [duration_text(w) for w in fits],
        "limits": {"depth": lang.MAX_DEPTH, "conditions": lang.MAX_CONDITIONS},
        "repeats": list(lang.REPEATS),
        "starts": list(lang.STARTS),
        "pane": duration_text(world.pane),
        "history": None if world.history is None else duration_text(world.history),
    }


def _field(name: str, world: World) -> Json:
    family = FIELDS[name].family
    found = _choices(name, world)
    number = "number" if family == "sum" else "int"
    return {
        "name": name,
        "label": _LABELS[name],
        "kind": _KINDS.get(family, "windowed"),
        "operators": list(operators_of(name)),
        "value": number if len(operators_of(name)) == len(lang.OPERATORS) else "choice",
        **(found or {"choices": None}),
    }


def _choices(name: str, world: World) -> Json:
    """The values that a field or a column of ``where`` can have."""
    if name.endswith("weekday"):
        return {"choices": list(range(7)), "labels": _DAYS}
    if name.endswith("hour"):
        return {"choices": list(range(24)), "labels": [f"{h}:00" for h in range(24)]}
    known: Mapping[str, tuple[str, ...]] = {
        "business_type": world.types.names,
        "tag": world.types.tags,
        "region": REGIONS,
        "subscriber_region": REGIONS,
        "call_type": CALL_TYPES,
        "call_result": CALL_RESULTS,
    }
    return {"choices": list(known[name])} if name in known else {}


def check(definition: Any, world: World) -> Json:
    """Whether a rule can be decided in this world, what is wrong with it, and what of it can be said in words."""
    found = {problem.path: _message(problem) for problem in problems(definition, world)}
    said = [
        {"path": path, "sentence": condition_sentence(next(conditions(rule.when))[1])}
        for path, rule in _alone(definition)
        if isinstance(rule, Rule)
    ]
    answer: Json = {
        "ok": not found,
        "problems": [{"path": path, "message": message} for path, message in found.items()],
        "rule_id": lang.slug(_name(definition)),
        "definition": None,
        "sentence": None,
        "conditions": said,
    }
    try:
        rule = parse_rule(definition)
    except RuleError:
        return answer
    return {**answer, "rule_id": rule.rule_id, "definition": to_json(rule), "sentence": sentence(rule)}


def problems(definition: Any, world: World) -> Iterator[RuleProblem]:
    """All that is wrong with a rule: of every condition and of every other part by itself, then of the whole.

    One by one, as what a run cannot decide is only seen of what can be read.
    """
    for path, rule in _alone(definition):
        yield from _of_condition(path, rule, world)
    if isinstance(definition, Mapping):
        stub = {"name": "x", "offer": {"code": "x"}, "when": {"combinator": "and", "rules": [_STUB]}}
        yield from (RuleProblem(key, "is missing") for key in stub if key not in definition)
        for key in (key for key in definition if key != "when"):
            yield from _tried({**stub, key: definition[key]}, world)
    yield from _tried(definition, world)


def _of_condition(path: str, rule: Rule | RuleProblem, world: World) -> Iterator[RuleProblem]:
    try:
        if isinstance(rule, RuleProblem):
            raise rule
        world.check(rule)
    except RuleProblem as first:
        for problem in first.all:
            place = path + problem.path.removeprefix("when.rules[0]")
            yield RuleProblem(place, problem.said, problem.expected)


def _tried(definition: Any, world: World) -> Iterator[RuleProblem]:
    try:
        world.check(parse_rule(definition))
    except RuleProblem as problem:
        yield from problem.all


def _alone(definition: Any) -> Iterator[tuple[str, Rule | RuleProblem]]:
    """Each condition's path, and the rule that has no other one, or why it cannot be read."""
    when = definition.get("when") if isinstance(definition, Mapping) else None
    for path, condition in _leaves(when, "when", 1):
        alone = {
            "name": "x",
            "offer": {"code": "x"},
            "when": {"combinator": "and", "rules": [condition]},
        }
        try:
            yield path, parse_rule(alone)
        except RuleProblem as problem:
            yield path, problem


def _leaves(node: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """What stands in the place of a condition, as deep as groups may be."""
    children = node.get("rules") if isinstance(node, Mapping) else None
    if not isinstance(children, list) or depth > lang.MAX_DEPTH:
        return
    for k, child in enumerate(children[: lang.MAX_CONDITIONS]):
        place = f"{path}.rules[{k}]"
        if isinstance(child, Mapping) and ("rules" in child or "combinator" in child):
            yield from _leaves(child, place, depth + 1)
        else:
            yield place, child


def _message(problem: RuleProblem) -> str:
    return f"{problem.said}; expected {problem.expected}" if problem.expected else problem.said


def _name(definition: Any) -> str:
    name = definition.get("name") if isinstance(definition, Mapping) else None
    return name if isinstance(name, str) else ""


def recipes(world: World) -> Json:
    """All recipes; ``needs`` of one says why this world cannot decide it, None where it can."""
    found = []
    for recipe in RECIPES:
        first = next(problems(recipe.definition, world), None)
        needs = None if first is None else f"{first.path} {_message(first)}"
        found.append(
            {
                "key": lang.slug(recipe.definition["name"]),
                "title": recipe.definition["name"],
                "text": recipe.text,
                "definition": recipe.definition,
                "needs": needs,
            }
        )
    return {"recipes": found}
