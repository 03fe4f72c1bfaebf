"""What is counted: the measures of the analyses, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webui import words


@dataclass(frozen=True)
class Measure:
    """One thing that is counted per row.

    Attributes:
        name: of the column, or ``records``, which is calls and messages together.
        label: as a heading.
        noun: within a sentence: ``most records``.
        meaning: in a line.
    """

    name: str
    label: str
    noun: str
    meaning: str

    def of(self, row: Mapping[str, Any]) -> int:
        """Its value in a row."""
        if self.name == "records":
            return int((row["calls"] or 0) + (row["messages"] or 0))
        return int(row[self.name] or 0)

    def text(self, value: float) -> str:
        """A value as people read it."""
        return words.talk(value) if self.name == "duration_s" else words.number(int(value))

    def scaled(self, value: float) -> float:
        """A value as it stands on an axis: hours of talk, else the number itself."""
        return value if self.unit == 1 else round(value / self.unit, 3)

    @property
    def unit(self) -> int:
        """How much of it makes one on an axis: an hour of talk, else one."""
        return 3600 if self.name == "duration_s" else 1

    @property
    def axis(self) -> str:
        """What the axis says."""
        return "hours of talk" if self.name == "duration_s" else self.noun


MEASURES: Final = {
    m.name: m
    for m in (
        Measure("records", "Records", "records", "Calls and messages, answered or not."),
        Measure("calls", "Calls", "calls", "Voice only, answered or not."),
        Measure("answered", "Answered", "answered calls", "Calls that were answered."),
        Measure("messages", "Messages", "messages", "Text messages."),
        Measure("duration_s", "Talk time", "talk time", "Time of answered calls."),
    )
}


def measure(name: str | None, default: str) -> Measure:
    """The measure of this name, or the default one."""
    return MEASURES.get(name or "", MEASURES[default])


def total(rows: list[dict[str, Any]], what: Measure) -> int:
    """The sum over rows."""
    return sum(what.of(row) for row in rows)
