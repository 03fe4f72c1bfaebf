"""A count: about, then exactly, and what is told of it."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.rule_service.counting import Case, Tally, sample_of, tally
from pipelines.rule_service.firings import values_at
from pipelines.rule_service.reasons import moment_text
from pipelines.rule_service.wire import Asked
from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.outcomes import OFFERED, OUTCOMES, SOLD_OUT
from transforms.rules.problems import duration_text

Json = dict[str, Any]
EXAMPLES: Final = 10
_ENOUGH: Final = 300_000
_LOOKED_AT: Final = 50_000
_DAY: Final = 86_400


def counted(case: Case, asked: Asked) -> Json:
    """What a rule would have done: says what it is about first, then gives it exactly.

    A rule that fires too often to look at every firing is told of about, with a ``reason``.
    """
    if case.others.too_often(case.tried):
        pace = case.others.pace(case.tried)
        few = case.kept.few(int(_ENOUGH / pace) + 1)
        found = told(case, tally(case, few, asked), exact=False)
        times = f"{round(pace * case.kept.subscribers, -6):,.0f}"
        return {**found, "reason": f"it would fire some {times} times: too often to be counted one by one"}
    sample, parts = sample_of(case.kept), case.kept.parts
    if len(sample) < len(parts):
        asked.say(told(case, tally(case, sample, asked), exact=False))
    return told(case, tally(case, parts, asked), exact=True)


def told(case: Case, found: Tally, *, exact: bool) -> Json:
    """A count as JSON values; of a part of the subscribers it is scaled up to all."""
    share = found.people / max(case.kept.subscribers, 1)
    outcome = _sold_out(case, found, share)
    recent = found.decided_at > case.since
    rows, offered = np.flatnonzero(recent), np.flatnonzero(recent & (outcome == OFFERED))
    by_outcome = [int((recent & (outcome == number)).sum()) for number in range(len(OUTCOMES))]

    def scaled(count: float) -> int:
        return round(count / share) if share else 0

    now_offered = scaled(int(((found.now == OFFERED) & found.free).sum()))
    most = case.tried.rule.limits.max_total
    return {
        "exact": exact,
        "history": history_of(case),
        "reached": scaled(found.reached),
        "qualify_now": scaled(len(found.now)),
        "funnel": {
            "matched": scaled(len(rows)),
            **{name: scaled(count) for name, count in zip(OUTCOMES, by_outcome, strict=True)},
        },
        "per_day": [
            {"day": day, "firings": scaled(firings), "offered": scaled(some)}
            for day, firings, some in _per_day(case, found.decided_at[rows], found.decided_at[offered])
        ],
        "expected_per_day": round(scaled(len(offered)) * _DAY / _covered(case), 1),
        "expected_now": now_offered if most is None else min(now_offered, max(most - case.before.given, 0)),
        "overlap": [
            {"rule_id": active.rule.rule_id, "name": active.rule.name, "people": scaled(people)}
            for active, people in zip(case.rules, found.overlap.tolist(), strict=True)
        ],
        "left_out": list(case.left_out),
        "examples": _examples(case, found, rows, outcome),
    }


def history_of(case: Case) -> Json:
    """What the rule was tried on."""
    kept = case.kept
    window, covered = case.tried.rule.longest_window, case.others.upto - kept.first
    return {
        "first": moment_text(kept.first),
        "last": moment_text(kept.last),
        "records": kept.records,
        "subscribers": kept.subscribers,
        "shorter_than_window": covered < window,
        "cut": kept.cut,
        "pane": duration_text(case.others.setting.settings.pane),
        "from": f"run {kept.run['run_id']}",
    }


def _covered(case: Case) -> int:
    """Seconds of the history in which firings are counted."""
    pane = case.others.setting.settings.pane
    return max(case.others.upto - max(case.since, case.kept.first // pane * pane), pane)


def _sold_out(case: Case, found: Tally, share: float) -> NDArray[np.uint8]:
    """The outcomes, those beyond the rule's total sold out: in order of pane end, then subscriber."""
    most = case.tried.rule.limits.max_total
    offered = np.flatnonzero(found.outcome == OFFERED)
    limit = len(offered) if most is None else round(most * share)
    if limit >= len(offered):
        return found.outcome
    order = np.lexsort((np.array(case.texts(found.subscriber[offered])), found.decided_at[offered]))
    outcome = found.outcome.copy()
    outcome[offered[order[limit:]]] = SOLD_OUT
    return outcome


def _per_day(case: Case, fired: Ints, offered: Ints) -> list[tuple[str, int, int]]:
    """Every UTC day that pane ends are counted of, with firings and offers."""
    first = max(case.since, case.kept.first) // _DAY
    last = max(int(fired.max(initial=0)), case.others.upto - 1) // _DAY
    counts = [
        np.bincount(some // _DAY - first, minlength=last - first + 1).tolist() for some in (fired, offered)
    ]
    days = np.arange(first, last + 1).astype("datetime64[D]").astype(str).tolist()
    return list(zip(days, *counts, strict=True))


def _examples(case: Case, found: Tally, rows: Ints, outcome: NDArray[np.uint8]) -> list[Json]:
    """Some firings, spread evenly over time; of very many, some are looked at."""
    some = rows[:: len(rows) // _LOOKED_AT + 1]
    ordered = some[np.argsort(found.decided_at[some], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(EXAMPLES, len(ordered))).round().astype(np.int64)
    chosen = ordered[np.unique(places)]
    texts = case.texts(found.subscriber[chosen])
    fired = zip(found.subscriber[chosen].tolist(), found.decided_at[chosen].tolist(), strict=True)
    setting = case.others.setting
    values = [values_at(case.tried, case.kept.of(code), setting, second) for code, second in fired]
    return [
        {
            "subscriber": text,
            "decided_at": moment_text(int(found.decided_at[row])),
            "outcome": OUTCOMES[outcome[row]],
            "values": json.loads(value),
        }
        for row, text, value in zip(chosen.tolist(), texts, values, strict=True)
    ]
