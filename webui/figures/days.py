"""Promotions of a rule per day, by what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from webui.figures.bars import ticks
from webui.figures.style import CLEAR, Figure, Theme, axis, figure, layout, nothing
from webui.reasons import OUTCOMES
from webui.rule_words import day_text
from webui.words import number

_MIDDLE: Final = "#98a4bb"
_FEW: Final = 10
"""So many days the axis shows at least, that one bar alone is no wall."""


def outcome_days(days: Sequence[Mapping[str, Any]], look: Theme) -> Figure:
    """A bar a day, offered at its foot, what was held back above it.

    Args:
        days: ``day`` and how many of each outcome, the oldest first.
        look: theme.
    """
    if not days:
        return nothing(look, "No promotions in this run yet")
    colours = [look.bar, look.steps[0], look.none, _MIDDLE, look.ink]
    data = [
        {
            "type": "bar",
            "name": label,
            "x": [row["day"] for row in days],
            "y": [row.get(outcome, 0) for row in days],
            "hovertemplate": f"%{{x|%-d %b}}<br><b>%{{y:,}}</b> {label.lower()}<extra></extra>",
            "marker": {"color": colour, "line": {"color": look.ink, "width": 0.5}},
        }
        for (outcome, (label, _)), colour in zip(OUTCOMES.items(), colours, strict=True)
        if any(row.get(outcome) for row in days)
    ]
    most = max(sum(row.get(outcome, 0) for outcome in OUTCOMES) for row in days)
    shape = layout(
        look,
        barmode="stack",
        bargap=0.3,
        showlegend=True,
        legend={"orientation": "h", "y": -0.18, "yanchor": "top", "bgcolor": CLEAR},
        margin={"l": 52, "r": 12, "t": 8, "b": 40},
        xaxis=axis(
            look, type="date", showgrid=False, tickformat="%-d %b", nticks=6, tickangle=0, range=_range(days)
        ),
        yaxis=axis(look, "promotions", rangemode="tozero", nticks=5, **ticks(most)),
    )
    return figure(data, shape, _title(days), look)


def _range(days: Sequence[Mapping[str, Any]]) -> list[str]:
    """From half a day before the first bar to half a day after the last one."""
    first, last = date.fromisoformat(days[0]["day"]), date.fromisoformat(days[-1]["day"])
    begin = min(first, last - timedelta(days=_FEW - 1)) - timedelta(days=1)
    return [f"{begin} 12:00", f"{last} 12:00"]


def _title(days: Sequence[Mapping[str, Any]]) -> str:
    best = max(days, key=lambda row: row.get("offered", 0))
    if not best.get("offered"):
        return "Nothing was offered yet"
    return f"Most were offered on {day_text(best['day'])}: {number(best['offered'])}"
