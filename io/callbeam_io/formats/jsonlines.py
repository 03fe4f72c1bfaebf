"""Lines of JSON objects to tables of text."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from callbeam_io.formats.base import Table
from callbeam_io.formats.lines import SPOILT, Lines, split_lines, spoilt_lines

_FEW: Final = 512  # lines that are looked at one by one to find those that spoil the rest
_NOT_JSON: Final = "not a JSON object"
_KINDS: Final = {dict: "an object", list: "a list", bool: "true or false"}


def read_json_lines(data: bytes, paths: tuple[str, ...]) -> Table:
    """Reads a block of lines, one JSON object each.

    Args:
        data: whole lines.
        paths: what to take of each object: keys, or keys and positions joined by dots (``a.0.b``).

    Returns:
        One record per line that is not empty, in order, numbers as text; what is missing is null. Lines that
        are no object, and those that hold an object, a list, true or false where a value is taken, as faults.
    """
    lines = split_lines(data)
    keep = lines.ends > lines.starts
    index = None if keep.all() else np.flatnonzero(keep)
    lines = lines if index is None else lines.take(keep)
    faults: list[str | None] = [None] * lines.count
    spoilt = spoilt_lines(lines)
    good = np.ones(lines.count, np.bool_) if spoilt is None else ~spoilt
    for row in np.flatnonzero(~good):
        faults[row] = SPOILT
    rows = np.flatnonzero(good)
    parts = _parsed(lines, rows, paths, faults)
    frame = _in_place(parts, lines.count, paths)
    _find_odd_values(frame, lines, paths, faults)
    told = pl.Series(faults, dtype=pl.String)
    return Table(frame, lines, index, told if told.null_count() < len(told) else None)


def dig(value: Any, path: str) -> Any:
    """What an object holds at a path, None where it holds nothing."""
    for key in path.split("."):
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def one_line_each(data: bytes) -> bytes:
    """A document that is one object, or a list of objects, as lines; as it stands where it is neither."""
    try:
        whole = json.loads(data)
    except ValueError:
        return data
    objects = whole if isinstance(whole, list) else [whole]
    return b"".join(json.dumps(o, ensure_ascii=False).encode() + b"\n" for o in objects)


_Part = tuple[NDArray[np.int64], pl.DataFrame]


def _parsed(
    lines: Lines, rows: NDArray[np.int64], paths: tuple[str, ...], faults: list[str | None]
) -> list[_Part]:
    """Tables of the rows that can be read; halves what cannot until the culprits are found."""
    if not len(rows):
        return []
    text = b"\n".join(lines.line(int(r)) for r in rows) if len(rows) < lines.count else lines.data
    frame = _read(text, paths)
    if frame is not None and frame.height == len(rows):
        return [(rows, frame)]
    if len(rows) == 1:
        faults[rows[0]] = _NOT_JSON
        return []
    if len(rows) <= _FEW:
        objects = np.array([_is_object(lines.line(int(r))) for r in rows])
        for row in rows[~objects]:
            faults[row] = _NOT_JSON
        if not objects.all():
            return _parsed(lines, rows[objects], paths, faults)
    half = len(rows) // 2
    return _parsed(lines, rows[:half], paths, faults) + _parsed(lines, rows[half:], paths, faults)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _read(text: bytes, paths: tuple[str, ...]) -> pl.DataFrame | None:
    """The values at the paths; None where some line cannot be read."""
    tree: dict[str, Any] = {}
    for path in paths:
        branch = tree
        for key in path.split("."):
            branch = branch.setdefault(key, {})
    try:
        frame = pl.read_ndjson(text, schema={key: _type(branch) for key, branch in tree.items()})
        return frame.select(_value(path).alias(path) for path in paths)
    except pl.exceptions.PolarsError:
        return None


def _type(branch: dict[str, Any]) -> Any:
    """The Polars type of what is taken below a key."""
    if not branch:
        return pl.String
    if all(key.isdigit() for key in branch):
        return pl.List(_type({k: v for inner in branch.values() for k, v in inner.items()}))
    return pl.Struct({key: _type(inner) for key, inner in branch.items()})


def _value(path: str) -> pl.Expr:
    first, *rest = path.split(".")
    value = pl.col(first)
    for key in rest:
        value = value.list.get(int(key), null_on_oob=True) if key.isdigit() else value.struct.field(key)
    return value


def _in_place(parts: list[_Part], count: int, paths: tuple[str, ...]) -> pl.DataFrame:
    """The parts at the places of their lines, the rest empty."""
    schema = dict.fromkeys(paths, pl.String)
    if len(parts) == 1 and len(parts[0][0]) == count:
        return parts[0][1]
    places = np.full(count, -1, np.int64)
    found = np.concatenate([rows for rows, _ in parts]) if parts else np.empty(0, np.int64)
    places[found] = np.arange(len(found))
    frame = pl.concat([pl.DataFrame(schema=schema), *(frame for _, frame in parts)])
    return frame.select(pl.all().gather(pl.lit(pl.Series(places).replace(-1, None))))


def _find_odd_values(
    frame: pl.DataFrame, lines: Lines, paths: tuple[str, ...], faults: list[str | None]
) -> None:
    """Marks records whose value is no text and no number; Polars gives those as their JSON."""
    for path in paths:
        column = frame[path]
        doubtful = column.str.contains(r"^[\[{]") | column.is_in(["true", "false"])
        for row in np.flatnonzero(doubtful.fill_null(value=False).to_numpy()):
            kind = _KINDS.get(type(dig(json.loads(lines.line(int(row))), path)))
            if kind is not None and faults[row] is None:
                faults[row] = f"{path} is {kind}, not text or a number"
        if b"\\u0000" in lines.data:
            for row in np.flatnonzero(
                column.str.contains("\0", literal=True).fill_null(value=False).to_numpy()
            ):
                faults[row] = f"{path} holds a NUL"
