"""All templates of a shard in one pass, and shards added up: the oracle's tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import CALLED, CALLERS, One, by_key, expected, ones, records_of, small_reference

from transforms.columns.analysis import (
    Plan,
    ShardResult,
    analyse_shard,
    cluster_rows,
    merge_sums,
    table_rows,
)
from transforms.columns.dedup import distinct_hours, distinct_records
from transforms.columns.windows import Window
from transforms.schema import TEMPLATES

REFERENCE = small_reference()
NOBODY = np.zeros(24, np.int64)


def analyse(records: list[One], plan: Plan, population: np.ndarray = NOBODY) -> ShardResult:
    return analyse_shard(distinct_records(records_of(records)), plan, REFERENCE, population)


@settings(max_examples=20, deadline=None)
@given(ones(), st.sampled_from([(0, 0), (86_400, 7200)]))
def test_two_shards_add_up_to_the_oracle(records: list[One], size: tuple[int, int]) -> None:
    records = [r for r in records if r.id]  # without ids the account at a tie is anybody's guess
    plan, want = Plan(TEMPLATES, Window(*size)), expected(records, size)
    shards = [[r for r in records if r.caller in half] for half in (CALLERS[:1], CALLERS[1:])]
    hours = [distinct_hours(records_of(shard)) for shard in shards]
    assert sum(duplicates for _, duplicates in hours) == want.fates["duplicate"]
    population = sum((h for h, _ in hours), NOBODY)
    assert population.sum() == want.fates["good"]
    results = [analyse(shard, plan, population) for shard in shards]
    for name in ("good", "duplicate", "conflicting"):
        assert sum(r.counts[name] for r in results) == want.fates[name]
    tables = table_rows(merge_sums([r.sums for r in results]), plan, REFERENCE)
    people = [r.subscribers for r in results if r.subscribers is not None]
    tables["subscribers"] = pl.concat(people) if people else pl.DataFrame()
    assert {name: by_key(name, rows) for name, rows in tables.items()} == want.tables


def test_only_what_the_plan_names() -> None:
    result = analyse([One()], Plan(("regions",)))
    assert (list(result.sums), result.subscribers, result.types) == (["regions"], None, None)
    assert analyse([], Plan()).subscribers is None
    plan = Plan((*TEMPLATES, "clusters"))
    assert plan.with_clusters
    assert analyse([One()], plan).types is not None


@pytest.mark.parametrize("turned", [False, True])
def test_clusters_go_to_their_subscribers(turned: bool) -> None:
    calls = {"+12025550123": CALLED[0], "+442079460018": CALLED[0], "100": CALLED[2], "sip:alice": "bob"}
    records = [One(caller=caller, called=called) for caller, called in calls.items()]
    plan = Plan((*TEMPLATES, "clusters"))
    result = analyse(records[::-1] if turned else records, plan)
    assert result.subscribers is not None
    assert result.types is not None
    clusters = cluster_rows(result.subscribers, result.types, REFERENCE)
    assert dict(clusters.select("subscriber", "cluster").iter_rows()) == {
        "+12025550123": 0,
        "+442079460018": 0,
        "100": 1,
        "sip:alice": 2,
    }
