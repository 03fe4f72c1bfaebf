"""Who calls whom: a heat map of business types, and the flows between their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from webui.figures.style import TAG_COLOURS, Figure, Theme, axis, figure, layout, stepped
from webui.measures import Measure
from webui.words import WEEKDAYS, percent, short_type

Flow = tuple[str, str, int]
"""From, to, how much."""
SHOWN_FLOWS: Final = 15
HOURS: Final = tuple(f"{h:02d}" for h in range(24))
"""The hours of a day, as they stand below a chart."""


def heat(flows: Sequence[Flow], order: Sequence[str], what: Measure, look: Theme) -> Figure:
    """A cell for every pair; its colour is its rank of size in five steps.

    Args:
        flows: caller's type, called type, value.
        order: the types, as they stand in rows and columns.
        what: is counted.
        look: theme.
    """
    values = {(a, b): v for a, b, v in flows if v}
    grid = [[values.get((a, b), 0) for b in order] for a in order]
    names = [short_type(t) for t in order]
    said = [
        [[a, b, what.text(v)] for b, v in zip(order, row, strict=True)]
        for a, row in zip(order, grid, strict=True)
    ]
    hover = "%{customdata[0]} → %{customdata[1]}<br><b>%{customdata[2]}</b><extra></extra>"
    cells = heat_cells(names, names, grid, said, hover, look)
    shape = layout(
        look,
        margin={"l": 8, "r": 8, "t": 4, "b": 8},
        xaxis=axis(look, "called", automargin=True, showgrid=False, tickangle=-45, type="category"),
        yaxis=axis(look, "caller", automargin=True, showgrid=False, autorange="reversed", type="category"),
    )
    return figure([cells], shape, strongest(flows, what), look)


def heat_cells(
    x: Sequence[str],
    y: Sequence[str],
    grid: Sequence[Sequence[int]],
    said: Sequence[Sequence[Sequence[str]]],
    hover: str,
    look: Theme,
) -> dict[str, Any]:
    """The trace of a heat map whose colours are ranks of size in five steps.

    Args:
        x, y: names of columns and rows.
        grid: values, row by row.
        said: per value the texts that ``hover`` names as ``customdata``.
        hover: what a cell says.
        look: theme.
    """
    values = [v for row in grid for v in row if v]
    return {
        "type": "heatmap",
        "x": list(x),
        "y": list(y),
        "z": [[step_of(v, values) for v in row] for row in grid],
        "customdata": said,
        "zmin": 0,
        "zmax": 5,
        "colorscale": stepped((look.none, *look.steps)),
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": hover,
    }


def step_of(value: int, values: Sequence[int]) -> int:
    """0 for none, else 1 to 5 by how the value's size compares with the others'."""
    if value <= 0:
        return 0
    below = sum(v < value for v in values)
    return 1 + min(4, below * 5 // max(len(values), 1))


def strongest(flows: Sequence[Flow], what: Measure) -> str:
    """What a graph of flows shows, in words."""
    whole = sum(v for _, _, v in flows)
    if not whole:
        return f"No {what.noun} yet"
    caller, called, most = max(flows, key=lambda flow: flow[2])
    return f"Most {what.noun} go from {caller} to {called}: {percent(most, whole)}"


def sankey(flows: Sequence[Flow], tags: Sequence[str], what: Measure, look: Theme) -> Figure:
    """The greatest flows between groups of types, callers left, called right."""
    greatest = sorted((f for f in flows if f[2]), key=lambda f: -f[2])[:SHOWN_FLOWS]
    left = [t for t in tags if any(a == t for a, _, _ in greatest)]
    right = [t for t in tags if any(b == t for _, b, _ in greatest)]
    colours = {tag: TAG_COLOURS[i % len(TAG_COLOURS)] for i, tag in enumerate(tags)}
    nodes = [*left, *right]
    links = {
        "source": [left.index(a) for a, _, _ in greatest],
        "target": [len(left) + right.index(b) for _, b, _ in greatest],
        "value": [v for _, _, v in greatest],
        "color": [faded(colours[a]) for a, _, _ in greatest],
        "customdata": [[a, b, what.text(v)] for a, b, v in greatest],
        "hovertemplate": "%{customdata[0]} → %{customdata[1]}<br><b>%{customdata[2]}</b><extra></extra>",
    }
    drawn = {
        "type": "sankey",
        "arrangement": "fixed",
        "node": {
            "label": nodes,
            "color": [colours[t] for t in nodes],
            "pad": 14,
            "thickness": 12,
            "line": {"width": 0},
            "hovertemplate": "%{label}<extra></extra>",
        },
        "link": links,
        "textfont": {"size": 12, "color": look.strong},
    }
    title = strongest(flows, what)
    return figure([drawn], layout(look, margin={"l": 8, "r": 8, "t": 8, "b": 8}), title, look)


def faded(colour: str) -> str:
    """A colour that lets others through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"


def week(cells: Mapping[tuple[int, int], int], noun: str, lead: str, look: Theme) -> Figure:
    """A heat map of weekday and hour.

    Args:
        cells: (weekday, hour) -> how many.
        noun: what is counted.
        lead: the beginning of the title, which goes on with a weekday and an hour.
        look: theme.
    """
    grid = [[cells.get((d, h), 0) for h in range(24)] for d in range(7)]
    said = [[[WEEKDAYS[d], f"{h:02d}", f"{v:,}"] for h, v in enumerate(r)] for d, r in enumerate(grid)]
    hover = f"%{{customdata[0]}} %{{customdata[1]}} h<br><b>%{{customdata[2]}}</b> {noun}<extra></extra>"
    drawn = heat_cells(HOURS, [day[:3] for day in WEEKDAYS], grid, said, hover, look)
    shape = layout(
        look,
        margin={"l": 8, "r": 8, "t": 4, "b": 40},
        xaxis=axis(look, "hour of the day", showgrid=False, type="category", dtick=3),
        yaxis=axis(look, automargin=True, showgrid=False, autorange="reversed", type="category"),
    )
    return figure([drawn], shape, busiest_time(cells, noun, lead), look)


def busiest_time(cells: Mapping[tuple[int, int], int], noun: str, lead: str) -> str:
    """What a heat map of the week shows, in words."""
    if not any(cells.values()):
        return f"No {noun} yet"
    (day, hour), _ = max(cells.items(), key=lambda item: item[1])
    return f"{lead} on {WEEKDAYS[day]} {hour:02d}–{(hour + 1) % 24:02d} h"
