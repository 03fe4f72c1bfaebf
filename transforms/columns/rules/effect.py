"""What a rule's promotions did: interactions with the goal before and after them, offered against control.

Everybody counts once, from their first promotion of the rule on and in the group that it put them in, whatever came
of it later: groups that chance has made stay comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from transforms.columns.rules.arrays import Bools, Ints, find
from transforms.columns.rules.filters import passing
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.people import Words
from transforms.columns.rules.plan import Filter, where_columns
from transforms.columns.rules.shares import newcombe, people_needed
from transforms.rules.language import Where

SPAN: Final = 14 * 86400
LEAST_PEOPLE: Final = 10
_LEAST_EXPECTED: Final = 5
_DIFFERENCE: Final = 0.02


@dataclass(frozen=True)
class Reached:
    """Whom a rule has reached, each once, in ascending order of ``subscriber`` (party codes).

    Attributes:
        decided_at: second of the first promotion that was offered or held back for control.
        offered: whether it was offered.
    """

    subscriber: Ints
    decided_at: Ints
    offered: Bools


@dataclass(frozen=True)
class Group:
    """One group's interactions with the goal.

    Attributes:
        people: whose time after is in the history as a whole.
        reached_after: how many of them have at least one in that time.
        mean_after: interactions per person in that time.
        people_before: those of them whose time before is in the history as well, for the two below.
        reached_before, mean_before: the same in the time before; the mean is None without such people.
    """

    people: int = 0
    reached_after: int = 0
    mean_after: float | None = None
    people_before: int = 0
    reached_before: int = 0
    mean_before: float | None = None

    @property
    def share_after(self) -> float | None:
        """Share of people with at least one after; None without people."""
        return self.reached_after / self.people if self.people else None

    @property
    def share_before(self) -> float | None:
        """Share of people with at least one before; None without people."""
        return self.reached_before / self.people_before if self.people_before else None


@dataclass(frozen=True)
class Effect:
    """What a rule's promotions did.

    Attributes:
        offered, control: the two groups.
        waiting: people left out because their time after is not over.
        forgotten: people left out because the history begins after their promotion.
        difference: share after of offered minus that of control, with its 95 % interval ``low`` to ``high``
            (Newcombe's, see `shares.newcombe`); None without people in both groups.
        more: about how many more people it takes to say anything; None where there are enough. Too few is a
            group of less than 10. Too few is also a group smaller than what finds a difference of 2 points four
            times of five (see `shares.people_needed`), as long as fewer than 5 people with the goal, or without
            it, are to be expected in a group at the share of both together.
    """

    offered: Group
    control: Group
    waiting: int
    forgotten: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    more: int | None = None

    def sentence(self) -> str:
        """In words: ``offered 4.2 %, control 1.1 %: +3.1 points, 0.8 to 5.4``."""
        shares = ((name, getattr(self, name).share_after) for name in ("offered", "control"))
        said = ", ".join(f"{name} {'nobody' if s is None else f'{100 * s:.1f} %'}" for name, s in shares)
        if self.more is not None:
            return f"{said}: too few: about {self.more:,} more needed"
        difference, low, high = (100 * (value or 0.0) for value in (self.difference, self.low, self.high))
        return f"{said}: {difference:+.1f} points, {low:.1f} to {high:.1f}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values: shares and differences as fractions, the sentence beside them."""
        shares = {
            name: {"share_after": group.share_after, "share_before": group.share_before}
            for name, group in (("offered", self.offered), ("control", self.control))
        }
        found = asdict(self)
        groups = {name: {**found[name], **more} for name, more in shares.items()}
        return {"sentence": self.sentence(), **found, **groups}


def reached_by(subscriber: Ints, decided_at: Ints, outcome: Sequence[str] | Any) -> Reached:
    """Whom promotions of one rule reached, from the columns of its promotions in any order.

    Args:
        subscriber: party codes.
        decided_at: seconds since 1970.
        outcome: what became of each; others than ``offered`` and ``control`` are passed over.
    """
    outcomes = np.asarray(outcome, object)
    offered = outcomes == "offered"
    rows = np.flatnonzero(offered | (outcomes == "control"))
    rows = rows[np.lexsort((offered[rows], decided_at[rows], subscriber[rows]))]
    codes, first = np.unique(subscriber[rows], return_index=True)
    return Reached(codes, decided_at[rows][first], offered[rows][first])


def effect(
    reached: Reached,
    history: Iterable[Interactions],
    goal: Where,
    words: Words,
    *,
    since: int,
    until: int,
    span: int = SPAN,
) -> Effect:
    """The effect of a rule: over ``decided_at <= start < decided_at + span``, and as long before.

    Args:
        reached: people and when.
        history: the interactions, in as many parts as there are (each once, in any order).
        goal: which of them count, as in ``where``.
        words: business types and regions.
        since, until: the history is whole for ``since <= start < until``, seconds.
        span: seconds before and after.
    """
    after, before = _counts(reached, history, goal, words, span)
    known = reached.decided_at >= since
    over = reached.decided_at + span <= until
    whole = reached.decided_at - span >= since
    control, offered = (
        _group(after, before, known & over & (reached.offered == flag), whole) for flag in (False, True)
    )
    waiting, forgotten = int((known & ~over).sum()), int((~known).sum())
    if not (offered.people and control.people):
        return Effect(offered, control, waiting, forgotten, more=_more(offered, control))
    low, high = newcombe(offered.reached_after, offered.people, control.reached_after, control.people)
    difference = offered.reached_after / offered.people - control.reached_after / control.people
    return Effect(offered, control, waiting, forgotten, difference, low, high, _more(offered, control))


def _counts(
    reached: Reached, history: Iterable[Interactions], goal: Where, words: Words, span: int
) -> tuple[Ints, Ints]:
    """Interactions with the goal per person, after and before."""
    columns = where_columns(goal, words)
    wanted = Filter(tuple((name, tuple(sorted(values))) for name, values in columns.items()))
    counts = np.zeros((2, len(reached.subscriber)), np.int64)
    for rows in history:
        counts += _counts_of(reached, rows, wanted, span)
    return counts[0], counts[1]


def _counts_of(reached: Reached, rows: Interactions, wanted: Filter, span: int) -> Ints:
    mask = passing(wanted, lambda name: getattr(rows, name), lambda: np.zeros(len(rows), np.bool_))
    with_goal = slice(None) if mask is None else np.flatnonzero(mask)
    person, there = find(reached.subscriber, rows.caller[with_goal])
    person = person[there]
    distance = rows.start[with_goal][there] - reached.decided_at[person]
    near = ((distance >= 0) & (distance < span), (distance < 0) & (distance >= -span))
    return np.stack([np.bincount(person[some], minlength=len(reached.subscriber)) for some in near])


def _group(after: Ints, before: Ints, people: Bools, whole: Bools) -> Group:
    after, before = after[people], before[people & whole]
    return Group(
        len(after),
        int((after > 0).sum()),
        float(after.mean()) if len(after) else None,
        len(before),
        int((before > 0).sum()),
        float(before.mean()) if len(before) else None,
    )


def _more(offered: Group, control: Group) -> int | None:
    """How many more people it takes; None where there are enough."""
    sizes, found = np.array([control.people, offered.people]), control.reached_after + offered.reached_after
    ratio = float(sizes[1] / sizes[0]) if sizes.all() else 1.0
    share = control.share_after if control.share_after is not None else offered.share_after
    needed = np.maximum(people_needed(share or 0.0, _DIFFERENCE, ratio), LEAST_PEOPLE)
    together = found / max(int(sizes.sum()), 1)
    expected = float(sizes.min()) * min(together, 1 - together)
    missing = int(np.maximum(needed - sizes, 0).sum())
    if sizes.min() >= LEAST_PEOPLE and (expected >= _LEAST_EXPECTED or not missing):
        return None
    return missing
