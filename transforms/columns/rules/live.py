"""Rules while a stream runs: only for the subscribers for whom something can have changed.

A rule can begin to hold where an interaction enters a window of a condition that more of them make true, or
leaves one of a condition that fewer make true, and at a subscriber's first pane end. Besides, a rule that fires
``always`` does so again when a cooldown ends, and looks at those whom it bars until it has stopped holding
whatever enters or leaves, everybody is looked at when an activation begins, and whoever has
late interactions at the next pane end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, distinct, find
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.firing import ready
from transforms.columns.rules.firings import Firings, gather
from transforms.columns.rules.history import EARLIEST, History
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import NEVER, Memory
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
    old = [turn for turn in turns if not turn.begins]
    only = Changes(history, context, old, after, upto, pane, memory).only()
    if len(only) < len(turns):
        rows, late = history.everything()
    else:
        touched = _union(list(only.values()))
        if not len(touched):
            return gather([]), history.after(upto), memory
        rows, late = history.of(touched, _since(turns, context, after, pane))
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
    return distinct(np.concatenate(codes)) if codes else np.empty(0, np.int64)


def _since(turns: Sequence[Turn], context: Context, after: int, pane: int) -> int | None:
    """The second from which on interactions matter to rules; None: all of them do."""
    leaves = [leaf for t in turns for leaf in leaves_of(t.active.rule, context.words, pane).values()]
    if any(leaf.panes is None and leaf.family == "profile" for leaf in leaves):
        return None
    return (after // pane - max((leaf.panes or 0 for leaf in leaves), default=0)) * pane


@dataclass
class Changes:
    """The subscribers for whom something changes at the pane ends ``after < t <= upto``.

    Attributes:
        turns: of rules that had begun before.
        memory: of what rules have done until ``after``.
    """

    history: History
    context: Context
    turns: Sequence[Turn]
    after: int
    upto: int
    pane: int
    memory: Memory

    def only(self) -> dict[int, Ints]:
        """Per position of a rule the ascending codes of those for whom it may fire."""
        return {turn.position: self._of(turn) for turn in self.turns}

    def _of(self, turn: Turn) -> Ints:
        rule, memory = turn.active.rule, self.memory.of(turn.active.rule.rule_id)
        leaves = leaves_of(rule, self.context.words, self.pane)
        touched = self._new_or_late.copy()
        for leaf, turned in _leaves(rule.when, "when", leaves):
            enter, leave = leaf.movers(turned)
            if enter is not None:
                self._moves[0].mark(enter, touched)
            if leave is not None:
                self._moves[leaf.panes or 0].mark(leave, touched)
        touched[find(self._everybody, self._cooled.get(turn.position, self._everybody[:0]))[0]] = True
        least = least_interactions(rule.when, "when", leaves)
        if least > 1:
            touched &= self._counts >= least
        codes = self._everybody[touched]
        return _union([codes[ready(rule.limits, memory, codes, self.upto)], self._awaited(turn)])

    def _awaited(self, turn: Turn) -> Ints:
        """Whom a rule that fires ``always`` bars until it has stopped holding, and anything happens to."""
        codes = self._barred(turn)
        return codes[find(self._everybody, codes)[1]]

    def _barred(self, turn: Turn) -> Ints:
        memory = self.memory.of(turn.active.rule.rule_id)
        return memory.codes[memory.barred & (turn.active.rule.limits.repeat == "always")]

    @cached_property
    def _rows(self) -> dict[int, Interactions]:
        """By length of window in panes the interactions that leave it in this call; by 0 those that enter any."""
        found = {0: self._passing(0)}
        for turn in self.turns:
            leaves = leaves_of(turn.active.rule, self.context.words, self.pane)
            awaited = len(self._barred(turn)) > 0
            for leaf, turned in _leaves(turn.active.rule.when, "when", leaves):
                leaving = leaf.movers(turned)[1] is not None
                if leaf.panes and leaf.panes not in found and (leaving or awaited):
                    found[leaf.panes] = self._passing(leaf.panes)
        return found

    def _passing(self, panes: int) -> Interactions:
        first, end = ((t // self.pane - panes) * self.pane for t in (self.after, self.upto))
        return self.history.starting(first, end)

    @cached_property
    def _cooled(self) -> dict[int, Ints]:
        """Per position of a rule that fires ``always`` the subscribers whose cooldown ends in this call."""
        found = {}
        for turn in self.turns:
            limits, memory = turn.active.rule.limits, self.memory.of(turn.active.rule.rule_id)
            over = np.where(memory.last == NEVER, self.after, memory.last + limits.cooldown)
            if limits.repeat == "always":
                found[turn.position] = memory.codes[(over > self.after) & (over <= self.upto)]
        return found

    @cached_property
    def _everybody(self) -> Ints:
        """Whoever anything happens to, ascending."""
        moving = [rows.caller for rows in self._rows.values()]
        return _union([*moving, self.history.late().caller, *self._cooled.values()])

    @cached_property
    def _moves(self) -> dict[int, Moving]:
        return {panes: Moving(rows, self.context, self._everybody) for panes, rows in self._rows.items()}

    @cached_property
    def _counts(self) -> Ints:
        return self.history.count(self._everybody)

    @cached_property
    def _new_or_late(self) -> Bools:
        """Who of everybody has a first record in this call, or a late one."""
        found = np.zeros(len(self._everybody), np.bool_)
        entering = self._moves[0].person
        known = find(self.history.people.codes, self._everybody)[1]
        found[entering] = ~known[entering]
        found[find(self._everybody, self.history.late().caller)[0]] = True
        return found


class Moving:
    """Interactions that enter or leave windows, and whose they are (positions in ``everybody``)."""

    def __init__(self, rows: Interactions, context: Context, everybody: Ints) -> None:
        self.rows, self.context = rows, context
        self.person = find(everybody, rows.caller)[0]
        self._marks: dict[Filter, Ints] = {}

    def mark(self, wanted: Filter, touched: Bools) -> None:
        """Marks those who have an interaction that passes a filter."""
        if wanted not in self._marks:
            mask = passing(wanted, lambda name: getattr(self.rows, name), self._abroad)
            self._marks[wanted] = self.person if mask is None else self.person[np.flatnonzero(mask)]
        touched[self._marks[wanted]] = True

    def _abroad(self) -> Bools:
        own = self.context.regions_of(self.rows.caller)
        return abroad(self.rows.called_region, own, self.context.words)


def _leaves(
    node: Condition | Group, path: str, leaves: Mapping[str, Leaf], turned: bool = False
) -> Iterator[tuple[Leaf, bool]]:
    """Conditions, and for each whether the rule is helped by its being false."""
    if isinstance(node, Condition):
        yield leaves[path], turned
        return
    for k, child in enumerate(node.rules):
        yield from _leaves(child, f"{path}.rules[{k}]", leaves, turned != node.negated)
