"""Rules as English sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from transforms.rules.language import FIELDS, Condition, Group, Limits, Rule, Value, Where
from transforms.rules.problems import instant_text

_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_NUMBERS: Final = {
    "=": "exactly {}",
    "!=": "any number but {}",
    "<": "fewer than {}",
    "<=": "at most {}",
    ">": "more than {}",
    ">=": "at least {}",
}
_ORDERS: Final = {
    "=": "is {}",
    "!=": "is not {}",
    "<": "is before {}",
    "<=": "is {} or earlier",
    ">": "is after {}",
    ">=": "is {} or later",
}
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NARROWED: Final = {
    "region": "in",
    "call_type": "as",
    "call_result": "that were",
    "hour": "at",
    "weekday": "on",
}
_SAID: Final = {
    "ZZ": "unknown",
    "VOICE": "calls",
    "SMS": "messages",
    "ANSWERED": "answered",
    "BUSY": "busy",
    "NO_ANSWER": "not answered",
    "FAILED": "failed",
}
"""Values that do not speak for themselves."""
_CODED: Final = ("region", "subscriber_region", "call_type", "call_result")
_CHANNELS: Final = {"sms": "by SMS", "app": "in the app"}
_REPEATS: Final = {
    "never": "once per subscriber",
    "on_reentry": "each time that a subscriber comes to match",
    "always": "as long as a subscriber matches",
}


def sentence(rule: Rule) -> str:
    """The whole rule as one English sentence."""
    channel = rule.offer.channel
    offer = f"offer {rule.offer.code}" + (f" {_CHANNELS.get(channel, f'by {channel}')}" if channel else "")
    when = node_sentence(rule.when)
    who = "to whoever comes to have" if rule.start == "entering" else "to whoever has"
    return f"{offer[0].upper()}{offer[1:]} {who} {when}; {_limits(rule.limits)}{_dates(rule)}."


def node_sentence(node: Condition | Group, inner: bool = False) -> str:
    """A condition or a group, as what a subscriber has: "at least 3 calls in the last 30 days"."""
    if isinstance(node, Condition):
        return condition_sentence(node)
    joined = _join([node_sentence(child, True) for child in node.rules], node.combinator)
    if node.negated:
        return f"not ({joined})"
    return f"({joined})" if inner and len(node.rules) > 1 else joined


def condition_sentence(condition: Condition) -> str:
    """One condition, as what a subscriber has."""
    field = FIELDS[condition.field]
    if not field.windowed:
        period = "" if field.family == "own" else f" {_period(condition.window)}"
        return f"{_article(field.noun)} {field.noun}{period} that {_comparison(condition)}"
    one = condition.value == 1
    noun = field.noun.format(s="" if one else "s", ies="y" if one else "ies")
    return f"{_amount(condition)} {noun} {_period(condition.window)} to {_targets(condition.where)}"


def _amount(condition: Condition) -> str:
    if condition.operator in _NUMBERS:
        return _NUMBERS[condition.operator].format(*_amounts(condition.value))
    if condition.operator == "between":
        low, high = _amounts(condition.value)
        return f"{low} to {high}"
    return (
        "any of" if condition.operator == "in" else "any number but"
    ) + f" {_join(_amounts(condition.value), 'or')}"


def _amounts(value: Value) -> list[str]:
    return [f"{v:,}" if isinstance(v, int) else str(v) for v in _values(value)]


def _comparison(condition: Condition) -> str:
    names = [_name(condition.field, v) for v in _values(condition.value)]
    if condition.operator in _ORDERS:
        return _ORDERS[condition.operator].format(names[0])
    if condition.operator == "between":
        return f"is from {names[0]} to {names[1]}"
    return f"is {'not ' * (condition.operator == 'notIn')}{_join(names, 'or')}"


def _targets(where: Where) -> str:
    """Which interactions count: "type Banking or Job at 9:00"."""
    columns = dict(where)
    kinds = [f"type {_join(columns['business_type'], 'or')}"] if "business_type" in columns else []
    kinds += [f"tag {_join(columns['tag'], 'or')}"] if "tag" in columns else []
    to = " with ".join(kinds) or "any type"
    parts = [_narrowed(c, columns[c]) for c in _NARROWED if c in columns]
    return " ".join([to, *parts])


def _narrowed(column: str, values: Sequence[str | int]) -> str:
    """A filter: "that were busy or failed"; hours that follow each other as one span."""
    hours = sorted(v for v in values if isinstance(v, int)) if column == "hour" else []
    if len(hours) > 2 and hours == list(range(hours[0], hours[-1] + 1)):
        return f"from {hours[0]}:00 to {hours[-1] + 1}:00"
    return f"{_NARROWED[column]} {_join([_name(column, v) for v in values], 'or')}"


def _name(column: str, value: object) -> str:
    if column.endswith("hour"):
        return f"{value}:00"
    if column.endswith("weekday") and isinstance(value, int):
        return _DAYS[value]
    return _SAID.get(str(value), str(value)) if column in _CODED else str(value)


def _values(value: Value) -> list[str | int | float]:
    return list(value) if isinstance(value, tuple) else [value]


def _period(window: int | None) -> str:
    return "since the beginning" if window is None else f"in the last {length(window).removeprefix('1 ')}"


def length(seconds: int) -> str:
    """A length of time in words: 7200 -> ``2 hours``."""
    size, unit = next((s, u) for s, u in _UNITS if seconds % s == 0)
    number = seconds // size
    return f"{number} {unit}" + ("" if number == 1 else "s")


def _join(parts: Iterable[object], word: str) -> str:
    texts = [str(p) for p in parts]
    return f" {word} ".join(texts) if len(texts) < 3 else f"{', '.join(texts[:-1])} {word} {texts[-1]}"


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _limits(limits: Limits) -> str:
    parts = [_REPEATS[limits.repeat]]
    if limits.cooldown:
        parts.append(f"not again within {length(limits.cooldown)}")
    if limits.max_per_subscriber is not None:
        parts.append(f"at most {limits.max_per_subscriber:,} for each of them")
    if limits.max_total is not None:
        parts.append(f"at most {limits.max_total:,} in all")
    return ", ".join(parts)


def _dates(rule: Rule) -> str:
    first = f", from {instant_text(rule.valid_from)}" if rule.valid_from is not None else ""
    last = f", until {instant_text(rule.valid_to)}" if rule.valid_to is not None else ""
    return first + last
