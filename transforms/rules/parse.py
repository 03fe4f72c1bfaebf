"""Rules from JSON and back. Everything that JSON could be and a rule is not is refused with its path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from transforms.errors import RuleError
from transforms.rules import language as lang
from transforms.rules.kinds import (
    IGNORED,
    REQUIRED,
    Bounds,
    Choice,
    Duration,
    Flag,
    Instant,
    Kind,
    ListOf,
    Maybe,
    Number,
    Shape,
    Text,
)
from transforms.rules.language import FIELDS, Condition, Group, Limits, Offer, Rule, Where
from transforms.rules.problems import Problems, RuleProblem, duration_text, instant_text, join, refuse

_ID: Final = (Text(least=0), IGNORED)  # react-querybuilder gives each node one
_COUNT: Final = Maybe(Number(whole=True, low=1))

WHERE_SHAPE: Final = Shape({key: (ListOf(kind), None) for key, kind in lang.WHERE.items()})
OFFER_SHAPE: Final = Shape(
    {
        "code": (Text(longest=100), REQUIRED),
        "text": (Text(longest=2000, least=0), ""),
        "channel": (Text(longest=100, least=0), ""),
        "expires_after": (Duration(least=1), Offer.expires_after),
        "goal": (Maybe(WHERE_SHAPE), None),
    }
)
LIMITS_SHAPE: Final = Shape(
    {
        "repeat": (Choice(lang.REPEATS), Limits.repeat),
        "cooldown": (Duration(), Limits.cooldown),
        "max_per_subscriber": (_COUNT, None),
        "max_total": (_COUNT, None),
    }
)


class _Tree(Kind):
    """The kind of ``when``: a group. Groups hold groups, so their depth and size are counted here."""

    def __init__(self) -> None:
        self._count = 0

    def _read(self, value: object, path: str) -> Group:
        return self._group(value, path, 1)

    def _schema(self) -> dict[str, Any]:
        return {"$ref": "#/$defs/group"}

    def _group(self, value: object, path: str, depth: int) -> Group:
        if depth > lang.MAX_DEPTH:
            raise RuleProblem(path, "is too deep", f"at most {lang.MAX_DEPTH} groups inside each other")
        found = GROUP_SHAPE.read(value, path)
        children = found["rules"]
        if not isinstance(children, list | tuple) or not children:
            raise refuse(children, f"{path}.rules", "a list of at least one condition or group")
        nodes, problems = [], Problems()
        for k, child in enumerate(children):
            with problems.of_part():
                nodes.append(self._node(child, f"{path}.rules[{k}]", depth))
        problems.tell()
        return Group(found["combinator"], tuple(nodes), found["not"])

    def _node(self, value: object, path: str, depth: int) -> Condition | Group:
        if isinstance(value, Mapping) and ("rules" in value or "combinator" in value):
            return self._group(value, path, depth + 1)
        self._count += 1
        if self._count > lang.MAX_CONDITIONS:
            raise RuleProblem(path, "is one too many", f"at most {lang.MAX_CONDITIONS} conditions in a rule")
        return _condition(value, path)


class _Anything(Kind):
    """The kind of what is read by hand."""

    def _read(self, value: object, path: str) -> object:
        return value

    def _schema(self) -> dict[str, Any]:
        node = {"anyOf": [{"$ref": "#/$defs/condition"}, {"$ref": "#/$defs/group"}]}
        return {"type": "array", "items": node, "minItems": 1}


GROUP_SHAPE: Final = Shape(
    {
        "id": _ID,
        "combinator": (Choice(lang.COMBINATORS), REQUIRED),
        "not": (Flag(), False),
        "rules": (_Anything(), REQUIRED),
    }
)


def rule_shape() -> Shape:
    """The shape of a rule. New for every rule, as its tree counts the conditions."""
    return Shape(
        {
            "name": (Text(), REQUIRED),
            "enabled": (Flag(), True),
            "priority": (Number(whole=True), Rule.priority),
            "start": (Choice(lang.STARTS), Rule.start),
            "when": (_Tree(), REQUIRED),
            "offer": (OFFER_SHAPE, REQUIRED),
            "limits": (LIMITS_SHAPE, {}),
            "control_share": (Number(low=0, high=1), 0),
            "valid_from": (Maybe(Instant()), None),
            "valid_to": (Maybe(Instant()), None),
        }
    )


def value_kind(field: str, operator: str) -> Kind:
    """What ``value`` has to be for a field and an operator."""
    kind = FIELDS[field].values
    if operator == "between":
        return Bounds(kind)
    return ListOf(kind) if operator in lang.LIST_OPERATORS else kind


def condition_shape(field: str, operator: str) -> Shape:
    """The shape of a condition on this field with this operator."""
    entries: dict[str, tuple[Kind, Any]] = {
        "id": _ID,
        "field": (Choice((field,)), REQUIRED),
        "operator": (Choice(lang.operators_of(field)), REQUIRED),
        "value": (value_kind(field, operator), REQUIRED),
    }
    if FIELDS[field].family != "own":
        entries["window"] = (Duration(least=1, or_all=FIELDS[field].family == "profile"), REQUIRED)
    if FIELDS[field].windowed:
        entries["where"] = (WHERE_SHAPE, {})
    return Shape(entries)


def _condition(value: object, path: str) -> Condition:
    if not isinstance(value, Mapping):
        raise refuse(value, path, "a condition or a group { … }")
    field = _entry(value, "field", path, tuple(FIELDS))
    operator = _entry(value, "operator", path, lang.operators_of(field))
    found = condition_shape(field, operator).read(value, path)
    return Condition(field, operator, found["value"], found.get("window"), _where(found.get("where")))


def _entry(value: Mapping[Any, Any], key: str, path: str, options: tuple[str, ...]) -> str:
    if key not in value:
        raise RuleProblem(join(path, key), "is missing", f"one of {', '.join(options)}")
    return str(Choice(options).read(value[key], join(path, key)))


def _where(found: Mapping[str, Any] | None) -> Where:
    return tuple((key, values) for key, values in (found or {}).items() if values is not None)


def parse_rule(value: object) -> Rule:
    """One rule from its JSON object (a mapping).

    Raises:
        RuleProblem: with the path of what is wrong, and with everything else that is.
    """
    found = rule_shape().read(value, "")
    offer, limits = found.pop("offer"), found.pop("limits")
    goal = None if offer["goal"] is None else _where(offer["goal"])
    rule = Rule(**found, offer=Offer(**{**offer, "goal": goal}), limits=Limits(**limits))
    _check_whole(rule)
    return rule


def _check_whole(rule: Rule) -> None:
    """What no single value shows."""
    problems, limits = Problems(), rule.limits
    with problems.of_part():
        if not rule.rule_id:
            raise refuse(rule.name, "name", "a name with a letter a-z or a digit in it")
    with problems.of_part():
        if limits.repeat == "always" and limits.cooldown < lang.LEAST_ALWAYS_COOLDOWN:
            raise refuse(duration_text(limits.cooldown), "limits.cooldown", "at least 1h with repeat always")
    with problems.of_part():
        if rule.valid_from is not None and rule.valid_to is not None and rule.valid_from >= rule.valid_to:
            after = f"a moment after {instant_text(rule.valid_from)}"
            raise refuse(instant_text(rule.valid_to), "valid_to", after)
    problems.tell()


def parse_rules(source: str | bytes | Sequence[object]) -> list[Rule]:
    """Rules from the text of a rules file or from the list in it.

    Raises:
        RuleProblem: with path and position; also for two rules with one id.
    """
    values = _load(source) if isinstance(source, str | bytes) else source
    if not isinstance(values, list | tuple):
        raise RuleError("a rules file holds no list", "a JSON list of rules: [{…}, {…}]")
    rules: list[Rule] = []
    for k, value in enumerate(values):
        try:
            rules.append(parse_rule(value))
            _check_unique(rules)
        except RuleProblem as problem:
            name = value.get("name") if isinstance(value, Mapping) else None
            raise problem.of_rule(k, name) from None
    return rules


def _check_unique(rules: list[Rule]) -> None:
    new = rules[-1]
    for k, old in enumerate(rules[:-1]):
        if old.rule_id == new.rule_id:
            raise RuleProblem(
                "name", f"makes the rule_id {new.rule_id}, which rule {k + 1} has already", "another name"
            )


def _load(text: str | bytes) -> object:
    try:
        return json.loads(text, object_pairs_hook=_distinct_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RuleError(f"a rules file is no JSON: {error}", "a JSON list of rules: [{…}, {…}]") from error


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(k for k in found if sum(k == key for key, _ in pairs) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
