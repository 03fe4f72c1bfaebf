"""The values of conditions at given pane ends, and the texts that promotions keep of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns.rules.arrays import Ints, chunks, distinct, expand
from transforms.columns.rules.modes import categories, older_counts
from transforms.columns.rules.plan import MICRO, Leaf
from transforms.columns.rules.table import Table

_ROWS: Final = 1 << 21  # interactions looked at in one go


def measure(table: Table, leaf: Leaf, subscriber: Ints, end: Ints) -> Ints:
    """A condition's value for subscribers (positions) at pane ends (of the table's clock).

    Returns:
        Whole numbers: counts, seconds, millionths of charge, positions of profiles (-1: none) and regions.
    """
    if leaf.family == "own":
        return table.own_region[subscriber].astype(np.int64)
    numbers = table.numbers(leaf.filter)
    base = subscriber * table.clock.stride
    since = base - 1 if leaf.panes is None else base + end - min(leaf.panes, table.clock.widest)
    first = np.searchsorted(numbers, since, "right")
    last = np.searchsorted(numbers, base + end, "right")
    if leaf.family == "count":
        return last - first
    if leaf.family == "sum":
        totals = table.totals(leaf.filter)
        return totals[last] - totals[first]
    result = np.empty(len(subscriber), np.int64)
    of_part = _distinct if leaf.family == "distinct" else _mode
    for part in chunks(last - first + max(leaf.width, 1), _ROWS):
        result[part] = of_part(table, leaf, first[part], (last - first)[part], subscriber[part])
    return result


def _distinct(table: Table, leaf: Leaf, first: Ints, count: Ints, subscriber: Ints) -> Ints:
    rows = table.select(leaf.filter)
    which, position = expand(first, count)
    value, size = table.dense(leaf.column, position if rows is None else rows[position])
    pairs = distinct(which * size + value)
    return np.bincount(pairs // size, minlength=len(first))


def _mode(table: Table, leaf: Leaf, first: Ints, count: Ints, subscriber: Ints) -> Ints:
    which, position = expand(first, count)
    cells = which * leaf.width + categories(table, leaf)[position]
    counts = np.bincount(cells, minlength=len(first) * leaf.width).reshape(-1, leaf.width).astype(np.int64)
    older = older_counts(table, leaf, subscriber)
    if older is not None:
        counts += older
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def value_of(leaf: Leaf, measured: int) -> int | float | str | None:
    """A measured value as people read it: a name, an amount of charge, a number, None for no profile."""
    if measured < 0:
        return None
    if leaf.names is not None:
        return leaf.names[measured]
    return measured / MICRO if leaf.condition.field == "charge" else measured


def json_texts(leaf: Leaf, measured: Ints) -> pa.Array:
    """Measured values as JSON texts."""
    if leaf.names is not None or leaf.family == "profile":
        names = leaf.names if leaf.names is not None else tuple(range(leaf.width))
        texts = pa.array([*(json.dumps(n) for n in names), "null"], pa.string())
        return texts.take(pa.array(np.where(measured < 0, len(names), measured)))
    if leaf.condition.field != "charge":
        return pa.array(measured).cast(pa.string())
    whole = pa.array(measured // MICRO).cast(pa.string())
    rest = pc.utf8_lpad(pa.array(measured % MICRO).cast(pa.string()), 6, "0")
    exact = pc.binary_join_element_wise(whole, rest, ".")
    return pc.replace_substring_regex(exact, r"\\.?0+$", "")


def features(table: Table, leaves: Sequence[Leaf], subscriber: Ints, end: Ints) -> pa.StringArray:
    """JSON texts ``{"when.rules[0]": 3, …}`` of all conditions' values."""
    parts: list[Any] = []
    for k, leaf in enumerate(leaves):
        parts.append(pa.scalar(f"{', ' if k else '{'}{json.dumps(leaf.path)}: "))
        parts.append(json_texts(leaf, measure(table, leaf, subscriber, end)))
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), pa.scalar("")).cast(pa.string())
