"""A rule tried on a few interactions before a run takes it: whatever goes wrong there would end the run."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Final

import numpy as np

from transforms.columns.directory import BusinessTypes
from transforms.columns.regions import REGIONS, regions_of
from transforms.columns.rules import interactions as inter
from transforms.columns.rules.evaluate import evaluate
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.memory import Memory
from transforms.columns.rules.people import Context, Words
from transforms.errors import RuleError
from transforms.rules.language import ActiveRule, Rule

_ROWS: Final = 6


@lru_cache(maxsize=4096)
def try_out(rule: Rule, types: BusinessTypes, pane: int) -> None:
    """Evaluates a rule in two calls over a few interactions of two subscribers.

    Args:
        rule: that has been checked.
        types: the list of business types.
        pane: length of a pane in seconds.

    Raises:
        RuleError: the evaluator fails.
    """
    rows, memory = _some(pane), Memory()
    context = Context(Words(types, REGIONS), regions_of)
    try:
        for after in (0, 4 * pane):
            _, memory = evaluate(
                [ActiveRule(rule)],
                rows,
                context,
                after=after,
                upto=after + 4 * pane,
                pane=pane,
                memory=memory,
            )
    except Exception as error:  # whatever it is: the run must not meet it
        what = f"rule {rule.rule_id} cannot be evaluated: {type(error).__name__}: {error}"
        raise RuleError(what, "a rule that the evaluator can work out") from error


def _some(pane: int) -> Interactions:
    ones = {f.name: np.ones(_ROWS, getattr(inter.empty(), f.name).dtype) for f in fields(Interactions)}
    ones["caller"] = np.repeat([12025550123, 442079460018], _ROWS // 2)
    ones["start"] = np.tile(np.arange(_ROWS // 2) * 2 * pane, 2)
    return Interactions(**ones)
