"""Why a promotion was made, in words: the conditions of its rule with the values that they had."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from webui import words
from webui.geo.countries import name_of

_STEP: Final = re.compile(r"rules\[(\d+)\]")
_NOUNS: Final = {
    "calls": "calls",
    "answered": "answered calls",
    "messages": "messages",
    "interactions": "calls and messages",
    "duration_s": "of talk",
    "charge": "of charges",
    "international": "international calls and messages",
    "distinct_numbers": "different numbers",
    "distinct_regions": "different countries",
    "tag": "main tag",
    "business_type": "mostly calls",
    "best_hour": "busiest hour",
    "best_weekday": "busiest day",
    "subscriber_region": "lives in",
}
_ONE: Final = {
    "calls": "call",
    "answered": "answered call",
    "messages": "message",
    "interactions": "call or message",
    "international": "international call or message",
    "distinct_numbers": "different number",
    "distinct_regions": "different country",
}
"""How one of them is called."""
_PROFILE: Final = ("tag", "business_type", "best_hour", "best_weekday", "subscriber_region")
_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}

OUTCOMES: Final = {
    "offered": ("Offered", "ok"),
    "control": ("Control group", "idle"),
    "no_consent": ("No consent", "warn"),
    "capped": ("Contact limit", "warn"),
    "sold_out": ("Sold out", "warn"),
}
"""An outcome in words, and its tone."""


def reasons(features: Mapping[str, Any] | None, definition: Mapping[str, Any] | None) -> str:
    """What held, in words: ``5 international calls and messages in 30 days; main tag Business``.

    Args:
        features: condition path -> value, as the promotion keeps it.
        definition: of the rule's version; without it the paths stand for themselves.
    """
    said = [_said(condition_at(definition, path), path, value) for path, value in (features or {}).items()]
    return "; ".join(said) or "no values kept"


def condition_at(definition: Mapping[str, Any] | None, path: str) -> Mapping[str, Any] | None:
    """The condition of a rule at a path such as ``when.rules[0].rules[2]``, or None."""
    node: Any = (definition or {}).get("when")
    for step in _STEP.finditer(path):
        children = node.get("rules", []) if isinstance(node, Mapping) else []
        if int(step[1]) >= len(children):
            return None
        node = children[int(step[1])]
    return node if isinstance(node, Mapping) and "field" in node else None


def _said(condition: Mapping[str, Any] | None, path: str, value: Any) -> str:
    if condition is None:
        return f"{path.removeprefix('when.')}: {value}"
    field = str(condition["field"])
    noun = _ONE.get(field, field) if value == 1 and field in _ONE else _NOUNS.get(field, field)
    if field in _PROFILE:
        return f"{noun} {_profile(field, value)}{_period(condition)}"
    shown = words.talk(value) if field == "duration_s" and value is not None else _plain(value)
    return f"{shown} {noun}{_where(condition)}{_period(condition)}"


def _plain(value: Any) -> str:
    return words.number(value) if isinstance(value, int | float) else str(value)


def _profile(field: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if field == "best_hour":
        return words.hour_span(int(value))
    if field == "subscriber_region":
        return name_of(str(value))
    return words.weekday(int(value)) if field == "best_weekday" else str(value)


def _where(condition: Mapping[str, Any]) -> str:
    filters = (condition.get("where") or {}).items()
    allowed = [" or ".join(_allowed(name, v) for v in values) for name, values in filters]
    return f" ({', '.join(allowed)})" if allowed else ""


def _allowed(name: str, value: Any) -> str:
    """A value of a filter: a type without what it includes, hours and days as people say them."""
    if name == "hour":
        return f"{value}:00"
    if name == "weekday":
        return words.weekday(int(value))
    said = name_of(str(value)) if name == "region" else str(value).partition(" (")[0]
    return said.lower().replace("_", " ") if name in ("call_type", "call_result") else said


def _period(condition: Mapping[str, Any]) -> str:
    window = str(condition.get("window") or "")
    found = re.fullmatch(r"(\d+)([smhd])", window)
    if found is None:
        return ""
    number, unit = int(found[1]), _UNITS[found[2]]
    return f" in {number} {unit}{'' if number == 1 else 's'}"
