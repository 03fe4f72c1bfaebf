"""Rules to JSON, and the JSON Schema of a rules file."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from transforms.rules import language as lang
from transforms.rules.language import Condition, Group, Rule, Where
from transforms.rules.parse import GROUP_SHAPE, condition_shape, rule_shape
from transforms.rules.problems import duration_text, instant_text

Json = dict[str, Any]


def to_json(rule: Rule) -> Json:
    """The rule as its JSON object with every default written out: ``parse_rule(to_json(rule)) == rule``."""
    return {
        "name": rule.name,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "start": rule.start,
        "when": node_json(rule.when),
        "offer": _offer_json(rule.offer),
        "limits": {
            "repeat": rule.limits.repeat,
            "cooldown": duration_text(rule.limits.cooldown),
            "max_per_subscriber": rule.limits.max_per_subscriber,
            "max_total": rule.limits.max_total,
        },
        "control_share": rule.control_share,
        "valid_from": None if rule.valid_from is None else instant_text(rule.valid_from),
        "valid_to": None if rule.valid_to is None else instant_text(rule.valid_to),
    }


def _offer_json(offer: lang.Offer) -> Json:
    return {
        "code": offer.code,
        "text": offer.text,
        "channel": offer.channel,
        "expires_after": duration_text(offer.expires_after),
        "goal": None if offer.goal is None else _where_json(offer.goal),
    }


def node_json(node: Condition | Group) -> Json:
    """A condition or group as its JSON object."""
    if isinstance(node, Group):
        rules = [node_json(child) for child in node.rules]
        return {"combinator": node.combinator, "not": node.negated, "rules": rules}
    value = list(node.value) if isinstance(node.value, tuple) else node.value
    written: Json = {"field": node.field, "operator": node.operator, "value": value}
    if lang.FIELDS[node.field].family != "own":
        written["window"] = "all" if node.window is None else duration_text(node.window)
    return {**written, "where": _where_json(node.where)} if node.where else written


def _where_json(where: Where) -> Json:
    return {key: list(values) for key, values in where}


def json_schema() -> Json:
    """The JSON Schema (2020-12) of a rules file, made of the definitions that the parser reads by.

    What one value does not show is the parser's alone: depth and number of conditions, unique rule_ids, the
    cooldown that ``always`` needs, and the order of two bounds or dates.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "callbeam rules",
        "type": "array",
        "items": {"$ref": "#/$defs/rule"},
        "$defs": {
            "rule": rule_shape().schema(),
            "group": GROUP_SHAPE.schema(),
            "condition": {"anyOf": _condition_schemas()},
        },
    }


def _condition_schemas() -> list[Json]:
    """One schema per shape of condition, naming every field and operator that share it."""
    by_shape: list[tuple[Json, str, str]] = []
    for field in lang.FIELDS:
        for operator in lang.operators_of(field):
            schema = condition_shape(field, operator).schema()
            del schema["properties"]["field"], schema["properties"]["operator"]
            by_shape.append((schema, field, operator))
    by_shape.sort(key=lambda entry: repr(entry[0]))
    return [_merged(schema, list(same)) for schema, same in groupby(by_shape, key=lambda entry: entry[0])]


def _merged(schema: Json, same: list[tuple[Json, str, str]]) -> Json:
    fields = list(dict.fromkeys(field for _, field, _ in same))
    operators = list(dict.fromkeys(operator for _, _, operator in same))
    named = {"field": {"enum": fields}, "operator": {"enum": operators}}
    return {**schema, "properties": {**named, **schema["properties"]}}
