"""Checks of the parts of a mapping. Each takes a value and its path and gives the value back, or fails."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

import polars as pl

from transforms.errors import InputError

_UNITS: Final = {"start_time": ("s", "ms", "us", "ns"), "duration": ("ms", "s", "min")}
_SAMPLES: Final = (datetime(2024, 2, 5, 13, 4, 9), datetime(2031, 11, 28, 0, 50, 0))
_DIRECTIVES: Final = "aAbBdemyYHIMSpfzj"


def fail(what: str, expected: str = "") -> NoReturn:
    """Raises the InputError of a mapping."""
    raise InputError(what, expected, "docs/FORMATS.md describes mapping files")


def known_keys(value: Any, known: Collection[str], where: str, needed: Collection[str] = ()) -> None:
    """The value is an object with no other keys than these."""
    if not isinstance(value, dict):
        fail(f"{where.rstrip('.: ')} is {_shown(value)}", "a JSON object")
    for key in value:
        if key not in known:
            fail(f"{where}{key} is not known", f"one of {', '.join(known)}")
    for key in needed:
        if key not in value:
            fail(f"{where}{key} is missing")


def text(value: Any, where: str) -> str:
    """Any text."""
    if not isinstance(value, str):
        fail(f"{where} is {_shown(value)}", "text")
    return value


def word(value: Any, where: str) -> str:
    """Text, or a whole number that stands for it."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value, where)


def words(value: Any, where: str) -> list[str]:
    """A list of words, at least one."""
    if not isinstance(value, list) or not value:
        fail(f"{where} is {_shown(value)}", "a list of words")
    return [word(v, where) for v in value]


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        fail(f"{where} is {_shown(value)}", "true or false")
    return value


def count(value: Any, where: str) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        fail(f"{where} is {_shown(value)}", "a whole number, 0 or more")
    return value


def column(value: Any, where: str) -> str | int:
    """A column's name or its position from 1."""
    named = isinstance(value, str) and value != ""
    placed = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not named and not placed:
        fail(f"{where} is {_shown(value)}", "a column's name or its position from 1")
    return value


def columns(value: Any, where: str) -> tuple[str | int, ...]:
    """A list of columns, at least one."""
    if not isinstance(value, list) or not value:
        fail(f"{where} is {_shown(value)}", "a list of columns")
    return tuple(column(v, where) for v in value)


def widths(value: Any, where: str) -> tuple[int, int]:
    """A number of fields, or a list of the least and the most."""
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair) or pair[0] > pair[1]:
        fail(f"{where} is {_shown(value)}", "a number of fields, or [least, most]")
    return pair[0], pair[1]


def character(value: Any, where: str) -> str:
    """One ASCII character that ends no line."""
    if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n":
        fail(f"{where} is {_shown(value)}", "one ASCII character")
    return value


def maybe(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """The same check for a value that may be null."""
    return lambda value, where: None if value is None else check(value, where)


def choice(*known: str) -> Callable[[Any, str], str]:
    """One of some words."""

    def check(value: Any, where: str) -> str:
        if value not in known:
            fail(f"{where} is {_shown(value)}", f"one of {', '.join(known)}")
        return str(value)

    return check


def encoding(value: Any, where: str) -> str:
    """An encoding that keeps line ends and separators where ASCII has them."""
    try:
        name = codecs.lookup(text(value, where)).name
        ascii_kept = bytes(range(128)).decode(name) == "".join(map(chr, range(128)))
    except (LookupError, UnicodeDecodeError):
        ascii_kept = False
    if not ascii_kept:
        fail(f"{where} is {_shown(value)}", "utf-8 or a single-byte encoding, as cp1252 or latin-1")
    return name


def pattern(value: Any, where: str) -> str:
    """A regular expression of Rust's crate regex (no look-around)."""
    try:
        re.compile(text(value, where))
        pl.Series([""]).str.extract(value, 0)
    except (re.error, pl.exceptions.PolarsError):
        fail(f"{where} is {_shown(value)}", "a regular expression without look-around")
    return str(value)


def zone(value: Any, where: str) -> str:
    """A zone of the IANA database."""
    try:
        return ZoneInfo(text(value, where)).key
    except (KeyError, ValueError, OSError):
        fail(f"{where} is {_shown(value)}", "a zone's name, as Europe/Berlin or UTC")


def moment(value: Any, where: str) -> str:
    """An ISO 8601 time with a date."""
    try:
        datetime.fromisoformat(text(value, where))
    except ValueError:
        fail(f"{where} is {_shown(value)}", "a time as 2024-02-05T00:00:00 or 2024-02-05T00:00:00+01:00")
    return str(value)


def time_use(field: str, layout: str | None, unit: str | None, where: str) -> None:
    """A field's format or unit is one that the field can have."""
    if layout and unit:
        fail(f"{where} has both a format and a unit", "one of them")
    if unit and unit not in _UNITS[field]:
        fail(f"{where}.unit is {unit!r}", f"one of {', '.join(_UNITS[field])}")
    if layout and field == "duration" and layout != "hms":
        fail(f"{where}.format is {layout!r}", "hms, or a unit")
    if layout and field == "start_time" and layout != "iso":
        _time_pattern(layout, f"{where}.format")


def _time_pattern(layout: str, where: str) -> None:
    """The pattern finds date and time again in what Python writes with it."""
    from callbeam_io.formats.stamps import parse_pattern

    used = re.findall(r"%(.)", layout)
    unknown = [d for d in used if d not in _DIRECTIVES]
    if unknown:
        fail(f"{where} has %{unknown[0]}", "of " + " ".join(f"%{d}" for d in _DIRECTIVES))
    if re.search(r"(?<!\.)%f", layout):
        fail(f"{where} has %f without a point before it", "fractions as .%f")
    if not (
        {"y", "Y"} & set(used) and (({"d", "e"} & set(used) and {"m", "b", "B"} & set(used)) or "j" in used)
    ):
        fail(f"{where} is {layout!r}", "a pattern with year, month and day, as %d.%m.%Y %H:%M:%S")
    for sample in _SAMPLES:
        written = sample.strftime(layout.replace("%e", "%d").replace("%z", "+0000"))
        read = pl.select(parse_pattern(pl.lit(written), layout)).item()
        if read is None or read.date() != sample.date():
            fail(f"{where} is {layout!r}, which does not read {written!r}", "a pattern as %d.%m.%Y %H:%M:%S")


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:60]
