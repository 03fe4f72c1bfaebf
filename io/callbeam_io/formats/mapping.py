"""Mappings: which part of a source's record is which field of ours. The language of docs/FORMATS.md.

A mapping is JSON. Built-in formats are mappings too, so one engine reads everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from callbeam_io.formats import checks
from callbeam_io.formats.checks import fail
from transforms.errors import InputError
from transforms.schema import CALL_RESULTS, CALL_TYPES, RECORD_FIELDS

Column = str | int
"""A column by name (a path in JSON, ``$file`` for the file's name) or by position from 1."""

FILE: Final = "$file"
OTHERWISE: Final = "*"
NEEDED: Final = ("calling_number", "called_number", "start_time", "call_type", "call_result")
_WORDS: Final = {"call_type": CALL_TYPES, "call_result": CALL_RESULTS}


@dataclass(frozen=True)
class Source:
    """Where one field's text comes from and what is done to it, in this order.

    Attributes:
        columns: taken together with ``join`` between them; empty for a constant.
        constant: the same text for every record.
        match: pattern that the text must match, else there is no value; its first group is taken.
        values: words (lower case) and what they become; None = no value. A word not listed stays.
        other: what every word that is not listed becomes; None = it stays.
        prefix: put before the text.
        format: time pattern (strptime), ``iso`` or, for durations, ``hms``.
        unit: ``s ms us ns`` of an epoch, ``ms s min`` of a duration.
        zone: zone of the stamps; None: that of ``--timezone``.
        origin: moment from which seconds count, ISO 8601.
        local: column with the local time of the same moment (``YYYY-MM-DD HH:MM:SS``).
        comma: the decimal point is a comma.
    """

    columns: tuple[Column, ...] = ()
    join: str = " "
    constant: str | None = None
    match: str | None = None
    values: tuple[tuple[str, str | None], ...] = ()
    other: str | None = None
    prefix: str = ""
    format: str | None = None
    unit: str | None = None
    zone: str | None = None
    origin: str | None = None
    local: Column | None = None
    comma: bool = False


@dataclass(frozen=True)
class Only:
    """Records to keep: those whose column holds one of some words (lower case)."""

    column: Column
    values: tuple[str, ...]


@dataclass(frozen=True)
class Direction:
    """Which way a call went: parties change places where the column holds a word of ``incoming``.

    Where ``outgoing`` is given, a record with neither is bad. Words are in lower case.
    """

    column: Column
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Mapping:
    """How records are read. See docs/FORMATS.md for each part.

    Attributes:
        name: of the format, for messages.
        spec: the JSON that it was made of.
        fields: alternatives per record field; the first that gives a value counts.
        widths: least and most fields on a line; None: as many as in the header or on the first line.
    """

    name: str
    spec: dict[str, Any]
    fields: dict[str, tuple[Source, ...]]
    lines: str = "csv"
    separator: str = ","
    quote: str | None = '"'
    header: bool = True
    encoding: str = "utf-8"
    skip_lines: int = 0
    widths: tuple[int, int] | None = None
    strip: bool = True
    percent: bool = False
    only: Only | None = None
    direction: Direction | None = None

    def columns(self) -> list[Column]:
        """Every column that is used, without ``$file``, each once."""
        sources = [s for alternatives in self.fields.values() for s in alternatives]
        used: list[Column | None] = [c for s in sources for c in (*s.columns, s.local)]
        used += [part.column for part in (self.only, self.direction) if part is not None]
        return [c for c in dict.fromkeys(used) if c is not None and c != FILE]


def load_mapping(path: str) -> Mapping:
    """Reads a mapping file.

    Raises:
        InputError: it cannot be read, or a part of it cannot be; the message names the part.
    """
    try:
        spec = json.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"mapping file {path} cannot be read ({error.strerror})", "a JSON file") from error
    except ValueError as error:
        raise InputError(f"mapping file {path} is not JSON ({error})", "a JSON object") from error
    return make_mapping(Path(path).stem, spec, f"mapping file {path}: ")


def make_mapping(name: str, spec: dict[str, Any], where: str = "") -> Mapping:
    """Checks a mapping's JSON and gives it its shape.

    Args:
        name: of the format.
        spec: the JSON object.
        where: put before the path of whatever is wrong.

    Raises:
        InputError: something in it cannot be.
    """
    checks.known_keys(spec, _MAPPING_CHECKS, where or f"mapping {name}: ")
    parts = {key: check(spec[key], where + key) for key, check in _MAPPING_CHECKS.items() if key in spec}
    parts.pop("about", None)
    missing = [field for field in NEEDED if field not in parts.get("fields", {})]
    if missing:
        fail(f"{where}fields: {', '.join(missing)} missing", "a source for " + ", ".join(NEEDED))
    mapping = Mapping(name=name, spec=spec, **parts)
    _check_columns(mapping, where)
    return mapping


def _check_columns(mapping: Mapping, where: str) -> None:
    """Positions where there are no names, names where there are no positions."""
    for column in mapping.columns():
        if isinstance(column, int) and mapping.lines == "json":
            fail(f"{where}column {column} is a position", "keys, as lines are JSON objects")
        if isinstance(column, str) and mapping.lines == "csv" and not mapping.header:
            fail(f"{where}column {column!r} is a name", "positions from 1, as there is no header")
        if any(str(other).startswith(f"{column}.") for other in mapping.columns() if mapping.lines == "json"):
            fail(f"{where}column {column!r} is the beginning of another", "paths to values")


def _fields(value: Any, where: str) -> dict[str, tuple[Source, ...]]:
    checks.known_keys(value, RECORD_FIELDS, f"{where}.")
    return {field: _alternatives(field, v, f"{where}.{field}") for field, v in value.items()}


def _alternatives(field: str, value: Any, where: str) -> tuple[Source, ...]:
    several = value if isinstance(value, list) else [value]
    if not several or (field == "start_time" and len(several) > 1):
        fail(f"{where} has {len(several)} sources", "one" if field == "start_time" else "at least one")
    return tuple(
        _source(field, v, f"{where}[{i}]" if len(several) > 1 else where) for i, v in enumerate(several)
    )


def _source(field: str, value: Any, where: str) -> Source:
    if not isinstance(value, dict):
        return Source(columns=(checks.column(value, where),))
    checks.known_keys(value, _SOURCE_CHECKS, f"{where}.")
    parts = {
        key: check(value[key], f"{where}.{key}") for key, check in _SOURCE_CHECKS.items() if key in value
    }
    if sum(key in parts for key in ("column", "columns", "constant")) != 1:
        fail(f"{where} names no source, or several", "one of column, columns, constant")
    if "column" in parts:
        parts["columns"] = (parts.pop("column"),)
    if "values" in parts:
        parts["other"] = dict(parts["values"]).get(OTHERWISE)
        parts["values"] = tuple(pair for pair in parts["values"] if pair[0] != OTHERWISE)
    source = Source(**parts)
    _check_use(field, source, where)
    return source


def _check_use(field: str, source: Source, where: str) -> None:
    """What one field may have and another may not."""
    words = _WORDS.get(field, ())
    for word in (source.constant, source.other, *(new for _, new in source.values)):
        if words and word is not None and word.upper() not in words:
            fail(f"{where} gives {word!r}", f"one of {', '.join(words)}")
    for key in ("zone", "origin", "local"):
        if getattr(source, key) and field != "start_time":
            fail(f"{where}.{key} is for start_time only")
    if source.format or source.unit:
        if field not in ("start_time", "duration"):
            fail(f"{where}: format and unit are for start_time and duration only")
        checks.time_use(field, source.format, source.unit, where)
    if source.origin and not source.unit:
        fail(f"{where}.origin has no unit", "the unit of what counts from it (s, ms, us, ns)")
    if source.comma and field not in ("duration", "charge"):
        fail(f"{where}.comma is for duration and charge only")


def _values(value: Any, where: str) -> tuple[tuple[str, str | None], ...]:
    if not isinstance(value, dict) or not value:
        fail(f"{where} is {value!r}", 'an object of words, as {"-1": "NO_ANSWER"}')
    pairs = (
        (old.strip().lower(), None if new is None else checks.word(new, where)) for old, new in value.items()
    )
    return tuple(pairs)


def _only(value: Any, where: str) -> Only:
    checks.known_keys(value, ("column", "values"), f"{where}.", needed=("column", "values"))
    return Only(checks.column(value["column"], where), _lower(checks.words(value["values"], where)))


def _direction(value: Any, where: str) -> Direction:
    checks.known_keys(value, ("column", "in", "out"), f"{where}.", needed=("column", "in"))
    out = _lower(checks.words(value["out"], where)) if "out" in value else None
    return Direction(checks.column(value["column"], where), _lower(checks.words(value["in"], where)), out)


def _lower(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in words)


_SOURCE_CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "column": checks.column,
    "columns": checks.columns,
    "join": checks.text,
    "constant": checks.word,
    "match": checks.pattern,
    "values": _values,
    "prefix": checks.text,
    "format": checks.text,
    "unit": checks.text,
    "zone": checks.zone,
    "origin": checks.moment,
    "local": checks.column,
    "comma": checks.flag,
}
_MAPPING_CHECKS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "about": checks.text,
    "lines": checks.choice("csv", "json"),
    "separator": checks.character,
    "quote": checks.maybe(checks.character),
    "header": checks.flag,
    "encoding": checks.encoding,
    "skip_lines": checks.count,
    "widths": checks.widths,
    "strip": checks.flag,
    "percent": checks.flag,
    "fields": _fields,
    "only": _only,
    "direction": _direction,
}
