"""A rule as the fields of the builder's form, and back: what cannot be read stays as it was typed.

Every node of the tree posts ``node=0.2.1``; a condition ``n.0.2.1.field``, ``.operator``, ``.value``, ``.window``,
``.unit`` and its filters ``.with=region``, ``.where.region=US``; a group ``n.0.join``; one that is too deep to be
shown ``n.0.1.2.json``. The order of the parts of a group is that of their ``node`` fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from webui.rule_language import FEW, Language, Node, number_in
from webui.rule_tree import JOINS, group, is_group, is_shapely

Form = MultiDict[str, str]
Definition = dict[str, Any]
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
REPEATS: Final = {
    "never": "once per person",
    "on_reentry": "each time somebody comes to qualify",
    "always": "as long as somebody qualifies",
}
STARTS: Final = {
    "entering": "only who starts to qualify from then on",
    "now": "also everyone who qualifies already",
}
_LENGTH: Final = re.compile(r"(.*?)([smhd])")
_SEPARATORS: Final = re.compile(r"[,;\s]+")


def empty(language: Language) -> Definition:
    """A rule to begin with: one condition, no name."""
    return {
        "name": "",
        "priority": 100,
        "start": "entering",
        "when": group("all", [language.fresh()]),
        "offer": {"code": "", "expires_after": "24h"},
        "limits": {"repeat": "never"},
        "control_share": 0.1,
    }


def definition_in(form: Form, language: Language) -> Definition:
    """The rule that a form holds."""
    offer = {
        "code": _text(form, "code"),
        "text": _text(form, "text"),
        "channel": _text(form, "channel"),
        "expires_after": _length(form, "expires"),
        "goal": filters(form, "goal", language) or None,
    }
    limits = {
        "repeat": form.get("repeat", "never"),
        "cooldown": _length(form, "cooldown"),
        "max_per_subscriber": _number(form, "max_per_subscriber"),
        "max_total": _number(form, "max_total"),
    }
    return {
        "name": _text(form, "name"),
        "priority": _number(form, "priority", 100),
        "start": form.get("start", "entering"),
        "when": tree_in(form, language),
        "offer": _known(offer) | {"code": offer["code"]},
        "limits": _known(limits),
        "control_share": _share(_text(form, "control_share")),
        "valid_from": _instant(_text(form, "valid_from")),
        "valid_to": _instant(_text(form, "valid_to")),
    }


def tree_in(form: Form, language: Language) -> Node:
    """The tree of conditions that a form holds."""
    nodes: dict[str, Node] = {}
    for place in form.getlist("node"):
        node = _node(form, place, language)
        parent = nodes.get(place.rpartition(".")[0])
        if place not in nodes and (parent is not None) == ("." in place):
            nodes[place] = node
            if parent is not None and is_group(parent):
                parent["rules"].append(node)
    root = nodes.get("0")
    return root if root is not None and is_group(root) else group("all", list(nodes.values())[:1])


def _node(form: Form, place: str, language: Language) -> Node:
    name = f"n.{place}"
    if f"{name}.json" in form:
        return deep(form[f"{name}.json"])
    if f"{name}.join" in form:
        return group(form[f"{name}.join"] if form[f"{name}.join"] in JOINS else "all", [])
    field = form.get(f"{name}.field", "")
    same = form.get(f"{name}.was", field) == field  # else its values are those of another field
    unit = form.get(f"{name}.unit", "d")
    window = "all" if unit == "all" else f"{form.get(f'{name}.window', '30').strip()}{unit}"
    values = _values(form, f"{name}.value", language.choices(field)) if same else []
    where = filters(form, name, language)
    return language.fitted(field, form.get(f"{name}.operator", ""), values, window, where)


def deep(text: str) -> Node:
    """The part of a tree that stands in the form as JSON; what is none is kept as ``{"unreadable": text}``."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if is_shapely(found) else {"unreadable": text}


def _values(form: Form, name: str, choices: list[Any]) -> list[str]:
    """Texts of a field: ticked ones, or one text that lists them."""
    given = [text.strip() for text in form.getlist(name)]
    if f"{name}.list" in form:
        return [part for part in _SEPARATORS.split(form[f"{name}.list"].strip()) if part]
    return [text for text in given if text or len(choices) <= FEW]


def filters(form: Form, name: str, language: Language) -> dict[str, list[Any]]:
    """The filters of a condition (``n.0.1``) or of the offer's goal, empty ones too."""
    found = {}
    for column in form.getlist(f"{name}.with"):
        if column in language.filters:
            texts = _values(form, f"{name}.where.{column}", [])
            found[column] = language.filter_values(column, [t for t in texts if t])
    return found


def _text(form: Form, name: str) -> str:
    return form.get(name, "").strip()


def _number(form: Form, name: str, default: Any = None) -> Any:
    text = _text(form, name)
    return number_in(text) if text else default


def _length(form: Form, name: str) -> str | None:
    text = _text(form, name)
    return f"{text}{form.get(f'{name}.unit', 'h')}" if text else None


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "")}


def _share(text: str) -> Any:
    """A share from per cent."""
    value = number_in(text) if text else 0
    return round(value / 100, 9) if isinstance(value, int | float) else value


def _instant(text: str) -> str | None:
    """A moment of a date field, which is UTC, as ISO 8601; other texts stay."""
    if not text:
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text):
        return f"{text}:00Z"
    return f"{text}Z" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text) else text


# how the templates write values into the form


def length_parts(text: Any, unit: str = "d") -> tuple[str, str]:
    """A length of time as number and unit.

    >>> length_parts("30d"), length_parts("all"), length_parts("xh"), length_parts(None)
    (('30', 'd'), ('', 'all'), ('x', 'h'), ('', 'd'))
    """
    if text == "all":
        return "", "all"
    found = _LENGTH.fullmatch(str(text or ""))
    return (found[1], found[2]) if found else (str(text or ""), unit)


def per_cent(share: Any) -> str:
    """A share as per cent: 0.1 -> ``10``; what is none as it is."""
    return f"{share * 100:g}" if isinstance(share, int | float) else str(share or "")


def date_field(text: Any) -> str:
    """A moment as a date field takes it: ``2026-03-02T11:00:00Z`` -> ``2026-03-02T11:00``."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:00)?Z", str(text or ""))
    return found[1] if found else str(text or "").removesuffix("Z")


def listed(values: Any) -> str:
    """Values in one text."""
    return ", ".join(str(v) for v in values) if isinstance(values, list) else str(values)
