"""What goes out when: a cell for every hour of the next days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webui.figures.graphs import HOURS, heat_cells
from webui.figures.style import Figure, Theme, axis, figure, layout, nothing
from webui.words import hour_span


@dataclass(frozen=True)
class Day:
    """A day of the calendar: its name (``Tue 3 Mar``) and how much is due in each of its 24 hours."""

    name: str
    hours: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of the day."""
        return sum(self.hours)

    @property
    def busy(self) -> list[tuple[str, int]]:
        """Hours in which something is due, with how much."""
        return [(hour_span(h), n) for h, n in enumerate(self.hours) if n]


def calendar(days: Sequence[Day], look: Theme) -> Figure:
    """A row for each day, a column for each hour (UTC); the colour is the rank of size in five steps."""
    if not any(n for day in days for n in day.hours):
        return nothing(look, finding(days))
    said = [[[hour_span(h), f"{n:,}"] for h, n in enumerate(day.hours)] for day in days]
    hover = "%{y}, %{customdata[0]} h<br><b>%{customdata[1]}</b> due<extra></extra>"
    cells = heat_cells(HOURS, [day.name for day in days], [day.hours for day in days], said, hover, look)
    shape = layout(
        look,
        margin={"l": 8, "r": 8, "t": 4, "b": 40},
        xaxis=axis(look, "hour of the day (UTC)", type="category", dtick=3, showgrid=False),
        yaxis=axis(look, automargin=True, showgrid=False, autorange="reversed", type="category"),
    )
    return figure([cells], shape, finding(days), look)


def finding(days: Sequence[Day]) -> str:
    """What the calendar shows, in words.

    >>> finding([Day("Tue 3 Mar", (0,) * 9 + (2, 5) + (0,) * 13)])
    'Most go out on Tue 3 Mar, 10–11: 5 of 7'
    """
    whole = sum(day.total for day in days)
    if not whole:
        return "Nothing goes out in the next 7 days"
    day, hour = max(((d, h) for d in days for h in range(24)), key=lambda found: found[0].hours[found[1]])
    return f"Most go out on {day.name}, {hour_span(hour)}: {day.hours[hour]:,} of {whole:,}"
