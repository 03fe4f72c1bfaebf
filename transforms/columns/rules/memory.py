"""What has to be remembered of rules from one call to the next: very little, as the interactions are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Bools, Ints, find, runs

NEVER: Final = np.iinfo(np.int64).min
Activation = tuple[int, int | None]
"""Version and ``active_from``: which activation of a rule is meant."""


@dataclass(frozen=True)
class RuleMemory:
    """What is remembered of one rule, over all its versions; rows in ascending order of ``codes``.

    Attributes:
        begun: the newest activation whose beginning has been decided; None: none yet.
        codes: the subscribers that there is something to remember of.
        last: second of the last firing kept, `NEVER` without one.
        count: firings kept.
        barred: by ``start: entering`` of the newest activation: from a rule that fires ``always`` until the
            condition has stopped holding, from one that fires once for good.
    """

    begun: Activation | None = None
    codes: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    last: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    count: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    barred: Bools = field(default_factory=lambda: np.empty(0, np.bool_))

    def of(self, codes: Ints) -> tuple[Ints, NDArray[np.int32], Bools]:
        """``last``, ``count`` and ``barred`` of these subscribers."""
        if not len(self.codes):
            return np.full(len(codes), NEVER), np.zeros(len(codes), np.int32), np.zeros(len(codes), np.bool_)
        row, there = find(self.codes, codes)
        return (
            np.where(there, self.last[row], NEVER),
            np.where(there, self.count[row], 0),
            there & self.barred[row],
        )

    def after(self, codes: Ints, seconds: Ints) -> RuleMemory:
        """With these firings added: ascending by subscriber and second, all after the ones before."""
        if not len(codes):
            return self
        first, row = runs(codes)
        merged = self._with_rows(codes[first])
        place = np.searchsorted(merged.codes, codes[first])
        merged.count[place] += np.bincount(row).astype(np.int32)
        merged.last[place] = seconds[np.append(first[1:], len(codes)) - 1]
        return merged

    def begin(self, activation: Activation, barred: Ints) -> RuleMemory:
        """With another activation begun, which bars these ascending subscribers."""
        freed = RuleMemory(activation, self.codes, self.last, self.count, np.zeros(len(self.codes), np.bool_))
        merged = freed._with_rows(barred)
        merged.barred[np.searchsorted(merged.codes, barred)] = True
        return merged

    def free(self, codes: Ints) -> RuleMemory:
        """With these subscribers, who have rows, barred no more."""
        if not len(codes):
            return self
        barred = self.barred.copy()
        barred[np.searchsorted(self.codes, codes)] = False
        return replace(self, barred=barred)

    def since(self, old: RuleMemory) -> RuleMemory:
        """The rows in which it differs from an earlier state of itself, under this activation."""
        last, count, barred = old.of(self.codes)
        new = (self.last != last) | (self.count != count) | (self.barred != barred)
        return RuleMemory(self.begun, self.codes[new], self.last[new], self.count[new], self.barred[new])

    def with_changes(self, changes: RuleMemory) -> RuleMemory:
        """The later state that `since` told the difference to."""
        merged = self._with_rows(changes.codes)
        row = np.searchsorted(merged.codes, changes.codes)
        merged.last[row], merged.count[row] = changes.last, changes.count
        merged.barred[row] = changes.barred
        return RuleMemory(changes.begun, merged.codes, merged.last, merged.count, merged.barred)

    def _with_rows(self, codes: Ints) -> RuleMemory:
        """A copy that has a row for each of these subscribers."""
        if not len(self.codes):
            return RuleMemory(self.begun, codes.copy(), *self.of(codes))
        new = codes[~find(self.codes, codes)[1]]
        at = np.searchsorted(self.codes, new)
        return RuleMemory(
            self.begun,
            np.insert(self.codes, at, new),
            np.insert(self.last, at, NEVER),
            np.insert(self.count, at, 0),
            np.insert(self.barred, at, False),
        )


@dataclass(frozen=True)
class Memory:
    """What is remembered of all rules, by rule_id."""

    rules: Mapping[str, RuleMemory] = field(default_factory=dict)

    def of(self, rule_id: str) -> RuleMemory:
        """What is remembered of one rule."""
        return self.rules.get(rule_id, RuleMemory())

    def replaced(self, changed: Mapping[str, RuleMemory]) -> Memory:
        """With these rules' memories in place of the old ones."""
        return Memory({**self.rules, **changed})

    def since(self, old: Memory) -> Memory:
        """What differs from an earlier state: of the rules that anything happened to, the rows that changed."""
        changed = {k: m for k, m in self.rules.items() if m is not old.rules.get(k)}
        return Memory({k: m.since(old.of(k)) for k, m in changed.items()})

    def with_changes(self, changes: Memory) -> Memory:
        """The later state that `since` told the difference to."""
        return self.replaced({k: self.of(k).with_changes(m) for k, m in changes.rules.items()})

    def to_arrow(self) -> pa.Table:
        """As an Arrow table, a row per rule that holds its columns as lists."""
        rows = [
            {
                "rule_id": rule_id,
                "version": None if m.begun is None else m.begun[0],
                "active_from": None if m.begun is None else m.begun[1],
                **{name: getattr(m, name) for name in _COLUMNS},
            }
            for rule_id, m in sorted(self.rules.items())
        ]
        return pa.Table.from_pylist(rows, schema=SCHEMA)


_COLUMNS: Final = ("codes", "last", "count", "barred")
SCHEMA: Final = pa.schema(
    [
        ("rule_id", pa.string()),
        ("version", pa.int64()),
        ("active_from", pa.int64()),
        ("codes", pa.large_list(pa.int64())),
        ("last", pa.large_list(pa.int64())),
        ("count", pa.large_list(pa.int32())),
        ("barred", pa.large_list(pa.bool_())),
    ]
)
"""The Arrow shape of a memory."""


def memory_from_arrow(table: pa.Table) -> Memory:
    """A memory from `Memory.to_arrow`."""
    rules = {}
    for k, row in enumerate(table.select(["rule_id", "version", "active_from"]).to_pylist()):
        begun = None if row["version"] is None else (row["version"], row["active_from"])
        columns = (table.column(n)[k].values.to_numpy(zero_copy_only=False) for n in _COLUMNS)
        rules[row["rule_id"]] = RuleMemory(begun, *columns)
    return Memory(rules)
