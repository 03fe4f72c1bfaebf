"""The tree of a rule's conditions in the builder: places in it, and what its buttons do to it.

A place is ``0`` for the whole and ``0.2.1`` for the second child of its third child.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from webui.rule_language import Language, Node

JOINS: Final = {
    "all": ("and", False),
    "any": ("or", False),
    "none": ("or", True),
    "not_all": ("and", True),
}
"""How the parts of a group belong together: combinator and whether it is turned round."""
ON_SCREEN: Final = 3
"""Groups inside each other that the builder shows; what is deeper is a sentence and JSON."""


def join_of(group: Mapping[str, Any]) -> str:
    """The name in `JOINS` of a group."""
    wanted = (group.get("combinator"), bool(group.get("not")))
    return next((name for name, pair in JOINS.items() if pair == wanted), "all")


def group(join: str, children: Sequence[Node]) -> Node:
    """A group of these parts."""
    combinator, turned = JOINS.get(join, JOINS["all"])
    return {"combinator": combinator, "not": turned, "rules": list(children)}


def is_group(node: Any) -> bool:
    """Whether a node is a group."""
    return isinstance(node, Mapping) and "rules" in node


def path_of(place: str) -> str:
    """The path of a place as the check names it.

    >>> path_of("0"), path_of("0.2.1")
    ('when', 'when.rules[2].rules[1]')
    """
    return "when" + "".join(f".rules[{step}]" for step in place.split(".")[1:])


def node_at(tree: Node, place: str) -> Node | None:
    """The node at a place, or None."""
    node: Any = tree
    for step in place.split(".")[1:]:
        children = node["rules"] if is_group(node) else []
        if not step.isdecimal() or int(step) >= len(children):
            return None
        node = children[int(step)]
    return node if isinstance(node, dict) else None


def edited(tree: Node, what: str, place: str, language: Language) -> str:
    """Does what a button says to the tree; gives the place where the work goes on.

    Args:
        tree: is changed.
        what: ``add`` a condition, ``group`` of conditions, ``remove``; other words change nothing.
        place: of the group that gets a part, or of what is removed.
        language: of new conditions.
    """
    node = node_at(tree, place)
    if node is None:
        return "0"
    if what in ("add", "group") and is_group(node):
        fresh = language.fresh()
        node["rules"].append(fresh if what == "add" else group("any", [fresh]))
        return f"{place}.{len(node['rules']) - 1}" + (".0" if what == "group" else "")
    if what == "remove" and "." in place:
        parent, _, step = place.rpartition(".")
        siblings = (node_at(tree, parent) or {"rules": []})["rules"]
        del siblings[int(step)]
        return parent
    return place


def is_shapely(node: Any, depth: int = 0) -> bool:
    """Whether JSON from outside has the form of a tree, however wrong its values are, so that it can be shown."""
    if not isinstance(node, dict) or depth > 50:
        return False
    if "rules" in node:
        return isinstance(node["rules"], list) and all(
            is_shapely(child, depth + 1) for child in node["rules"]
        )
    where = node.get("where") or {}
    lists = isinstance(where, dict) and all(isinstance(v, list) for v in where.values())
    named = isinstance(node.get("field"), str) and isinstance(node.get("operator", ""), str)
    return named and lists and not isinstance(node.get("value"), dict)
