"""What rules can say, as the builder offers it: fields with their operators, values with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

Node = dict[str, Any]
FEW: Final = 40
"""So many choices stand on a page one by one; of more (countries) the names are typed."""
_MOST_EXPECTED: Final = ">="
_LISTS: Final = ("in", "notIn")


class Choice(NamedTuple):
    """A value that can be chosen, and its text."""

    value: Any
    text: str


class Language:
    """The answer of `RuleDesk.language`, asked by name.

    Attributes:
        fields: name -> what the desk says of the field.
        operators: operator -> its text.
        filters: name of a column that narrows what counts -> what the desk says of it.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.fields: dict[str, Any] = {f["name"]: f for f in told["fields"]}
        self.operators: dict[str, str] = dict(told["operators"])
        self.filters: dict[str, Any] = dict(told["where"])

    def about(self, field: Any) -> Mapping[str, Any]:
        """What there is to say of a field; of one that there is not, what there is of the first."""
        found: Mapping[str, Any] = self.fields.get(str(field)) or next(iter(self.fields.values()))
        return found

    def label(self, field: Any) -> str:
        """A field in words."""
        return str(self.fields[field]["label"]) if field in self.fields else str(field)

    def choices(self, field: Any) -> list[Choice]:
        """The values of a field, where they can be chosen."""
        return _choices(self.about(field))

    def filter_choices(self, name: str) -> list[Choice]:
        """The values of a filter, where they can be chosen."""
        return _choices(self.filters[name]) if name in self.filters else []

    def filter_label(self, name: str) -> str:
        """A filter in words."""
        return str(self.filters[name]["label"]) if name in self.filters else name

    def fresh(self) -> Node:
        """A condition to begin with."""
        return self.fitted(next(iter(self.fields)), "", [], "7d", {})

    def fitted(
        self, field: str, operator: str, given: Sequence[str], window: str | None, where: Mapping[str, Any]
    ) -> Node:
        """A condition of these parts, with what does not go with its field put right.

        Args:
            field, operator: as chosen.
            given: the values as texts.
            window: ``30d``, ``all`` or none.
            where: filters.
        """
        about = self.about(field)
        if operator not in about["operators"]:
            expected = about["operators"][0]
            operator = _MOST_EXPECTED if _MOST_EXPECTED in about["operators"] else expected
        value = _shaped(operator, [self._value(about, v) for v in given])
        if value == "" and not given:
            known = self.choices(about["name"])
            value = known[0].value if known else 1
        node: Node = {"field": about["name"], "operator": operator, "value": value}
        if about["kind"] != "subscriber":
            lasting = window or "30d"
            node["window"] = "30d" if lasting == "all" and about["kind"] == "windowed" else lasting
        if about["kind"] == "windowed" and where:
            node["where"] = dict(where)
        return node

    def _value(self, about: Mapping[str, Any], text: str) -> Any:
        if about["value"] == "choice":
            return matched(self.choices(about["name"]), text)
        return number_in(text)

    def filter_values(self, name: str, given: Sequence[str]) -> list[Any]:
        """The values of a filter from texts."""
        known = self.filter_choices(name)
        return [matched(known, text) for text in given]


def matched(choices: Sequence[Choice], text: str) -> Any:
    """The value that a text stands for; the text itself where there is no such value."""
    return next((c.value for c in choices if str(c.value) == text), text)


def number_in(text: str) -> Any:
    """The number in a text; what is none stays as it was typed, for the check to say so.

    >>> number_in("3"), number_in("2.50"), number_in("many"), number_in("nan")
    (3, 2.5, 'many', 'nan')
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        return text
    return found if abs(found) < 1e300 else text


def _shaped(operator: str, values: list[Any]) -> Any:
    if operator in _LISTS:
        return values
    if operator == "between":
        return [*values, "", ""][:2]
    return values[0] if values else ""


def _choices(told: Mapping[str, Any]) -> list[Choice]:
    values = told.get("choices") or []
    texts = told.get("labels") or [_SAID.get(v, str(v)) for v in values]
    return [Choice(value, text) for value, text in zip(values, texts, strict=True)]


_SAID: Final = {
    "VOICE": "calls",
    "SMS": "messages",
    "ANSWERED": "answered",
    "BUSY": "busy",
    "NO_ANSWER": "not answered",
    "FAILED": "failed",
}
