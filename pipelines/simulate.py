"""A rule tried on history: what a batch run over the same records would make of it, before it is switched on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from callbeam_io.inputs import Block, Plan, read_block
from callbeam_io.kept import KeptRecords
from pipelines.shard_threads import on_threads
from transforms.columns.clean import CleanSettings, clean
from transforms.columns.decisions import (
    RuleBook,
    RuleSettings,
    context_of,
    decide_batch,
    first_pane_end_after,
)
from transforms.columns.dedup import distinct_records
from transforms.columns.directory import BusinessTypes, Directory
from transforms.columns.hashing import shard_of
from transforms.columns.records import Records, concat, from_batches
from transforms.columns.rules.explain import ConditionValue, explain, holds
from transforms.columns.rules.interactions import from_records
from transforms.columns.rules.promotions import SCHEMA, apply_max_total
from transforms.columns.rules.summary import Summary, summarise
from transforms.errors import RunError
from transforms.rules.language import ActiveRule, Rule
from transforms.schema import SHARDS


@dataclass(frozen=True)
class History:
    """Distinct records to try rules on, by shard: all records of a subscriber are in one.

    Attributes:
        shards: those that have records.
        read, rejected, duplicates: records that were read, and those of them left out.
    """

    shards: tuple[Records, ...]
    read: int
    rejected: int
    duplicates: int

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(len(s) for s in self.shards)

    @property
    def first(self) -> int:
        """Second of the first one; 0 without any."""
        return min((int(s.seconds.min()) for s in self.shards), default=0)

    @property
    def last(self) -> int:
        """Second of the last one; 0 without any."""
        return max((int(s.seconds.max()) for s in self.shards), default=0)


def read_inputs(plan: Plan, settings: CleanSettings, directory: Directory) -> History:
    """The records of files, cleaned and without duplicates, exactly as a batch run takes them in."""
    parts: list[list[Records]] = [[] for _ in range(SHARDS)]
    read = rejected = 0
    for found, rows, bad in on_threads(partial(_read, settings, directory), plan.blocks):
        read, rejected = read + rows, rejected + bad
        for shard, records in found:
            parts[shard].append(records)
    shards = list(on_threads(_joined, parts))
    kept = tuple(s for s in shards if len(s))
    return History(kept, read, rejected, read - rejected - sum(len(s) for s in kept))


def _read(
    settings: CleanSettings, directory: Directory, block: Block
) -> tuple[list[tuple[int, Records]], int, int]:
    """One block's records by shard, how many were read, how many were rejected."""
    found, read, rejected = [], 0, 0
    for batch in read_block(block):
        cleaned = clean(batch, settings, directory)
        found += list(_by_shard(cleaned.records))
        read, rejected = read + batch.num_rows, rejected + len(cleaned.bad_rows)
    return found, read, rejected


def _by_shard(records: Records) -> Iterator[tuple[int, Records]]:
    shard = shard_of(records.caller, SHARDS)
    order = np.argsort(shard, kind="stable")
    ends = np.cumsum(np.bincount(shard, minlength=SHARDS))
    for k, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            yield k, records.take(rows)


def _joined(parts: list[Records]) -> Records:
    """The distinct records of parts, which are let go."""
    records = concat(parts) if parts else from_batches([])
    parts.clear()
    return distinct_records(records).records


def read_kept(kept: KeptRecords, files: Sequence[dict[str, Any]]) -> History:
    """The records that a run kept, see the table ``record_files``.

    Raises:
        RunError: a file is not there or damaged.
    """
    by_shard: dict[int, list[str]] = {}
    for row in sorted(files, key=lambda f: (f["shard"], f["seq"], f["path"])):
        by_shard.setdefault(row["shard"], []).append(row["path"])

    def shard(paths: list[str]) -> Records:
        try:
            table = kept.read(paths)
        except (OSError, pa.ArrowException) as error:
            raise RunError(kept.unreadable(error)) from error
        return from_batches([] if table is None else table.to_batches())

    shards = list(on_threads(shard, list(by_shard.values())))
    return History(tuple(s for s in shards if len(s)), sum(len(s) for s in shards), 0, 0)


def promotions_of(history: History, book: RuleBook, settings: RuleSettings, types: BusinessTypes) -> pa.Table:
    """All promotions that a batch run with these rules makes of the history, in order of pane end."""
    decide = partial(_decide, history.last, book, settings, types)
    tables = [t for t in on_threads(decide, history.shards) if t is not None]
    if not tables:
        return SCHEMA.empty_table()
    return apply_max_total(pa.concat_tables(tables), book.limits, {})[0]


def _decide(
    last: int, book: RuleBook, settings: RuleSettings, types: BusinessTypes, records: Records
) -> pa.Table | None:
    return decide_batch(records, last, book, settings, types)


def with_rules(others: Sequence[ActiveRule], new: Sequence[ActiveRule]) -> tuple[ActiveRule, ...]:
    """The rules that are on once the new ones are saved and switched on."""
    replaced = {active.rule.rule_id for active in new}
    return (*(other for other in others if other.rule.rule_id not in replaced), *new)


def summary_of(rows: pa.Table, rule_id: str, others: Sequence[str] = ()) -> Summary:
    """What one rule's share of some promotions comes to, and how many subscribers it shares with others."""
    mine = pc.equal(rows.column("rule_id"), rule_id)
    rest = rows.select(["rule_id", "subscriber"]).filter(pc.invert(mine))
    found = summarise(rows.filter(mine), rest)
    overlap = {other: found.overlap.get(other, 0) for other in others if other != rule_id}
    return Summary(found.subscribers, found.firings, found.by_outcome, found.per_day, overlap, found.examples)


@dataclass(frozen=True)
class Why:
    """Why a rule holds or does not hold for a subscriber at second ``at``.

    Attributes:
        at: the last pane end of the history.
        known: whether there is a record of the subscriber.
        holds: whether the whole rule does.
        conditions: each with its value.
    """

    at: int
    known: bool
    holds: bool
    conditions: list[ConditionValue]


def why(rule: Rule, subscriber: int, history: History, pane: int, types: BusinessTypes) -> Why:
    """The conditions of a rule with their values for one subscriber (party code) at the last pane end."""
    theirs = [s.take(s.caller == subscriber) for s in history.shards]
    rows = from_records(concat([s for s in theirs if len(s)] or [from_batches([])]))
    at = first_pane_end_after(history.last, pane)
    found = explain(rule, subscriber, rows, at, context_of(types))
    known = len(rows) > 0
    whole = known and holds(rule.when, {c.path: c.held for c in found})
    return Why(at, known, whole, found)
