"""Where the whole condition of a rule holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.sets import leaf_spans
from transforms.columns.rules.spans import Spans, complement, intersect, unite
from transforms.columns.rules.table import Table
from transforms.rules.language import Condition, Group

_COST: Final = {"own": 0, "count": 1, "sum": 2, "distinct": 5, "profile": 6}
_GROUP_COST: Final = 3
_COMMON_COST: Final = 4  # a count that a single interaction reaches: little is left out by it


def node_spans(
    table: Table, node: Condition | Group, path: str, leaves: Mapping[str, Leaf], within: Spans
) -> Spans:
    """The part of ``within`` where a node of a rule's tree holds.

    The cheap children of an "and" come first: they leave fewer subscribers, and so fewer interactions, to the
    dear ones.

    Args:
        table: the interactions.
        node: condition or group.
        path: where it stands.
        leaves: the conditions made ready, by path.
        within: where the answer matters.
    """
    if not within.size:
        return within
    if isinstance(node, Condition):
        return intersect(leaf_spans(table, leaves[path], within), within)
    children = [(f"{path}.rules[{k}]", child) for k, child in enumerate(node.rules)]
    children.sort(key=lambda pair: cost(pair[1], pair[0], leaves))
    found = within
    if node.combinator == "and":
        for k, (place, child) in enumerate(children):
            table = table.only(found.start // table.clock.stride) if k else table
            found = node_spans(table, child, place, leaves, found)
    else:
        found = unite([node_spans(table, child, place, leaves, within) for place, child in children])
    return intersect(complement(found, table.size), within) if node.negated else found


def cost(node: Condition | Group, path: str, leaves: Mapping[str, Leaf]) -> int:
    """What a child costs, by its kind: the order in which children of a group are best looked at."""
    if isinstance(node, Group):
        return _GROUP_COST
    leaf = leaves[path]
    return _COMMON_COST if leaf.family == "count" and leaf.least <= 1 else _COST[leaf.family]
