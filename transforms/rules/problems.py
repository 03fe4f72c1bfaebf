"""What is wrong with a rule, and where; and how values are written in what is said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from transforms.columns.windows import UNITS
from transforms.errors import RuleError

_SHOWN: Final = 60
_MOST: Final = 100
"""Problems of a rule that are told: more of them are nonsense."""


class RuleProblem(RuleError):
    """A rule that cannot be read.

    Attributes:
        path: where in the rule (``when.rules[1].field``; empty for the rule itself).
        index: position of the rule in its list, from 0.
        said: what is wrong at the path.
        others: what else is wrong with the rule.
    """

    others: tuple[RuleProblem, ...] = ()

    def __init__(self, path: str, what: str, expected: str = "", todo: str = "") -> None:
        self.path, self.index, self.said = path, 0, what
        super().__init__(f"{path or 'rule'} {what}", expected, todo)

    def of_rule(self, index: int, name: object) -> RuleProblem:
        """The same problem, naming the rule of a list that it is in."""
        where = f"of rule {index + 1}" + (f" ({name[:_SHOWN]})" if isinstance(name, str) else "")
        problem = RuleProblem(self.path, f"{where} {self.said}", self.expected, self.todo)
        problem.index, problem.others = index, tuple(other.of_rule(index, name) for other in self.others)
        return problem

    @property
    def all(self) -> tuple[RuleProblem, ...]:
        """This problem and the others."""
        return (self, *self.others)


class Problems:
    """Gathers what is wrong with the parts of a rule, so that all of it is told at once."""

    def __init__(self) -> None:
        self._found: list[RuleProblem] = []

    @contextmanager
    def of_part(self) -> Iterator[None]:
        """Takes what is raised about a part, and goes on behind it."""
        try:
            yield
        except RuleProblem as problem:
            self._found += problem.all[: _MOST - len(self._found)]

    def tell(self) -> None:
        """Raises the first problem, which knows the others; nothing where there is none."""
        if self._found:
            first, *others = (RuleProblem(p.path, p.said, p.expected, p.todo) for p in self._found)
            first.others = tuple(others)
            raise first


def shown(value: object) -> str:
    """A value as it stands in JSON, shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def refuse(value: object, path: str, expected: str) -> RuleProblem:
    """The problem of a value that is none of its kind."""
    return RuleProblem(path, f"is {shown(value)}", expected)


def join(path: str, key: str) -> str:
    """The path of an entry: ``limits`` + ``repeat`` -> ``limits.repeat``."""
    return f"{path}.{key}" if path else key


def duration_text(seconds: int) -> str:
    """Seconds in their largest whole unit: 7200 -> ``2h``, 0 -> ``0s``."""
    for unit, size in sorted(UNITS.items(), key=lambda item: -item[1]):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def instant_text(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC: ``2026-01-31T00:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
