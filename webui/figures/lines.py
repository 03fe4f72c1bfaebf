"""Lines over the last minutes, with a mark wherever somebody changed something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from webui.figures.bars import ticks
from webui.figures.style import CLEAR, TAG_COLOURS, Figure, Theme, axis, figure, layout, nothing

_FINE: Final = {"tickformat": ",.2~f"}
"""Of an axis whose numbers are small: a promotion every few seconds is less than one a second."""
SHOWN: Final = len(TAG_COLOURS)
Points = Sequence[tuple[float, float | None]]


def lines(
    series: Mapping[str, Points],
    changes: Sequence[tuple[float, str]],
    noun: str,
    lead: str,
    look: Theme,
    hint: str = "",
) -> Figure:
    """The greatest series, each a line with its name in the key below.

    Args:
        series: name -> (seconds since 1970 UTC, value), oldest first.
        changes: when something was changed, and what.
        noun: what is counted, with its unit of time.
        lead: the title where there is nothing yet.
        look: theme.
        hint: what fills the chart.
    """
    if not any(series.values()):
        return nothing(look, lead, hint)
    greatest = sorted(series, key=lambda name: -newest(series[name]))[:SHOWN]
    data = [_line(name, series[name], TAG_COLOURS[i], noun) for i, name in enumerate(greatest)]
    most = max((v for name in greatest for _, v in series[name] if v is not None), default=0)
    shape = layout(
        look,
        showlegend=True,
        legend={"orientation": "h", "y": -0.18, "yanchor": "top", "bgcolor": CLEAR, "itemdoubleclick": False},
        margin={"l": 52, "r": 12, "t": 26, "b": 40},
        xaxis=axis(look, type="date", showgrid=False, tickformat="%H:%M:%S", nticks=5, tickangle=0),
        yaxis=axis(look, noun, rangemode="tozero", nticks=5, **(ticks(most) if most > 5 else _FINE)),
        shapes=[_mark(at, look) for at, _ in changes],
        annotations=[_label(at, said, look) for at, said in changes],
    )
    return figure(data, shape, _title(series, greatest, noun, lead), look)


def newest(points: Points) -> float:
    """The mean of the newest values that are known."""
    known = [v for _, v in points[-8:] if v is not None]
    return sum(known) / len(known) if known else 0.0


def _title(series: Mapping[str, Points], greatest: Sequence[str], noun: str, lead: str) -> str:
    if not greatest or newest(series[greatest[0]]) == 0:
        return lead
    return f"{greatest[0]} leads: {newest(series[greatest[0]]):,.1f} {noun}"


def _line(name: str, points: Points, colour: str, noun: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [round(at * 1000) for at, _ in points],
        "y": [None if v is None else round(v, 2) for _, v in points],
        "connectgaps": False,
        "line": {"color": colour, "width": 2, "shape": "linear"},
        "hovertemplate": f"{name}<br>%{{x|%H:%M:%S}} UTC<br><b>%{{y:,.1f}}</b> {noun}<extra></extra>",
    }


def _mark(at: float, look: Theme) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": round(at * 1000),
        "x1": round(at * 1000),
        "y0": 0,
        "y1": 1,
        "line": {"color": look.ink, "width": 1, "dash": "dot"},
    }


def _label(at: float, said: str, look: Theme) -> dict[str, Any]:
    return {
        "x": round(at * 1000),
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": said,
        "showarrow": False,
        "font": {"size": 12, "color": look.strong},
    }
