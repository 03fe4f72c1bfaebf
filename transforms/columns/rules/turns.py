"""Which activations of rules have pane ends to decide in one call, and which of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from transforms.columns.rules.arrays import ceil_div
from transforms.columns.rules.memory import Activation, Memory
from transforms.rules.language import ActiveRule

_EVER: Final = -(1 << 62)


class Turn(NamedTuple):
    """What one call decides of one activation: pane ends ``low`` to ``high``, numbers of panes since 1970.

    Attributes:
        position: of the activation in the list.
        look: pane end from which on the condition is evaluated: the one before ``low`` where it matters.
        begins: whether the activation begins at ``low``.
    """

    position: int
    active: ActiveRule
    low: int
    high: int
    look: int
    begins: bool

    @property
    def activation(self) -> Activation:
        """What the memory knows the activation by."""
        return self.active.version, self.active.active_from


def turns_of(rules: Sequence[ActiveRule], memory: Memory, after: int, upto: int, pane: int) -> list[Turn]:
    """The activations that have a pane end in ``after < t <= upto`` (seconds), in order of time.

    An activation that the memory has not seen begins at its first pane end in the call, even if it should have
    begun before.
    """
    turns = []
    for position, active in enumerate(rules):
        begins = memory.of(active.rule.rule_id).begun != (active.version, active.active_from)
        begin = _EVER if active.begin is None or not begins else ceil_div(active.begin, pane)
        low = max(begin, after // pane + 1)
        high = upto // pane if active.end is None else min(upto // pane, ceil_div(active.end, pane) - 1)
        if low <= high:
            look = low - 1 if _looks_back(active, begins) else low
            turns.append(Turn(position, active, low, high, look, begins))
    return sorted(turns, key=lambda turn: turn.low)


def _looks_back(active: ActiveRule, begins: bool) -> bool:
    """Whether it matters that the condition held one pane end before the first one of a call."""
    if begins:
        return active.rule.start == "entering"
    return active.rule.limits.repeat == "on_reentry"
