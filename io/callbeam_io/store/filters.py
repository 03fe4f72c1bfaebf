"""From ``where``, ``order_by`` and ``after`` of a read to SQL that gives the same rows on every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, and_, false, or_, tuple_

Condition = Any
"""A value (None: is null), or a tuple of an operator and its operand."""

_OPERATORS: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: (
        column.is_not(None) if value is None else or_(column != value, column.is_(None))
    ),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "in": lambda column, value: column.in_(list(value)),
    "between": lambda column, value: column.between(*value),
    "prefix": lambda column, value: and_(column >= value, column < value + chr(0x10FFFF)),
}


def column_named(table: Table, name: str) -> Column[Any]:
    """A column of a table; ValueError names the ones that there are."""
    if name not in table.c:
        raise ValueError(f"no column {name!r} in {table.name}. There are: {', '.join(table.c.keys())}")
    return table.c[name]


def conditions(table: Table, where: Mapping[str, Condition]) -> list[ColumnElement[bool]]:
    """One condition per column, all of which must hold.

    Operators: ``= != < <= > >=``, ``in`` with a list, ``between`` with two values (both included), ``prefix``
    with the beginning of a text. ``!=`` holds for null, the others do not. ValueError: no such operator.
    """
    return [_condition(column_named(table, name), wanted) for name, wanted in where.items()]


def _condition(column: Column[Any], wanted: Condition) -> ColumnElement[bool]:
    operator, value = wanted if isinstance(wanted, tuple) else ("=", wanted)
    if operator not in _OPERATORS:
        raise ValueError(f"operator {operator!r} on {column.name}: expected one of {' '.join(_OPERATORS)}")
    return _OPERATORS[operator](column, value)


def order(table: Table, order_by: str | Sequence[str] | None) -> list[tuple[Column[Any], bool]]:
    """Columns to sort by and whether each descends; the key columns follow, so that the order is complete.

    ``-calls`` descends. Null comes last either way. Rows are read of one run: run_id sorts only runs.
    """
    names = [order_by] if isinstance(order_by, str) else list(order_by or ())
    wanted = [(column_named(table, n.removeprefix("-")), n.startswith("-")) for n in names]
    given = {column.name for column, _ in wanted} | ({"run_id"} if table.name != "runs" else set())
    return wanted + [(c, False) for c in table.primary_key.columns if c.name not in given]


def sorting(columns: Sequence[tuple[Column[Any], bool]]) -> list[ColumnElement[Any]]:
    """The ORDER BY of `order`; key columns are never null, and keep their index when it is not mentioned."""
    return [_sorted(column, down) for column, down in columns]


def _sorted(column: Column[Any], down: bool) -> ColumnElement[Any]:
    direction = column.desc() if down else column.asc()
    return direction if column.primary_key else direction.nulls_last()


def beyond(columns: Sequence[tuple[Column[Any], bool]], row: Mapping[str, Any]) -> ColumnElement[bool]:
    """Holds for the rows that come after this one in the order of `order`."""
    if all(
        column.primary_key and not down for column, down in columns
    ):  # in this form the key's index serves
        return tuple_(*(c for c, _ in columns)) > tuple_(*(row[c.name] for c, _ in columns))
    same: list[ColumnElement[bool]] = []
    further: list[ColumnElement[bool]] = []
    for column, down in columns:
        value = row[column.name]
        further.append(and_(*same, _further(column, down, value)))
        same.append(column == value)
    return or_(*further)


def _further(column: Column[Any], down: bool, value: Any) -> ColumnElement[bool]:
    if value is None:
        return false()  # null is the last of all
    after = column < value if down else column > value
    return after if column.primary_key else or_(after, column.is_(None))
