"""What a rule would have done, in a few numbers: for trying it on history before it is switched on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns.rules.outcomes import OUTCOMES

EXAMPLES: Final = 20


@dataclass(frozen=True)
class Summary:
    """What the promotions of one rule come to.

    Attributes:
        subscribers: how many have one.
        firings: how many there are.
        by_outcome: firings with each outcome.
        per_day: firings by UTC day (``2026-01-31``), ascending; days without any are left out.
        overlap: by rule_id of other rules, how many subscribers have a promotion of both.
        examples: some promotions, spread evenly over time: subscriber, decided_at, outcome and values by path.
    """

    subscribers: int
    firings: int
    by_outcome: Mapping[str, int]
    per_day: Mapping[str, int]
    overlap: Mapping[str, int]
    examples: list[dict[str, Any]]


def summarise(rows: pa.Table, others: pa.Table | None = None, examples: int = EXAMPLES) -> Summary:
    """The summary of one rule's promotions.

    Args:
        rows: the promotions of the rule.
        others: ``rule_id`` and ``subscriber`` of promotions of other rules over the same time, to see who gets both.
        examples: how many at most.
    """
    days = pc.strftime(rows.column("decided_at"), "%Y-%m-%d")
    outcomes = _counts(rows.column("outcome"))
    return Summary(
        subscribers=pc.count_distinct(rows.column("subscriber")).as_py(),
        firings=rows.num_rows,
        by_outcome={name: outcomes.get(name, 0) for name in OUTCOMES},
        per_day=dict(sorted(_counts(days).items())),
        overlap={} if others is None else _overlap(rows, others),
        examples=_examples(rows, examples),
    )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def _overlap(rows: pa.Table, others: pa.Table) -> dict[str, int]:
    both = others.filter(pc.is_in(others.column("subscriber"), pc.unique(rows.column("subscriber"))))
    return _counts(both.group_by(["rule_id", "subscriber"]).aggregate([]).column("rule_id"))


def _examples(rows: pa.Table, most: int) -> list[dict[str, Any]]:
    ordered = rows.sort_by([("decided_at", "ascending"), ("subscriber", "ascending")])
    places = np.unique(
        np.linspace(0, ordered.num_rows - 1, min(most, ordered.num_rows)).round().astype(np.int64)
    )
    chosen = ordered.take(pa.array(places)).select(["subscriber", "decided_at", "outcome", "features"])
    return [{**row, "features": json.loads(row["features"])} for row in chosen.to_pylist()]
