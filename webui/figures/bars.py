"""Bars: hours of the day, ranked types and countries; lines of what happens now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webui.figures.style import Figure, Theme, axis, figure, layout, nothing
from webui.measures import Measure
from webui.words import hour_span, percent


def hours(rows: Sequence[dict[str, Any]], what: Measure, look: Theme) -> Figure:
    """A bar for each hour of the day; hours without rows are zero."""
    values = {int(r["hour"]): what.of(r) for r in rows}
    series = [values.get(h, 0) for h in range(24)]
    bars = {
        "type": "bar",
        "x": [f"{h:02d}" for h in range(24)],
        "y": [what.scaled(v) for v in series],
        "customdata": [[hour_span(h), what.text(v)] for h, v in enumerate(series)],
        "hovertemplate": "%{customdata[0]} h<br><b>%{customdata[1]}</b><extra></extra>",
        "marker": {"color": look.bar, "cornerradius": 3},
    }
    shape = layout(
        look,
        bargap=0.25,
        margin={"l": 58, "r": 12, "t": 8, "b": 44},
        xaxis=axis(look, "hour of the day", type="category", dtick=3, showgrid=False),
        yaxis=axis(look, what.axis, nticks=6, rangemode="tozero", **ticks(max(map(what.scaled, series)))),
    )
    return figure([bars], shape, busiest_hour(series, what), look)


def ticks(most: float) -> dict[str, Any]:
    """How an axis up to this value writes its numbers: ``12k`` for great ones, whole ones for few."""
    if most <= 5:
        return {"dtick": 1, "tickformat": ",d"}
    return {"tickformat": ",~s" if most >= 10_000 else ",d"}


def busiest_hour(series: Sequence[int], what: Measure) -> str:
    """What a chart of hours shows, in words."""
    most = max(series, default=0)
    if most == 0:
        return f"No {what.noun} yet"
    best = series.index(most)
    return f"Busiest hour: {hour_span(best)}, {percent(most, sum(series))} of the {what.noun}"


def ranked(
    pairs: Sequence[tuple[str, int]], what: Measure, look: Theme, title: str, colours: Sequence[str] = ()
) -> Figure:
    """Horizontal bars, the greatest on top, each with its number.

    Args:
        pairs: label and value, the greatest first.
        what: is counted.
        look: theme.
        title: of the figure.
        colours: one a bar, or none: all alike.
    """
    whole = sum(v for _, v in pairs)
    widest = max((what.scaled(v) for _, v in pairs), default=0) or 1
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [label for label, _ in pairs],
        "x": [what.scaled(v) for _, v in pairs],
        "customdata": [[what.text(v), percent(v, whole)] for _, v in pairs],
        "text": [what.text(v) for _, v in pairs],
        "textposition": "outside",
        "cliponaxis": False,
        "constraintext": "none",
        "hovertemplate": "%{y}<br><b>%{customdata[0]}</b> (%{customdata[1]} of these)<extra></extra>",
        "marker": {"color": list(colours) or look.bar, "cornerradius": 3},
    }
    shape = layout(
        look,
        bargap=0.28,
        margin={"l": 8, "r": 14 + 7 * max((len(what.text(v)) for _, v in pairs), default=0), "t": 4, "b": 44},
        xaxis=axis(look, what.axis, nticks=3, tickangle=0, range=[0, widest], **ticks(widest)),
        yaxis=axis(look, automargin=True, autorange="reversed", showgrid=False, ticksuffix="  "),
    )
    return figure([bars], shape, title, look)


def top_of(pairs: Sequence[tuple[str, int]], what: Measure) -> str:
    """What ranked bars show, in words."""
    whole = sum(v for _, v in pairs)
    if not whole:
        return f"No {what.noun} yet"
    label, most = max(pairs, key=lambda pair: pair[1])
    return f"{label} leads with {percent(most, whole)} of the {what.noun}"


def trend(points: Sequence[tuple[float, float | None]], look: Theme) -> Figure:
    """Records a second over time; straight lines, and no line where nothing is known.

    Args:
        points: seconds since 1970 UTC and the rate, oldest first.
        look: theme.
    """
    known = [rate for _, rate in points if rate is not None]
    if not known:
        return nothing(look, "No records in the last five minutes")
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [round(at * 1000) for at, _ in points],
        "y": [None if rate is None else round(rate, 1) for _, rate in points],
        "connectgaps": False,
        "line": {"color": look.bar, "width": 2, "shape": "linear"},
        "hovertemplate": "%{x|%H:%M:%S} UTC<br><b>%{y:,.0f}</b> a second<extra></extra>",
    }
    shape = layout(
        look,
        xaxis=axis(look, type="date", showgrid=False, tickformat="%H:%M:%S", nticks=4, tickangle=0),
        yaxis=axis(look, "records a second", rangemode="tozero", nticks=5, **ticks(max(known, default=0))),
    )
    return figure([line], shape, usual_rate(known), look)


def usual_rate(known: Sequence[float]) -> str:
    """What a chart of rates shows, in words."""
    return f"{sum(known) / len(known):,.0f} records a second on average, {max(known):,.0f} at most"
