"""The world: countries in five steps of colour, small ones as dots."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from webui.figures.style import CLEAR, Figure, Theme, figure, layout, stepped
from webui.geo.countries import name_of
from webui.measures import Measure
from webui.words import percent, short

NOWHERE: Final = ("ZZ", "001")
"""Regions that are no country."""


def world(
    values: Mapping[str, int],
    what: Measure,
    look: Theme,
    outlines: str,
    known: frozenset[str],
    dots: Mapping[str, tuple[float, float]],
) -> Figure:
    """Countries by how much they were called.

    Args:
        values: per ISO 3166 code.
        what: is counted.
        look: theme.
        outlines: address of the GeoJSON.
        known: countries that have an outline.
        dots: longitude and latitude of the small ones.
    """
    some = {code: v for code, v in values.items() if v > 0 and code in known}
    edges = [edge * what.unit for edge in steps(max(some.values(), default=0) // what.unit)]
    data = [
        _ground(known - some.keys(), look, outlines),
        _called(some, what, look, edges, outlines),
        _dots(some, what, look, edges, dots),
        *_key(edges, what, look),
    ]
    return figure(data, _layout(look), furthest(values, what), look)


def _countries(look: Theme, outlines: str) -> dict[str, Any]:
    return {
        "type": "choropleth",
        "geojson": outlines,
        "featureidkey": "id",
        "showscale": False,
        "marker": {"line": {"color": look.panel, "width": 0.5}},
        "zmin": 0,
        "zmax": 5,
    }


def _ground(codes: frozenset[str], look: Theme, outlines: str) -> dict[str, Any]:
    return {
        **_countries(look, outlines),
        "locations": sorted(codes),
        "z": [0.5] * len(codes),
        "colorscale": [[0, look.none], [1, look.none]],
        "hoverinfo": "skip",
    }


def _called(
    some: Mapping[str, int], what: Measure, look: Theme, edges: list[int], outlines: str
) -> dict[str, Any]:
    return {
        **_countries(look, outlines),
        "locations": list(some),
        "z": [step(v, edges) + 0.5 for v in some.values()],
        "colorscale": stepped(look.steps),
        "customdata": [[name_of(code), what.text(v)] for code, v in some.items()],
        "hovertemplate": "%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
    }


def _dots(
    some: Mapping[str, int],
    what: Measure,
    look: Theme,
    edges: list[int],
    dots: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    small = {code: v for code, v in some.items() if code in dots}
    return {
        "type": "scattergeo",
        "mode": "markers",
        "lon": [dots[code][0] for code in small],
        "lat": [dots[code][1] for code in small],
        "customdata": [[name_of(code), what.text(v)] for code, v in small.items()],
        "hovertemplate": "%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
        "marker": {
            "size": 7,
            "color": [look.steps[step(v, edges)] for v in small.values()],
            "line": {"color": look.panel, "width": 1},
        },
        "showlegend": False,
    }


def _key(edges: list[int], what: Measure, look: Theme) -> list[dict[str, Any]]:
    """The map's key: a square for each step, and one for none."""
    hours = " h" if what.unit > 1 else ""
    marks = [short(edge // what.unit) + hours for edge in edges]
    between = (f"{a} – {b}" for a, b in pairwise(marks))
    labels = [f"below {marks[0]}", *between, f"{marks[-1]} and more"]
    entries = [(f"no {what.noun}", look.none), *zip(labels, look.steps, strict=True)]
    return [
        {
            "type": "scattergeo",
            "mode": "markers",
            "lon": [None],
            "lat": [None],
            "name": label,
            "marker": {
                "size": 12,
                "symbol": "square",
                "color": colour,
                "line": {"color": look.ink, "width": 0.5},
            },
            "hoverinfo": "skip",
        }
        for label, colour in entries
    ]


def _layout(look: Theme) -> dict[str, Any]:
    return layout(
        look,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        uirevision="world",
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0.5,
            "xanchor": "center",
            "y": 0,
            "yanchor": "bottom",
            "itemclick": False,
            "itemdoubleclick": False,
            "bgcolor": CLEAR,
        },
        geo={
            "domain": {"x": [0, 1], "y": [0.12, 1]},
            "visible": False,
            "bgcolor": look.sea,
            "projection": {"type": "equal earth", "scale": 1},
            "lataxis": {"range": [-60, 85]},
            "lonaxis": {"range": [-170, 190]},
        },
    )


def steps(most: int) -> list[int]:
    """The four edges between five steps: powers of ten that fit the greatest value.

    >>> steps(500_000), steps(4_000), steps(40)
    ([100, 1000, 10000, 100000], [10, 100, 500, 1000], [5, 10, 20, 30])
    """
    if 1000 <= most < 10_000:
        return [10, 100, 500, 1000]
    if most < 1000:
        size = max(1, most // 8)
        return [size, size * 2, size * 4, size * 6]
    top = len(str(most)) - 1
    return [10 ** (top - 3 + i) for i in range(4)]


def step(value: int, edges: list[int]) -> int:
    """0 to 4: how many edges the value has reached."""
    return sum(value >= edge for edge in edges)


def furthest(values: Mapping[str, int], what: Measure) -> str:
    """What the map shows, in words."""
    whole = sum(values.values())
    if not whole:
        return f"No {what.noun} yet"
    called = sum(1 for code, v in values.items() if v > 0 and code not in NOWHERE)
    best, most = max(values.items(), key=lambda item: item[1])
    return f"{called} countries; {name_of(best)} has {percent(most, whole)} of the {what.noun}"
