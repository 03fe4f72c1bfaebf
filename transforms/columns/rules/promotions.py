"""Promotions: the rows that firings become, and what is told of them in summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.outcomes import OUTCOMES, SOLD_OUT
from transforms.rules.language import ActiveRule

SCHEMA: Final = pa.schema(
    [
        ("rule_id", pa.string()),
        ("subscriber", pa.string()),
        ("decided_at", pa.timestamp("us")),
        ("rule_version", pa.int64()),
        ("offer_code", pa.string()),
        ("outcome", pa.string()),
        ("features", pa.string()),
        ("contact_at", pa.timestamp("us")),
    ]
)
"""Columns of promotions but for the run; times are UTC."""
MICRO: Final = 1_000_000


def promotions(
    firings: Firings,
    rules: Sequence[ActiveRule],
    outcome: NDArray[np.uint8],
    contact_at: Ints,
    texts: pa.StringArray,
) -> pa.Table:
    """The rows of firings.

    Args:
        firings: of this list of ``rules``.
        outcome: positions in `OUTCOMES`.
        contact_at: seconds.
        texts: the subscribers as texts.
    """
    position = pa.array(firings.rule)

    def of_rule(values: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(position)

    columns = [
        of_rule([r.rule.rule_id for r in rules], pa.string()),
        texts,
        _stamps(firings.decided_at),
        of_rule([r.version for r in rules], pa.int64()),
        of_rule([r.rule.offer.code for r in rules], pa.string()),
        pa.array(OUTCOMES, pa.string()).take(pa.array(outcome)),
        firings.features,
        _stamps(contact_at),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _stamps(seconds: Ints) -> pa.Array:
    return pa.array(seconds * MICRO).cast(pa.timestamp("us"))


def apply_max_total(
    rows: pa.Table,
    limits: Mapping[tuple[str, int], int | None],
    offered: Mapping[str, int],
    given: pa.Table | None = None,
) -> tuple[pa.Table, dict[str, int]]:
    """Marks the promotions beyond a rule's ``max_total`` as sold out.

    Args:
        rows: promotions of whole pane ends, of all shards, all later than those that are counted already.
        limits: ``max_total`` by rule_id and version.
        offered: how many of each rule_id have been offered so far, over all versions.
        given: ``rule_id, subscriber, decided_at`` of some that ``offered`` counts already: it is these again.

    Returns:
        The rows in order of pane end, subscriber and rule, and the new numbers of offered ones.
    """
    rows = rows.sort_by([("decided_at", "ascending"), ("subscriber", "ascending"), ("rule_id", "ascending")])
    outcome = rows.column("outcome").combine_chunks().dictionary_encode()
    names = outcome.dictionary.to_pylist()
    taken = outcome.indices.to_numpy(zero_copy_only=False) == (
        names.index("offered") if "offered" in names else -1
    )
    if given is not None and given.num_rows:
        taken &= ~_among(rows, given)
    rule = rows.column("rule_id").to_numpy(zero_copy_only=False)
    version = rows.column("rule_version").to_numpy()
    sold_out, count = np.zeros(rows.num_rows, np.bool_), dict(offered)
    for rule_id in np.unique(rule[taken]).tolist():
        mine = np.flatnonzero(taken & (rule == rule_id))
        edges = [0, *(np.flatnonzero(np.diff(version[mine])) + 1).tolist(), len(mine)]
        for first, end in pairwise(edges):
            limit = limits.get((rule_id, int(version[mine[first]])))
            left = end - first if limit is None else max(min(limit - count.get(rule_id, 0), end - first), 0)
            sold_out[mine[first + left : end]] = True
            count[rule_id] = count.get(rule_id, 0) + left
    texts = np.where(sold_out, OUTCOMES[SOLD_OUT], rows.column("outcome").to_numpy(zero_copy_only=False))
    return rows.set_column(
        rows.schema.get_field_index("outcome"), SCHEMA.field("outcome"), pa.array(texts, pa.string())
    ), count


def _among(rows: pa.Table, given: pa.Table) -> NDArray[np.bool_]:
    """Which promotions are those of a table of their keys."""
    numbered = pl.DataFrame(pl.from_arrow(rows.select(given.column_names))).with_row_index()
    found = numbered.join(pl.DataFrame(pl.from_arrow(given)), on=given.column_names, how="semi")["index"]
    mask = np.zeros(rows.num_rows, np.bool_)
    mask[found.to_numpy()] = True
    return mask
