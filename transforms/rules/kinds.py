"""Kinds of JSON values: each reads a value with the path that it stands at, and says its own JSON Schema.

One definition serves both, so that what the parser takes and what the schema says cannot drift apart.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from transforms.columns.windows import parse_duration
from transforms.errors import OptionError
from transforms.rules.problems import Problems, RuleProblem, join, refuse

Schema = dict[str, Any]
MAX_DURATION: Final = 3660 * 86400
"""Longest window, cooldown or expiry, in seconds: ten years and a few days."""
_DURATION_PATTERN: Final = "^[0-9]+[smhd]$"
_LARGEST: Final = 10**15
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Kind(ABC):
    """What may stand at a place in a rule."""

    def read(self, value: object, path: str) -> Any:
        """The value as callbeam keeps it; `RuleProblem` with this path where it cannot be, and with all others."""
        return self._read(value, path)

    def schema(self) -> Schema:
        """The JSON Schema of what `read` takes."""
        return self._schema()

    @abstractmethod
    def _read(self, value: object, path: str) -> Any: ...

    @abstractmethod
    def _schema(self) -> Schema: ...


@dataclass(frozen=True)
class Text(Kind):
    """A text of some length, not blank unless ``least`` is 0."""

    longest: int = 200
    least: int = 1
    pattern: str = ""
    example: str = ""

    def _read(self, value: object, path: str) -> str:
        if not isinstance(value, str) or not self.least <= len(value) <= self.longest:
            raise refuse(value, path, f"a text of {self.least} to {self.longest} characters")
        if self.pattern and not re.search(self.pattern, value):
            raise refuse(value, path, self.example)
        return value

    def _schema(self) -> Schema:
        pattern = {"pattern": self.pattern} if self.pattern else {}
        return {"type": "string", "minLength": self.least, "maxLength": self.longest, **pattern}


@dataclass(frozen=True)
class Number(Kind):
    """A number, whole where ``whole``, within bounds that are both included (10^15 by default)."""

    whole: bool = False
    low: float | None = None
    high: float | None = None

    def _read(self, value: object, path: str) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not self._inside(value):
            raise refuse(value, path, self._expected())
        if value == int(value):
            return int(value)
        if self.whole:
            raise refuse(value, path, self._expected())
        return value

    def _inside(self, value: float) -> bool:
        low, high = (
            (-_LARGEST if self.low is None else self.low),
            (_LARGEST if self.high is None else self.high),
        )
        return low <= value <= high  # false for NaN

    def _expected(self) -> str:
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("from", self.low), ("to", self.high))
            if bound is not None
        ]
        return " ".join(["a whole number" if self.whole else "a number", *bounds])

    def _schema(self) -> Schema:
        bounds = {k: v for k, v in (("minimum", self.low), ("maximum", self.high)) if v is not None}
        return {"type": "integer" if self.whole else "number", **bounds}


@dataclass(frozen=True)
class Flag(Kind):
    """true or false."""

    def _read(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            raise refuse(value, path, "true or false")
        return value

    def _schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few texts."""

    options: tuple[str, ...]

    def _read(self, value: object, path: str) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise refuse(value, path, f"one of {', '.join(self.options)}")
        return value

    def _schema(self) -> Schema:
        return {"enum": list(self.options)}


@dataclass(frozen=True)
class Duration(Kind):
    """``90s``, ``15m``, ``2h`` or ``30d``, kept as seconds; ``all`` (kept as None) where ``or_all``."""

    least: int = 0
    or_all: bool = False

    def _read(self, value: object, path: str) -> int | None:
        if self.or_all and value == "all":
            return None
        seconds = _seconds(value)
        if not self.least <= seconds <= MAX_DURATION:
            also = " or all" if self.or_all else ""
            raise refuse(value, path, f"a length of time such as 90s, 2h or 30d, from {self.least}s{also}")
        return seconds

    def _schema(self) -> Schema:
        zero_or_more = _DURATION_PATTERN if not self.least else "^0*[1-9][0-9]*[smhd]$"
        return {"type": "string", "pattern": f"{zero_or_more}|^all$" if self.or_all else zero_or_more}


def _seconds(value: object) -> int:
    """Seconds of a duration's text, -1 where it is none."""
    try:
        return parse_duration(value) if isinstance(value, str) and re.search(_DURATION_PATTERN, value) else -1
    except OptionError:
        return -1


@dataclass(frozen=True)
class Instant(Kind):
    """A moment in ISO 8601, UTC where it has no offset, in whole seconds; kept as seconds since 1970."""

    def _read(self, value: object, path: str) -> int:
        expected = "a moment in whole seconds such as 2026-01-31T00:00:00Z"
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.microsecond:
            raise refuse(value, path, expected)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if (
            not _FIRST <= aware <= _LAST
        ):  # with its offset, a moment may be none of a year that can be written
            raise refuse(value, path, expected)
        return int(aware.timestamp())

    def _schema(self) -> Schema:
        return {"type": "string", "pattern": "^[0-9]{4}-?[0-9W]"}


@dataclass(frozen=True)
class Maybe(Kind):
    """null or another kind."""

    kind: Kind

    def _read(self, value: object, path: str) -> Any:
        return None if value is None else self.kind.read(value, path)

    def _schema(self) -> Schema:
        return {"anyOf": [{"type": "null"}, self.kind.schema()]}


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of one kind of values, kept as a tuple; neither empty nor longer than ``longest``."""

    kind: Kind
    longest: int = 1000

    def _read(self, value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= self.longest:
            raise refuse(value, path, f"a list of 1 to {self.longest} values")
        found, problems = [], Problems()
        for k, one in enumerate(value):
            with problems.of_part():
                found.append(self.kind.read(one, f"{path}[{k}]"))
        problems.tell()
        return tuple(found)

    def _schema(self) -> Schema:
        return {"type": "array", "items": self.kind.schema(), "minItems": 1, "maxItems": self.longest}


@dataclass(frozen=True)
class Bounds(Kind):
    """``[low, high]``, both of one kind, low not above high; kept as a tuple."""

    kind: Kind

    def _read(self, value: object, path: str) -> tuple[Any, Any]:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise refuse(value, path, "[low, high]")
        low, high = (self.kind.read(v, f"{path}[{k}]") for k, v in enumerate(value))
        if low > high:
            raise refuse(value, path, "[low, high] with low not above high")
        return low, high

    def _schema(self) -> Schema:
        return {"type": "array", "items": self.kind.schema(), "minItems": 2, "maxItems": 2}


REQUIRED: Final = object()
"""Stands for the default of an entry that has to be there."""
IGNORED: Final = object()
"""Stands for the default of an entry that may be there and says nothing."""


@dataclass(frozen=True)
class Shape(Kind):
    """An object with these entries: name -> (kind, default)."""

    entries: Mapping[str, tuple[Kind, Any]] = field(default_factory=dict)

    def _read(self, value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise refuse(value, path, "an object { … }")
        found, problems = {}, Problems()
        for key in value:
            with problems.of_part():
                self._check_known(key, path)
        for key, (kind, default) in self.entries.items():
            with problems.of_part():
                if key not in value and default is REQUIRED:
                    raise RuleProblem(join(path, key), "is missing")
                found[key] = kind.read(value[key], join(path, key)) if key in value else default
        problems.tell()
        return {k: v for k, v in found.items() if self.entries[k][1] is not IGNORED}

    def _check_known(self, key: object, path: str) -> None:
        if key not in self.entries:
            known = ", ".join(k for k, (_, default) in self.entries.items() if default is not IGNORED)
            raise RuleProblem(join(path, str(key)), "is not known here", f"one of {known}")

    def _schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {key: kind.schema() for key, (kind, _) in self.entries.items()},
            "required": [key for key, (_, default) in self.entries.items() if default is REQUIRED],
            "additionalProperties": False,
        }
