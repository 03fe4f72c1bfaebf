"""What all charts have in common: colours of the two themes, fonts, axes."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

Figure = dict[str, Any]

FONT: Final = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
CLEAR: Final = "rgba(0,0,0,0)"
TAG_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B7280")
"""For the groups of business types: told apart by colour-blind people too (Okabe and Ito 2008)."""


@dataclass(frozen=True)
class Theme:
    """Colours: text, lines of the grid, panels, bars, five steps from little to much, ``none`` at all."""

    name: str
    ink: str
    strong: str
    grid: str
    panel: str
    bar: str
    none: str
    sea: str
    steps: tuple[str, str, str, str, str]


LIGHT: Final = Theme(
    "light",
    ink="#566176",
    strong="#1e2738",
    grid="#e4e9f2",
    panel="#ffffff",
    bar="#3b5bdb",
    none="#eceff4",
    sea="#f4f6fb",
    steps=("#b9c8f7", "#8fa8f2", "#6483e8", "#3b5bdb", "#1e3a9e"),
)
DARK: Final = Theme(
    "dark",
    ink="#98a4bb",
    strong="#dbe2ee",
    grid="#232e47",
    panel="#141c2e",
    bar="#7c99ff",
    none="#222d45",
    sea="#0f1626",
    steps=("#30437c", "#4560b8", "#6483e8", "#91aaff", "#d3deff"),
)


def theme(name: str | None) -> Theme:
    """The theme of this name; light where there is none."""
    return DARK if name == "dark" else LIGHT


def figure(data: list[dict[str, Any]], layout: dict[str, Any], title: str, look: Theme) -> Figure:
    """A figure with its title in words and its revision."""
    text = json.dumps((data, layout, title, look.name), separators=(",", ":"), default=str)
    return {"data": data, "layout": layout, "title": title, "rev": f"{zlib.crc32(text.encode()):08x}"}


def layout(look: Theme, **more: Any) -> dict[str, Any]:
    """The layout of a figure on a panel."""
    return {
        "font": {"family": FONT, "size": 12, "color": look.ink},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "separators": ".,",
        "margin": {"l": 48, "r": 12, "t": 8, "b": 34},
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {
            "font": {"family": FONT, "size": 13, "color": look.strong},
            "bgcolor": look.panel,
            "bordercolor": look.grid,
        },
        **more,
    }


def nothing(look: Theme, said: str, hint: str = "") -> Figure:
    """A figure that only says why it is empty, and what fills it."""
    note = {
        "text": hint or said,
        "showarrow": False,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
        "font": {"size": 14, "color": look.ink},
    }
    shape = layout(look, xaxis={"visible": False}, yaxis={"visible": False}, annotations=[note])
    return figure([], shape, said, look)


def axis(look: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """An axis of a figure that stays as it is."""
    return {
        "gridcolor": look.grid,
        "linecolor": look.grid,
        "zeroline": False,
        "fixedrange": True,
        "title": {"text": title, "font": {"size": 12}, "standoff": 8},
        **more,
    }


def stepped(colours: tuple[str, ...]) -> list[list[Any]]:
    """A colour scale of equal steps without blending."""
    count = len(colours)
    return [[edge / count, colour] for i, colour in enumerate(colours) for edge in (i, i + 1)]
