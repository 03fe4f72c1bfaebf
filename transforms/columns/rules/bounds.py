"""Whether a rule can hold, and whether it can fail to, at some pane end of a call: told from counters alone.

Both answers may be "yes" where it is not so, never "no" where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.counters import Step
from transforms.columns.rules.counting import window_of
from transforms.columns.rules.plan import Leaf, Ranges
from transforms.columns.rules.tree import cost
from transforms.rules.language import Condition, Group


class Bound(NamedTuple):
    """Per subscriber of a step: whether a condition can be true at some pane end, and whether it can be false."""

    true: Bools
    false: Bools


def node_bound(node: Condition | Group, path: str, leaves: Mapping[str, Leaf], step: Step, at: Ints) -> Bound:
    """The bound of a node of a rule's tree.

    Args:
        node: condition or group.
        path: where it stands.
        leaves: the conditions made ready, by path.
        step: one call's changes.
        at: for whom, positions in the step's subscribers.
    """
    if isinstance(node, Condition):
        return _leaf_bound(leaves[path], step, at)
    children = [(f"{path}.rules[{k}]", child) for k, child in enumerate(node.rules)]
    children.sort(key=lambda pair: cost(pair[1], pair[0], leaves))
    turned = node.combinator == "or"  # "or" is "and" of what is turned round, turned round
    true, false = np.zeros(len(at), np.bool_), np.zeros(len(at), np.bool_)
    left = np.arange(len(at))  # those for whom all children so far can be true
    for place, child in children:
        bound = node_bound(child, place, leaves, step, at[left])
        can, can_fail = (bound.false, bound.true) if turned else bound
        false[left] |= can_fail | ~can
        left = left[can]
    true[left] = True
    return Bound(false, true) if turned != node.negated else Bound(true, false)


def _leaf_bound(leaf: Leaf, step: Step, at: Ints) -> Bound:
    window = window_of(leaf)
    if leaf.family == "own":
        wanted = np.isin(step.own_regions(at), [low for low, _ in leaf.ranges])
        return Bound(wanted, ~wanted)
    if window is None:
        perhaps = np.ones(len(at), np.bool_)
        return Bound(perhaps, perhaps)
    if window.shares:
        return _profile_bound(leaf, *step.shares_between(window, at))
    low, high = step.between(window, at)
    return Bound(_meets(leaf.ranges, low, high), _meets(_gaps(leaf.ranges), low, high))


def _profile_bound(leaf: Leaf, low: Ints, high: Ints) -> Bound:
    """By the least and the greatest count for each position: the most frequent one is to be a wanted one."""
    wanted = np.zeros(low.shape[1], np.bool_)
    wanted[[first for first, _ in leaf.ranges]] = True
    most, others_most = (high[:, which].max(axis=1, initial=0) for which in (wanted, ~wanted))
    sure, others_sure = (low[:, which].max(axis=1, initial=0) for which in (wanted, ~wanted))
    return Bound((most > 0) & (most >= others_sure), (sure == 0) | (others_most >= sure))


def _meets(ranges: Ranges, low: Ints, high: Ints) -> Bools:
    """Where a number from ``low`` to ``high`` is in one of the ranges."""
    found = np.zeros(len(low), np.bool_)
    for first, last in ranges:
        found |= (high >= first) & (True if last is None else low <= last)
    return found


def _gaps(ranges: Ranges) -> Ranges:
    """The whole numbers from 0 on that are in none of the ranges."""
    gaps, begin = [], 0
    for first, last in ranges:
        if first > begin:
            gaps.append((begin, first - 1))
        if last is None:
            return tuple(gaps)
        begin = last + 1
    return (*gaps, (begin, None))
