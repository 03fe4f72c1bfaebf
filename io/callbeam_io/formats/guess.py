"""A mapping to begin with, for a file of no known format: guessed by its first lines, to be corrected by somebody."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from callbeam_io.formats.base import Head

_HINTS: Final = {
    "start_time": ("start", "time", "date", "begin", "stamp"),
    "calling_number": ("calling", "caller", "src", "from", "a_number", "anumber", "origin", "msisdn"),
    "called_number": ("called", "callee", "dst", "to", "b_number", "bnumber", "dest", "other"),
    "duration": ("duration", "billsec", "sec", "dur"),
    "call_type": ("call_type", "type", "service"),
    "call_result": ("result", "disposition", "status", "cause"),
    "charge": ("charge", "cost", "price", "amount"),
    "account_id": ("account",),
    "id": ("id", "uuid"),
}
"""Parts of names that say what a column holds, per field, the surest first."""
_CONSTANTS: Final = {"call_type": "VOICE", "call_result": "ANSWERED"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_NUMBER: Final = re.compile(r"\+?\d{6,15}")
_KIND: Final = re.compile("VOICE|SMS", re.IGNORECASE)
_RESULT: Final = re.compile("ANSWERED|BUSY|NO_ANSWER|FAILED", re.IGNORECASE)
_LOOKS: Final = (
    ("start_time", _TIME.match),
    ("calling_number", _NUMBER.match),
    ("called_number", _NUMBER.match),
    ("call_type", _KIND.fullmatch),
    ("call_result", _RESULT.fullmatch),
)
"""What the values of a field look like."""
_DIGIT: Final = re.compile(r"\d")
SEPARATORS: Final = (",", ";", "|", "\t")


def columns_of(head: Head, separator: str = "", header: bool | None = None) -> list[tuple[str | int, str]]:
    """The columns of a file: name, or position from 1 where there are no names, with an example of its values."""
    rows = head.rows(separator or separator_of(head))
    if not rows:
        return []
    named = has_header(rows) if header is None else header
    example = rows[1] if named and len(rows) > 1 else rows[0]
    keys: Sequence[str | int] = rows[0] if named else range(1, len(rows[0]) + 1)
    return list(zip(keys, [*example, *[""] * len(rows[0])], strict=False))


def separator_of(head: Head) -> str:
    """The separator that splits the first line into most fields."""
    return max(SEPARATORS, key=lambda s: len(head.rows(s)[0]) if head.lines else 0)


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names the columns: every field begins with no digit or plus sign, and none is empty."""
    return bool(rows) and all(f and not _DIGIT.match(f.lstrip("+-")) for f in rows[0])


def starter(head: Head) -> dict[str, Any]:
    """The JSON of a mapping that may be right; what no column seems to hold gets a constant or the first column."""
    if head.lines and head.lines[0].lstrip().startswith("{"):
        return {"lines": "json", "fields": _by_names(_keys(head.lines[0]))}
    separator = separator_of(head)
    found = columns_of(head, separator)
    named = [name for name, _ in found if isinstance(name, str)]
    spec: dict[str, Any] = {"separator": separator} if separator != "," else {}
    if named:
        return {**spec, "fields": _by_names(named, [value for _, value in found])}
    return {**spec, "header": False, "fields": _by_values([value for _, value in found])}


def _keys(line: str) -> list[str]:
    try:
        found = json.loads(line)
    except ValueError:
        return []
    return list(found) if isinstance(found, dict) else []


def _by_names(names: Sequence[str], values: Sequence[str] = ()) -> dict[str, Any]:
    """By what the columns are called; what no name gives away by an example of its values."""
    found: dict[str, Any] = {}
    for field, hints in _HINTS.items():
        free = [n for n in names if n not in found.values()]
        hit = next((n for hint in hints for n in free if hint in n.lower()), None)
        if hit is not None:
            found[field] = hit
    examples = dict(zip(names, values, strict=False))
    for field, looks in _LOOKS:
        free = [n for n in names if n not in found.values() and looks(examples.get(n, ""))]
        if field not in found and free:
            found[field] = free[0]
    return _filled(found, names[0] if names else "?")


def _by_values(values: Sequence[str]) -> dict[str, Any]:
    numbers = [i for i, v in enumerate(values, 1) if _NUMBER.fullmatch(v)]
    times = [i for i, v in enumerate(values, 1) if _TIME.match(v)]
    found: dict[str, Any] = dict(zip(("calling_number", "called_number"), numbers, strict=False))
    if times:
        found["start_time"] = times[0]
    for field, looks in _LOOKS[3:]:
        if fitting := [i for i, v in enumerate(values, 1) if looks(v)]:
            found[field] = fitting[0]
    return _filled(found, 1)


def _filled(found: dict[str, Any], first: str | int) -> dict[str, Any]:
    """All that a mapping needs."""
    needed = {field: found.get(field, first) for field in ("calling_number", "called_number", "start_time")}
    kinds = {field: found.get(field, {"constant": word}) for field, word in _CONSTANTS.items()}
    return {**found, **needed, **kinds}
