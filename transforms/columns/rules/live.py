"""Rules while a stream runs: only for the subscribers for whom something can have changed.

A rule can begin to hold where an interaction enters a window of a condition that more of them make true, or
leaves one of a condition that fewer make true, and at a subscriber's first pane end. Besides, a rule that fires
``always`` does so again when a cooldown ends, and looks at those whom it bars until it has stopped holding
whatever enters or leaves, everybody is looked at when an activation begins, and whoever has
late interactions at the next pane end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, distinct, find
from transforms.columns.rules.bounds import node_bound
from transforms.columns.rules.counters import Call, Counters, Step
from transforms.columns.rules.counting import window_of
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.firing import ready
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.history import EARLIEST, History
from transforms.columns.rules.memory import NEVER, Memory
from transforms.columns.rules.people import Context
from transforms.columns.rules.plan import Leaf, leaves_of
from transforms.columns.rules.turns import Turn, turns_of
from transforms.rules.language import ActiveRule, Condition, Group


def decide_live(
    rules: Sequence[ActiveRule],
    history: History,
    context: Context,
    *,
    upto: int,
    pane: int,
    memory: Memory,
    counters: Counters | None = None,
) -> tuple[Firings, History, Memory]:
    """The firings at all pane ends after the last decided one until ``upto``, as `evaluate` gives them.

    Args:
        rules: activations; those of one rule_id must not overlap.
        history: with everything that has arrived; whatever starts at ``upto`` or later waits.
        context: names and own regions; its people are the history's.
        upto: second of the last pane end to decide.
        pane: length of a pane in seconds.
        memory: from the call before.
        counters: of the same shard, changed in place; without them all is counted anew.

    Returns:
        Firings, and the history and memory for the next call.
    """
    after = _first(history, upto, pane) if history.decided is None else history.decided
    context = replace(context, people=history.people)
    turns = turns_of(rules, memory, after, upto, pane)
    call = Call(history, context, after, upto, pane)
    only = Changes(call, counters or Counters()).only([turn for turn in turns if not turn.begins], memory)
    if len(only) < len(turns):
        rows, late = history.everything()
    else:
        touched = _union(list(only.values()))
        rows, late = history.of(touched, _since(turns, call))
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


def _since(turns: Sequence[Turn], call: Call) -> int | None:
    """The second from which on interactions matter to rules; None: all of them do."""
    leaves = [
        leaf for t in turns for leaf in leaves_of(t.active.rule, call.context.words, call.pane).values()
    ]
    if any(leaf.panes is None and leaf.family == "profile" for leaf in leaves):
        return None
    return call.edge(call.after, max((leaf.panes or 0 for leaf in leaves), default=0))


class Changes:
    """The subscribers for whom something changes at the pane ends ``after < t <= upto``."""

    def __init__(self, call: Call, counters: Counters) -> None:
        self._call, self._counters = call, counters

    def only(self, turns: Sequence[Turn], memory: Memory) -> dict[int, Ints]:
        """Per position of a rule the ascending codes of those for whom it may fire; the counters go on to its end.

        Args:
            turns: of rules that had begun before.
            memory: of what rules have done until ``after``.
        """
        if not turns:
            return {}
        call = self._call
        leaves = {t.position: leaves_of(t.active.rule, call.context.words, call.pane) for t in turns}
        windows = {window_of(leaf) for of_rule in leaves.values() for leaf in of_rule.values()}
        self._counters.stand([window for window in windows if window], call)
        late, cooled = call.history.late().caller, self._cooled(turns, memory)
        step = Step(self._counters, call, np.concatenate([late, *cooled.values()]))
        fresh = step.new | _among(step.codes, late)
        found = {}
        for turn in turns:
            touched = fresh | _moved(turn, leaves[turn.position], step)
            if turn.position in cooled:
                touched |= _among(step.codes, cooled[turn.position])
            found[turn.position] = self._may_fire(turn, leaves[turn.position], step, touched, fresh, memory)
        step.finish()
        return found

    def _cooled(self, turns: Sequence[Turn], memory: Memory) -> dict[int, Ints]:
        """Per position of a rule that fires ``always`` the subscribers whose cooldown ends in this call."""
        found, call = {}, self._call
        for turn in turns:
            limits, old = turn.active.rule.limits, memory.of(turn.active.rule.rule_id)
            over = np.where(old.last == NEVER, call.after, old.last + limits.cooldown)
            if limits.repeat == "always":
                found[turn.position] = old.codes[(over > call.after) & (over <= call.upto)]
        return found

    def _may_fire(
        self,
        turn: Turn,
        leaves: Mapping[str, Leaf],
        step: Step,
        touched: Bools,
        fresh: Bools,
        memory: Memory,
    ) -> Ints:
        """The codes of those of the touched for whom the counters and the limits let the rule fire.

        One that fires when its condition comes to hold has to be able to be false before, but for those
        with a first or a late record. Of those whom a rule that fires ``always`` bars, besides, the ones for whom
        it can stop holding.
        """
        rule = turn.active.rule
        at = np.flatnonzero(touched)
        bound = node_bound(rule.when, "when", leaves, step, at)
        may = bound.true & (bound.false | fresh[at]) if rule.limits.repeat == "on_reentry" else bound.true
        codes, old = step.codes[at[may]], memory.of(rule.rule_id)
        codes = codes[ready(rule.limits, old, codes, self._call.upto)]
        if rule.limits.repeat != "always" or not old.barred.any():
            return codes
        at = np.flatnonzero(_among(step.codes, old.codes[old.barred]))
        stops = node_bound(rule.when, "when", leaves, step, at).false | fresh[at]
        return _union([codes, step.codes[at[stops]]])


def _among(codes: Ints, some: Ints) -> Bools:
    """Which ascending codes are among some others."""
    position, there = find(codes, some)
    found = np.zeros(len(codes), np.bool_)
    found[position[there]] = True
    return found


def _moved(turn: Turn, leaves: Mapping[str, Leaf], step: Step) -> Bools:
    """Who has an interaction that can make a rule true by entering a window or by leaving it."""
    moved = np.zeros(len(step.who), np.bool_)
    for leaf, turned in _leaves(turn.active.rule.when, "when", leaves):
        enter, leave = leaf.movers(turned)
        if enter is not None:
            moved |= step.moving(enter, 0) > 0
        if leave is not None:
            moved |= step.moving(leave, leaf.panes or 0) > 0
    return moved


def _leaves(
    node: Condition | Group, path: str, leaves: Mapping[str, Leaf], turned: bool = False
) -> Iterator[tuple[Leaf, bool]]:
    """Conditions, and for each whether the rule is helped by its being false."""
    if isinstance(node, Condition):
        yield leaves[path], turned
        return
    for k, child in enumerate(node.rules):
        yield from _leaves(child, f"{path}.rules[{k}]", leaves, turned != node.negated)
