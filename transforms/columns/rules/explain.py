"""Why a rule holds for a subscriber at a moment, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Leaf, leaves_of
from transforms.columns.rules.table import Table, build
from transforms.columns.rules.values import measure, value_of
from transforms.rules.language import Condition, Group, Rule, Value
from transforms.rules.sentences import condition_sentence


@dataclass(frozen=True)
class ConditionValue:
    """One condition of a rule and what it comes to for a subscriber.

    Attributes:
        path: where it stands in the rule.
        sentence: the condition in English.
        value: of its field; None for a profile without a record.
        operator, threshold: what the value is held against.
        held: whether the condition is true.
    """

    path: str
    sentence: str
    value: int | float | str | None
    operator: str
    threshold: Value
    held: bool


def explain(
    rule: Rule, subscriber: int, interactions: Interactions, t: int, context: Context
) -> list[ConditionValue]:
    """The conditions of a rule with their values at second ``t``, in the order they were written.

    Args:
        rule: the rule.
        subscriber: party code.
        interactions: of the subscriber; of others, too, if need be. Those at ``t`` or later do not count.
        t: a moment; it need not be a pane's end.
        context: names, own regions, older counts.
    """
    rows = interactions.take(interactions.caller == subscriber)
    leaves = leaves_of(rule, context.words, 1)
    widest = max((leaf.panes or 0 for leaf in leaves.values()), default=0)
    table = build(rows, context, 1, t, t, widest)
    return [_condition(leaf, subscriber, t, table, context) for leaf in leaves.values()]


def _condition(leaf: Leaf, subscriber: int, t: int, table: Table | None, context: Context) -> ConditionValue:
    measured = _measured(leaf, subscriber, t, table, context)
    condition, value = leaf.condition, value_of(leaf, measured)
    held = any(low <= measured and (high is None or measured <= high) for low, high in leaf.ranges)
    words = condition_sentence(condition)
    return ConditionValue(leaf.path, words, value, condition.operator, condition.value, held)


def _measured(leaf: Leaf, subscriber: int, t: int, table: Table | None, context: Context) -> int:
    code = np.array([subscriber], np.int64)
    if leaf.family == "own":
        return int(context.regions_of(code)[0])
    row = np.searchsorted(table.codes, code) if table is not None else code
    if table is None or row[0] == len(table.codes) or table.codes[row[0]] != subscriber:
        return -1 if leaf.family == "profile" else 0
    end: Ints = np.array([t - table.clock.origin], np.int64)
    return int(measure(table, leaf, row, end)[0])


def holds(node: Condition | Group, held: Mapping[str, bool], path: str = "when") -> bool:
    """Whether a node of a rule's tree holds, given which of its conditions do, by path."""
    if isinstance(node, Condition):
        return held[path]
    results = [holds(child, held, f"{path}.rules[{k}]") for k, child in enumerate(node.rules)]
    joined = all(results) if node.combinator == "and" else any(results)
    return joined != node.negated
