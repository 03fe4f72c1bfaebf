"""Rules while a stream runs: only for the subscribers for whom something can have changed.

A rule can begin to hold where an interaction enters a window of a condition that more of them make true, or
leaves one of a condition that fewer make true, and at a subscriber's first pane end. Besides, a rule that fires
``always`` does so again when a cooldown ends, everybody is looked at when an activation begins, and whoever has
late interactions at the next pane end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, find
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.firings import Firings, gather
from transforms.columns.rules.firing import spent
from transforms.columns.rules.history import EARLIEST, History
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import NEVER, Memory, RuleMemory
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Filter, Leaf, least_interactions, leaves_of
from transforms.columns.rules.table import abroad, passing
from transforms.columns.rules.turns import Turn, turns_of
from transforms.rules.language import ActiveRule, Condition, Group


def decide_live(
    rules: Sequence[ActiveRule], history: History, context: Context, *, upto: int, pane: int, memory: Memory
) -> tuple[Firings, History, Memory]:
    """The firings at all pane ends after the last decided one until ``upto``, as `evaluate` gives them.

    Args:
        rules: activations; those of one rule_id must not overlap.
        history: with everything that has arrived; whatever starts at ``upto`` or later waits.
        context: names and own regions; its people are the history's.
        upto: second of the last pane end to decide.
        pane: length of a pane in seconds.
        memory: from the call before.

    Returns:
        Firings, and the history and memory for the next call.
    """
    after = _first(history, upto, pane) if history.decided is None else history.decided
    context = replace(context, people=history.people)
    turns = turns_of(rules, memory, after, upto, pane)
    changes = Changes(history, context, after, upto, pane)
    only = {turn.position: changes.of(turn, memory) for turn in turns if not turn.begins}
    if len(only) < len(turns):
        rows, late = history.everything()
    else:
        touched = _union(list(only.values()))
        if not len(touched):
            return gather([]), history.after(upto), memory
        rows, late = history.of(touched, changes.since(turns))
        context = replace(context, people=history.people.of(touched))
    fired, memory = evaluate(
        rules, rows, context, after=after, upto=upto, pane=pane, memory=memory, late=late, only=only
    )
    return fired, history.after(upto), memory


def _first(history: History, upto: int, pane: int) -> int:
    """Where the first call begins: the last pane end at which nobody had been seen."""
    rows = history.starting(EARLIEST, upto)
    return int(rows.start.min()) // pane * pane if len(rows) else upto - pane


def _union(codes: list[Ints]) -> Ints:
    return np.unique(np.concatenate(codes)) if codes else np.empty(0, np.int64)


@dataclass
class Changes:
    """The subscribers for whom something changes at the pane ends ``after < t <= upto``."""

    history: History
    context: Context
    after: int
    upto: int
    pane: int
    _moving: dict[int, Moving] = field(default_factory=dict)

    def of(self, turn: Turn, memory: Memory) -> Ints:
        """Ascending codes of those for whom a rule may fire that had begun before."""
        rule, remembered = turn.active.rule, memory.of(turn.active.rule.rule_id)
        ready = leaves_of(rule, self.context.words, self.pane)
        found = [self._new_or_late]
        for leaf, enters, leaves in _ways(rule.when, "when", ready):
            if enters:
                found.append(self._move(0).callers(leaf.filter))
            if leaves and leaf.panes is not None:
                found.append(self._move(leaf.panes).callers(leaf.filter))
        if rule.limits.repeat == "always":
            found.append(self._cooled(remembered, rule.limits.cooldown))
        codes = _union(found)
        codes = codes[~find(spent(rule.limits, remembered, self.upto), codes)[1]]
        least = least_interactions(rule.when, "when", ready)
        return codes if least < 2 else codes[self.history.count(codes) >= least]

    def since(self, turns: Sequence[Turn]) -> int | None:
        """The second from which on interactions matter to rules; None: all of them do."""
        leaves = [
            leaf for t in turns for leaf in leaves_of(t.active.rule, self.context.words, self.pane).values()
        ]
        if any(leaf.panes is None and leaf.family == "profile" for leaf in leaves):
            return None
        return (self.after // self.pane - max((leaf.panes or 0 for leaf in leaves), default=0)) * self.pane

    @cached_property
    def _new_or_late(self) -> Ints:
        entering = self._move(0).rows.caller
        new = entering[~find(self.history.people.codes, entering)[1]]
        return _union([new, self.history.late().caller])

    def _move(self, panes: int) -> Moving:
        """The interactions that enter windows (0), or leave those of so many panes, in this call."""
        if panes not in self._moving:
            first, end = ((t // self.pane - panes) * self.pane for t in (self.after, self.upto))
            self._moving[panes] = Moving(self.history.starting(first, end), self.context)
        return self._moving[panes]

    def _cooled(self, memory: RuleMemory, cooldown: int) -> Ints:
        """Subscribers whose cooldown ends in this call."""
        over = np.where(memory.last == NEVER, self.after, memory.last) + cooldown
        ends = (memory.last != NEVER) & (over > self.after) & (over <= self.upto)
        return memory.codes[ends]


@dataclass
class Moving:
    """Interactions that enter or leave windows, and whose they are."""

    rows: Interactions
    context: Context
    _callers: dict[Filter, Ints] = field(default_factory=dict)

    def callers(self, wanted: Filter) -> Ints:
        """Callers of those that pass a filter."""
        if wanted not in self._callers:
            mask = passing(wanted, lambda name: getattr(self.rows, name), lambda: self._abroad)
            self._callers[wanted] = self.rows.caller if mask is None else self.rows.caller[mask]
        return self._callers[wanted]

    @cached_property
    def _abroad(self) -> Bools:
        own = self.context.regions_of(self.rows.caller)
        return abroad(self.rows.called_region, own, self.context.words)


def _ways(
    node: Condition | Group, path: str, leaves: Mapping[str, Leaf], turned: bool = False
) -> Iterator[tuple[Leaf, bool, bool]]:
    """Conditions with the ways in which they can help a rule to hold: by what enters, by what leaves."""
    if isinstance(node, Condition):
        leaf = leaves[path]
        yield (leaf, leaf.falls, leaf.rises) if turned else (leaf, leaf.rises, leaf.falls)
        return
    for k, child in enumerate(node.rules):
        yield from _ways(child, f"{path}.rules[{k}]", leaves, turned != node.negated)
