"""Firings as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Bools, Ints


@dataclass(frozen=True)
class Firings:
    """Firings column by column, in order of pane end, subscriber and rule.

    Attributes:
        rule: position in the list of rules.
        subscriber: party code.
        decided_at: second of the pane end.
        features: JSON text, condition path -> value.
    """

    rule: NDArray[np.int32]
    subscriber: Ints
    decided_at: Ints
    features: pa.StringArray

    def __len__(self) -> int:
        return len(self.rule)

    def take(self, rows: Ints | Bools) -> Firings:
        """The firings at these positions or of this mask."""
        position = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns = (self.rule[position], self.subscriber[position], self.decided_at[position])
        return Firings(*columns, self.features.take(pa.array(position)))


def gather(parts: Sequence[Firings]) -> Firings:
    """All firings of several sets of them, in order."""
    if not parts:
        none = np.empty(0, np.int64)
        return Firings(none.astype(np.int32), none, none, pa.array([], pa.string()))
    rule, subscriber, decided_at = (
        np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Firings)[:3]
    )
    order = np.lexsort((rule, subscriber, decided_at))
    return Firings(rule, subscriber, decided_at, pa.concat_arrays([p.features for p in parts])).take(order)
