"""Where the whole condition of a rule holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from transforms.columns.rules.plan import Leaf
from transforms.columns.rules.sets import leaf_spans
from transforms.columns.rules.spans import Spans, complement, intersect, unite
from transforms.columns.rules.table import Table
from transforms.rules.language import Condition, Group

_COST: Final = {"own": 0, "count": 1, "sum": 2, "distinct": 4, "profile": 5}
_GROUP_COST: Final = 3


def node_spans(
    table: Table, node: Condition | Group, path: str, leaves: Mapping[str, Leaf], within: Spans
) -> Spans:
    """The part of ``within`` where a node of a rule's tree holds.

    The cheap children of an "and" come first: they leave fewer subscribers to the dear ones.

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
        for place, child in children:
            found = node_spans(table, child, place, leaves, found)
    else:
        found = unite([node_spans(table, child, place, leaves, within) for place, child in children])
    return intersect(complement(found, table.size), within) if node.negated else found


def cost(node: Condition | Group, path: str, leaves: Mapping[str, Leaf]) -> int:
    """What a child costs, by its kind: the order in which children of a group are best looked at."""
    return _COST[leaves[path].family] if isinstance(node, Condition) else _GROUP_COST
