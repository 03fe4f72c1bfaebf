"""The rule language: what a rule is, as frozen dataclasses, and what its fields and operators are.

Read rules with `parse.parse_rules`. Times are seconds since 1970, lengths of time are seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from transforms.rules.kinds import Choice, Kind, Number, Text
from transforms.schema import CALL_RESULTS, CALL_TYPES

Family = Literal["count", "sum", "distinct", "profile", "own"]
Value = int | float | str | tuple[int | float | str, ...]
Where = tuple[tuple[str, tuple[int | str, ...]], ...]
"""Allowed values per column of `WHERE`, in that order; every column has to be met."""

MAX_DEPTH: Final = 6
MAX_CONDITIONS: Final = 50
LEAST_ALWAYS_COOLDOWN: Final = 3600

_NAME = Text(longest=100)
_NUMBER = Number()
_HOUR = Number(whole=True, low=0, high=23)
_WEEKDAY = Number(whole=True, low=0, high=6)
_REGION = Text(longest=3, pattern="^([A-Z]{2}|[0-9]{3})$", example="a region such as US, 001 or ZZ")


@dataclass(frozen=True)
class Field:
    """What a condition can ask about.

    Attributes:
        family: ``count`` of interactions, ``sum`` over them, ``distinct`` values among them, ``profile`` (the
            most frequent value among them), ``own`` (a property of the subscriber, without a window).
        values: what it is compared with.
        noun: for sentences; ``{s}`` stands for the plural's s of windowed fields.
    """

    family: Family
    values: Kind
    noun: str

    @property
    def windowed(self) -> bool:
        """Whether it is a number over a window, which ``where`` may narrow."""
        return self.family in ("count", "sum", "distinct")


FIELDS: Final[dict[str, Field]] = {
    "calls": Field("count", _NUMBER, "call{s}"),
    "answered": Field("count", _NUMBER, "answered call{s}"),
    "messages": Field("count", _NUMBER, "message{s}"),
    "interactions": Field("count", _NUMBER, "call{s} or message{s}"),
    "duration_s": Field("sum", _NUMBER, "second{s} of talk"),
    "charge": Field("sum", _NUMBER, "unit{s} of charge"),
    "international": Field("count", _NUMBER, "international call{s} or message{s}"),
    "distinct_numbers": Field("distinct", _NUMBER, "different number{s}"),
    "distinct_regions": Field("distinct", _NUMBER, "different countr{ies}"),
    "tag": Field("profile", _NAME, "main tag"),
    "business_type": Field("profile", _NAME, "main business type"),
    "best_hour": Field("profile", _HOUR, "busiest hour"),
    "best_weekday": Field("profile", _WEEKDAY, "busiest weekday"),
    "subscriber_region": Field("own", _REGION, "home country"),
}
WHERE: Final[dict[str, Kind]] = {
    "business_type": _NAME,
    "tag": _NAME,
    "region": _REGION,
    "call_type": Choice(CALL_TYPES),
    "call_result": Choice(CALL_RESULTS),
    "hour": _HOUR,
    "weekday": _WEEKDAY,
}
"""What ``where`` can narrow by: type, tag and region of the called number, hour and weekday in local time."""

ORDER_OPERATORS: Final = ("<", "<=", ">", ">=")
EQUALITY_OPERATORS: Final = ("=", "!=")
LIST_OPERATORS: Final = ("in", "notIn")
OPERATORS: Final = (*EQUALITY_OPERATORS, *ORDER_OPERATORS, "between", *LIST_OPERATORS)
TEXT_OPERATORS: Final = (*EQUALITY_OPERATORS, *LIST_OPERATORS)
"""The operators of fields whose values are texts: texts have no order."""

COMBINATORS: Final = ("and", "or")
STARTS: Final = ("now", "entering")
REPEATS: Final = ("never", "on_reentry", "always")


def operators_of(field_name: str) -> tuple[str, ...]:
    """The operators that a field takes."""
    return OPERATORS if isinstance(FIELDS[field_name].values, Number) else TEXT_OPERATORS


@dataclass(frozen=True)
class Condition:
    """One comparison, such as "at least 3 calls in the last 30 days".

    ``window`` is in seconds, None for a profile since the beginning and for ``subscriber_region``. ``value``
    is one value, ``(low, high)`` for between, a tuple for in and notIn.
    """

    field: str
    operator: str
    value: Value
    window: int | None = None
    where: Where = ()

    def holds(self, value: int | float | str | None) -> bool:
        """Whether the condition is true of a field's value; None (a profile without records) never is."""
        if value is None:
            return False
        if self.operator in ("in", "notIn"):
            return (value in self.value) == (self.operator == "in")  # type: ignore[operator]
        if self.operator == "between":
            low, high = self.value  # type: ignore[misc,str-unpack]
            return low <= value <= high  # type: ignore[operator]
        return _compare(value, self.operator, self.value)


def _compare(value: object, operator: str, other: object) -> bool:
    if operator in EQUALITY_OPERATORS:
        return (value == other) == (operator == "=")
    if operator in ("<", "<="):
        return value < other or (operator == "<=" and value == other)  # type: ignore[operator]
    return value > other or (operator == ">=" and value == other)  # type: ignore[operator]


@dataclass(frozen=True)
class Group:
    """Conditions and groups joined by and/or; ``negated`` turns the result round."""

    combinator: str
    rules: tuple[Condition | Group, ...]
    negated: bool = False


@dataclass(frozen=True)
class Offer:
    """What a promotion offers; ``goal`` says which interactions count as its success."""

    code: str
    text: str = ""
    channel: str = ""
    expires_after: int = 86400
    goal: Where | None = None


@dataclass(frozen=True)
class Limits:
    """How often a rule may fire: per subscriber but for ``max_total``, over all versions of the rule."""

    repeat: str = "never"
    cooldown: int = 0
    max_per_subscriber: int | None = None
    max_total: int | None = None


@dataclass(frozen=True)
class Rule:
    """A condition on a subscriber's behaviour and the promotion that it makes."""

    name: str
    when: Group
    offer: Offer
    enabled: bool = True
    priority: int = 100
    start: str = "now"
    limits: Limits = field(default_factory=Limits)
    control_share: float = 0
    valid_from: int | None = None
    valid_to: int | None = None

    @property
    def rule_id(self) -> str:
        """The name as a slug, see `slug`."""
        return slug(self.name)

    @property
    def longest_window(self) -> int:
        """Seconds of history that its conditions look back on (``all`` left out)."""
        return max((c.window or 0 for _, c in conditions(self.when)), default=0)


def slug(name: str) -> str:
    """``Bank shopper!`` -> ``bank-shopper``: lower case, every run of other characters than a-z0-9 one hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def conditions(node: Condition | Group, path: str = "when") -> Iterator[tuple[str, Condition]]:
    """Every condition below a node with its path (``when.rules[1]``), in the order they were written."""
    if isinstance(node, Condition):
        yield path, node
        return
    for k, child in enumerate(node.rules):
        yield from conditions(child, f"{path}.rules[{k}]")


@dataclass(frozen=True)
class ActiveRule:
    """A version of a rule and when it is on: ``active_from <= t < active_to``, None where open."""

    rule: Rule
    version: int = 1
    active_from: int | None = None
    active_to: int | None = None

    @property
    def begin(self) -> int | None:
        """First second at which it may fire, its own ``valid_from`` taken into account; None: always."""
        return max((t for t in (self.active_from, self.rule.valid_from) if t is not None), default=None)

    @property
    def end(self) -> int | None:
        """Second from which on it may not fire; None: never."""
        return min((t for t in (self.active_to, self.rule.valid_to) if t is not None), default=None)
