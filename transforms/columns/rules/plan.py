"""Conditions made ready for columns: which rows count, over how many panes, and which values are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, Literal, cast

from transforms.columns.records import ANSWERED_VOICE, FIRST_SMS
from transforms.columns.rules.people import HOURS, WEEKDAYS, Words
from transforms.rules.check import check_pane
from transforms.rules.language import FIELDS, Condition, Rule, Where, conditions
from transforms.schema import CALL_RESULTS, CALL_TYPES

Column = Literal["kind", "called_type", "called_region", "hour", "weekday"]
Ranges = tuple[tuple[int, int | None], ...]
"""Disjoint ascending ranges of whole numbers from 0 on, both ends included; None: no upper end."""

MICRO: Final = 1_000_000
UNKNOWN_REGION: Final = "ZZ"
_MOST: Final = 1 << 60  # more than any count or sum
_KINDS: Final = {
    "calls": tuple(range(FIRST_SMS)),
    "answered": (ANSWERED_VOICE,),
    "messages": tuple(range(FIRST_SMS, FIRST_SMS + len(CALL_RESULTS))),
    "duration_s": (ANSWERED_VOICE,),
}
_ALL_KINDS: Final = tuple(range(len(CALL_TYPES) * len(CALL_RESULTS)))
_WEIGHTS: Final = {"duration_s": "duration", "charge": "charge"}
_PROFILE_COLUMNS: Final = {
    "tag": "called_type",
    "business_type": "called_type",
    "best_hour": "hour",
    "best_weekday": "weekday",
}


@dataclass(frozen=True)
class Filter:
    """Which interactions a condition counts.

    Attributes:
        allowed: per column the values that pass; a column that is not named passes all.
        abroad: only those to a known region other than the subscriber's own.
        weight: the column that is summed; interactions that add nothing are left out. Empty: they are counted.
    """

    allowed: tuple[tuple[Column, tuple[int, ...]], ...] = ()
    abroad: bool = False
    weight: str = ""


@dataclass(frozen=True)
class Leaf:
    """A condition made ready.

    Attributes:
        path: where it stands in its rule.
        condition: as it was written.
        filter: which interactions count.
        panes: length of its window in panes, None: since the beginning.
        ranges: of numbers that hold; of profiles the positions that do, one range each.
        column: whose values are told apart (distinct) or counted (profile).
        category: per value of the column the position in the list of names, None where they are the same.
        names: the names of the positions, None where the position is the value.
    """

    path: str
    condition: Condition
    filter: Filter
    panes: int | None
    ranges: Ranges
    column: str = ""
    category: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None
    width: int = 0

    @property
    def family(self) -> str:
        """The family of its field."""
        return FIELDS[self.condition.field].family

    @property
    def least(self) -> int:
        """How many interactions there have to be in its window, at least, for it to be true."""
        if self.family == "own" or (self.family == "profile" and self.panes is None):
            return 0  # these hold without any that are kept
        if self.family == "profile":
            return 1
        low = min((low for low, _ in self.ranges), default=0)
        return min(low, 1) if self.family == "sum" else low

    def movers(self, turned: bool) -> tuple[Filter | None, Filter | None]:
        """The interactions that can make it true by entering its window, and by leaving it; None for none.

        With ``turned`` those that can make it false.
        """
        if self.family == "own":
            return None, None
        if self.family == "profile":
            return self._profile_movers(turned)
        more = self.filter if any(low > 0 for low, _ in self.ranges) else None
        fewer = self.filter if any(high is not None for _, high in self.ranges) else None
        return (fewer, more) if turned else (more, fewer)

    def _profile_movers(self, turned: bool) -> tuple[Filter | None, Filter | None]:
        """More of the wanted values or fewer of the others; to make it false the other way round, or none at all."""
        leave = Filter() if turned else self.unwanted
        return self.unwanted if turned else self.wanted, None if self.panes is None else leave

    @cached_property
    def wanted(self) -> Filter:
        """Of a profile the interactions with the values that make it true."""
        return self._with_values(True)

    @cached_property
    def unwanted(self) -> Filter:
        """Of a profile the interactions with other values."""
        return self._with_values(False)

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Of a profile the position of each value of its column in the list of names."""
        return self.category or tuple(range(self.width))

    def _with_values(self, wanted: bool) -> Filter:
        mine = {low for low, _ in self.ranges}
        values = tuple(value for value, k in enumerate(self.positions) if (k in mine) == wanted)
        return Filter(((cast(Column, self.column), values),))


@lru_cache(maxsize=1024)
def leaves_of(rule: Rule, words: Words, pane: int) -> dict[str, Leaf]:
    """The conditions of a rule made ready for panes of so many seconds, by path. Not to be changed.

    Raises:
        RuleProblem: for a window that is no multiple of the pane.
    """
    found = {}
    for path, condition in conditions(rule.when):
        check_pane(condition, path, pane)
        found[path] = leaf(path, condition, words, pane)
    return found


def leaf(path: str, condition: Condition, words: Words, pane: int) -> Leaf:
    """The condition at ``path`` made ready."""
    family = FIELDS[condition.field].family
    panes = None if condition.window is None else condition.window // pane
    chosen = _filter(condition, words)
    if family == "profile":
        return _profile(path, condition, words, panes)
    if family == "own":
        names = words.regions
        wanted = tuple((k, k) for k, name in enumerate(names) if condition.holds(name))
        return Leaf(path, condition, chosen, None, wanted, names=names)
    column = {"distinct_numbers": "called", "distinct_regions": "called_region"}.get(condition.field, "")
    scale = MICRO if condition.field == "charge" else 1
    return Leaf(path, condition, chosen, panes, number_ranges(condition, scale), column)


def _profile(path: str, condition: Condition, words: Words, panes: int | None) -> Leaf:
    types = words.types
    names = {"tag": types.tags, "business_type": types.names}.get(condition.field)
    width = len(names) if names else {"best_hour": HOURS, "best_weekday": WEEKDAYS}[condition.field]
    values: tuple[str | int, ...] = names or tuple(range(width))
    wanted = tuple((k, k) for k, value in enumerate(values) if condition.holds(value))
    category = types.tag_of if condition.field == "tag" else None
    column = _PROFILE_COLUMNS[condition.field]
    return Leaf(path, condition, Filter(), panes, wanted, column, category, names, width)


def number_ranges(condition: Condition, scale: int = 1) -> Ranges:
    """The whole numbers from 0 on for which a condition on a number holds.

    Args:
        condition: of a windowed field.
        scale: what a value of 1 is as a whole number.
    """
    value = condition.value
    values = [Fraction(str(v)) * scale for v in (value if isinstance(value, tuple) else (value,))]
    first = values[0]
    match condition.operator:
        case ">=":
            return _clipped([(math.ceil(first), None)])
        case ">":
            return _clipped([(math.floor(first) + 1, None)])
        case "<=":
            return _clipped([(0, math.floor(first))])
        case "<":
            return _clipped([(0, math.ceil(first) - 1)])
        case "between":
            return _clipped([(math.ceil(first), math.floor(values[1]))])
    exact = sorted({int(v) for v in values if v.denominator == 1})
    if condition.operator in ("=", "in"):
        return _clipped([(v, v) for v in exact])
    edges = [-1, *exact]
    return _clipped([(a + 1, b - 1) for a, b in zip(edges, exact, strict=False)] + [(edges[-1] + 1, None)])


def _clipped(ranges: list[tuple[int, int | None]]) -> Ranges:
    """Without what no count or sum can be, which NumPy's whole numbers need not hold."""
    clipped = [(max(low, 0), None if high is not None and high > _MOST else high) for low, high in ranges]
    clipped = [(low, high) for low, high in clipped if low <= _MOST]
    return tuple((low, high) for low, high in clipped if high is None or low <= high)


def _filter(condition: Condition, words: Words) -> Filter:
    allowed = where_columns(condition.where, words)
    if condition.field in _KINDS:
        kinds = set(_KINDS[condition.field])
        allowed["kind"] = allowed.get("kind", kinds) & kinds
    columns = tuple((column, tuple(sorted(values))) for column, values in sorted(allowed.items()))
    return Filter(columns, condition.field == "international", _WEIGHTS.get(condition.field, ""))


def where_columns(where: Where, words: Words) -> dict[Column, set[int]]:
    """Per column the values that ``where`` lets pass; names that there are not let nothing pass."""
    allowed: dict[Column, set[int]] = {}
    for key, values in where:
        column, passing = _passing(key, set(values), words)
        allowed[column] = allowed.get(column, passing) & passing
    return allowed


def _passing(key: str, values: set[int | str], words: Words) -> tuple[Column, set[int]]:
    types = words.types
    match key:
        case "business_type":
            return "called_type", {k for k, name in enumerate(types.names) if name in values}
        case "tag":
            return "called_type", {k for k, tag in enumerate(types.tag_of) if types.tags[tag] in values}
        case "region":
            return "called_region", {k for k, name in enumerate(words.regions) if name in values}
        case "call_type":
            return "kind", {k for k in _ALL_KINDS if CALL_TYPES[k // len(CALL_RESULTS)] in values}
        case "call_result":
            return "kind", {k for k in _ALL_KINDS if CALL_RESULTS[k % len(CALL_RESULTS)] in values}
        case "hour":
            return "hour", {int(v) for v in values}
        case _:
            return "weekday", {int(v) for v in values}
