"""What a rule would have done, had it been on over the whole history: in a few shards, or in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.rule_service.before import Before
from pipelines.rule_service.firings import Fired, Others, firings_of
from pipelines.rule_service.memory import Kept, Shard
from pipelines.rule_service.wire import Asked
from pipelines.shard_threads import on_threads
from transforms.columns.decisions import RuleBook, gate_of
from transforms.columns.rules.arrays import Bools, Ints
from transforms.columns.rules.firing import ready
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.outcomes import Consent, Contacts, decide
from transforms.rules.language import ActiveRule, Limits, Rule

_SAMPLE: Final = 300_000


@dataclass(frozen=True)
class Case:
    """What a rule is tried on, and beside what.

    Attributes:
        tried: the rule, as the version that it would be.
        rules: those that are on, without the one that is tried.
        left_out: the rule_ids of those that are on, too, but cannot be decided, or fire too often.
        others: their firings.
        consents: who may be offered anything, by number of shard.
        since: second after which firings are counted; all of them count for limits and the cap.
        before: what the rule's versions have done in earnest.
    """

    tried: ActiveRule
    rules: tuple[ActiveRule, ...]
    left_out: tuple[str, ...]
    others: Others
    consents: Sequence[Consent]
    since: int
    before: Before = field(default_factory=Before)

    @property
    def kept(self) -> Kept:
        """The history."""
        return self.others.kept

    def texts(self, codes: Ints) -> Sequence[str]:
        """Subscribers as the store names them."""
        return gate_of(RuleBook(), self.others.setting.settings, self.kept.texts).texts(codes)


@dataclass(frozen=True)
class Tally:
    """What a rule did for some subscribers, in no order.

    Attributes:
        subscriber, decided_at, outcome: of each firing, but for ``sold_out``.
        now: outcomes of those who qualify at the last pane end, as if they fired there.
        free: which of these the rule may fire for, after what it has done.
        reached: how many subscribers have a counted firing.
        overlap: per other rule how many of these have a counted firing of that rule, too.
        people: how many subscribers were looked at.
    """

    subscriber: Ints
    decided_at: Ints
    outcome: NDArray[np.uint8]
    now: NDArray[np.uint8]
    free: Bools
    reached: int
    overlap: Ints
    people: int


def sample_of(kept: Kept) -> list[Shard]:
    """A few shards that stand for all; all of them where there is little."""
    before = np.cumsum([0, *(len(s.rows) for s in kept.parts)])
    return kept.parts[: max(int(np.searchsorted(before, _SAMPLE)), 1)]


def tally(case: Case, shards: Sequence[Shard], asked: Asked) -> Tally:
    """What the rule did in some shards (at least one); `wire.Cancelled` where the question is given up."""
    parts = list(on_threads(partial(_of_shard, case, asked), shards))
    columns = ("subscriber", "decided_at", "outcome", "now", "free")
    return Tally(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns},
        reached=sum(p.reached for p in parts),
        overlap=np.sum([p.overlap for p in parts], axis=0),
        people=sum(p.people for p in parts),
    )


def _of_shard(case: Case, asked: Asked, shard: Shard) -> Tally:
    asked.go_on()
    tried = [case.tried, _qualifying(case)]
    mine, now = firings_of(tried, shard, case.others.setting, case.others.upto)
    asked.go_on()
    others = case.others.of(case.rules, shard)
    person = np.searchsorted(shard.people, mine.subscriber)
    reached = _somebody(shard, person[mine.decided_at > case.since])
    shared = [_somebody(shard, part.person[part.decided_at > case.since]) & reached for part in others]
    return Tally(
        mine.subscriber,
        mine.decided_at,
        _outcomes(case, shard, mine, others, Contacts()),
        _outcomes(case, shard, now, others, case.before.contacts[shard.number]),
        ready(case.tried.rule.limits, case.before.memory, now.subscriber, case.others.upto),
        int(reached.sum()),
        np.array([both.sum() for both in shared], np.int64),
        len(shard.people),
    )


def _somebody(shard: Shard, person: NDArray[np.integer[Any]]) -> Bools:
    """Per subscriber of a shard whether they are among these."""
    found = np.zeros(len(shard.people), np.bool_)
    found[person] = True
    return found


def _qualifying(case: Case) -> ActiveRule:
    """Fires at the last pane end, for everybody for whom the condition holds there."""
    rule = case.tried.rule
    plain = Rule(f"{rule.name} now", rule.when, rule.offer, limits=Limits())
    return ActiveRule(plain, active_from=case.others.upto)


def _outcomes(
    case: Case, shard: Shard, fired: Firings, others: Sequence[Fired], earlier: Contacts
) -> NDArray[np.uint8]:
    """What the gate makes of firings of the rule that is tried, beside those of the others."""
    concerned = _somebody(shard, np.searchsorted(shard.people, fired.subscriber))
    rows = [np.flatnonzero(concerned[part.person]) for part in others]
    theirs = list(zip(others, rows, strict=True))
    merged = Firings(
        np.repeat(np.arange(len(others) + 1, dtype=np.int32), [len(fired), *map(len, rows)]),
        np.concatenate([fired.subscriber, *(shard.people[part.person[some]] for part, some in theirs)]),
        np.concatenate([fired.decided_at, *(part.decided_at[some] for part, some in theirs)]),
        fired.features,
    )
    outcome, _ = decide(
        merged,
        [case.tried, *map(_without_control, case.rules)],
        consent=case.consents[shard.number],
        cap=case.others.setting.settings.cap,
        earlier=earlier,
        texts=case.texts,
    )
    return outcome[: len(fired)]


def _without_control(active: ActiveRule) -> ActiveRule:
    """A control group counts for the cap as if it were offered, and takes long to tell."""
    return replace(active, rule=replace(active.rule, control_share=0))
