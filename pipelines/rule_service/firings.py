"""Firings over the whole history: of a rule that is tried, and, kept from count to count, of those that are on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.rule_service.memory import Kept, Shard
from pipelines.rule_service.world import Setting
from transforms.columns.decisions import first_pane_end_after
from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.evaluate import evaluate, evaluate_for_counts
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import Memory
from transforms.rules.language import ActiveRule

MOST: Final = 8_000_000
"""Firings that can be looked at one by one: one takes some 50 bytes."""
_FEW: Final = 1000


def firings_of(rules: Sequence[ActiveRule], shard: Shard, setting: Setting, upto: int) -> list[Firings]:
    """The firings of each of some rules for a shard's subscribers, from their beginning to second ``upto``.

    Raises:
        RuleProblem: a window is no multiple of the pane.
    """
    pane = setting.settings.pane
    after = int(shard.rows.start.min()) // pane * pane
    return evaluate_for_counts(rules, shard.rows, setting.context, after=after, upto=upto, pane=pane)


def values_at(active: ActiveRule, rows: Interactions, setting: Setting, second: int) -> str:
    """The values of a rule's conditions when it fired for a subscriber, as JSON text.

    Args:
        active: the rule.
        rows: the subscriber's interactions.
        setting: of the run.
        second: of the firing.
    """
    pane = setting.settings.pane
    after = int(rows.start.min()) // pane * pane
    found, _ = evaluate([active], rows, setting.context, after=after, upto=second, pane=pane, memory=Memory())
    return str(found.features[-1].as_py())


@dataclass(frozen=True)
class Fired:
    """The firings of one rule for a shard: positions of subscribers among the shard's, and seconds."""

    person: NDArray[np.int32]
    decided_at: Ints


class Others:
    """The firings of the rules that are on, worked out once for a history and a rule.

    Attributes:
        kept: the history.
        setting: of its run.
        upto: second of the last pane end.
    """

    def __init__(self, kept: Kept, setting: Setting) -> None:
        self.kept, self.setting = kept, setting
        self.upto = first_pane_end_after(kept.last, setting.settings.pane)
        self._found: dict[tuple[ActiveRule, int], Fired] = {}
        self._pace: dict[ActiveRule, float] = {}

    def pace(self, active: ActiveRule) -> float:
        """About how often a rule fires for one person, from a few people."""
        if active not in self._pace:
            few = self.kept.few(_FEW)
            count = sum(len(firings_of([active], part, self.setting, self.upto)[0]) for part in few)
            self._pace[active] = count / sum(len(part.people) for part in few)
        return self._pace[active]

    def too_often(self, active: ActiveRule) -> bool:
        """Whether a rule fires so often that its firings cannot be looked at one by one."""
        return self.pace(active) * self.kept.subscribers > MOST

    def keep(self, rules: Sequence[ActiveRule]) -> None:
        """Forgets the firings of other rules than these."""
        wanted = set(rules)
        self._pace = {active: pace for active, pace in self._pace.items() if active in wanted}
        for key in [key for key in self._found if key[0] not in wanted]:
            self._found.pop(key, None)

    def of(self, rules: Sequence[ActiveRule], shard: Shard) -> list[Fired]:
        """The firings of each of some rules."""
        number = id(shard)  # it lives as long as the history
        missing = [active for active in rules if (active, number) not in self._found]
        if missing:
            found = firings_of(missing, shard, self.setting, self.upto)
            for active, fired in zip(missing, found, strict=True):
                person = np.searchsorted(shard.people, fired.subscriber).astype(np.int32)
                self._found[active, number] = Fired(person, fired.decided_at)
        return [self._found[active, number] for active in rules]
