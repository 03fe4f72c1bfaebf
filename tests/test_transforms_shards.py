"""Each template as a PTransform by itself, in small pipelines."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from record_sets import BEGIN, CALLED, CALLERS, One, by_key, expected, records_of, small_reference

from transforms.columns.analysis import Plan
from transforms.columns.hashing import shard_of
from transforms.columns.windows import Window
from transforms.packets import Packet
from transforms.shards import (
    ClusterSubscribers,
    CountBusinessTypes,
    CountRegions,
    GraphTypes,
    ProfileSubscribers,
    SumHourlyDurations,
    template_transforms,
)

RNG = random.Random(5)
RECORDS = [
    One(
        caller=RNG.choice(CALLERS), called=RNG.choice(CALLED), second=BEGIN + RNG.randrange(200_000),
        kind=RNG.randrange(8), id=RNG.choice(["a", "b", f"{n}"]), account=RNG.choice(["", "A1"]),
    )
    for n in range(60)
]  # fmt: skip
TEMPLATES = [
    SumHourlyDurations,
    CountBusinessTypes,
    CountRegions,
    ProfileSubscribers,
    GraphTypes,
    ClusterSubscribers,
]


def packets() -> list[tuple[int, Packet]]:
    """The records in four chunks, by shard, shuffled: ``order`` says which came first."""
    out = []
    for chunk in range(4):
        part = RECORDS[chunk * 15 : chunk * 15 + 15]
        columns = records_of(part)
        shards = shard_of(columns.caller, 3)
        for k in sorted(set(shards.tolist())):
            batch = columns.take(shards == k).to_batch()
            table = pa.Table.from_batches([batch])
            out.append((k, Packet({"order": f"{chunk:04d}"}, {"records": table})))
    random.Random(1).shuffle(out)
    return out


def tables_of(packets: list[Packet]) -> dict[str, dict[tuple, dict[str, Any]]]:
    out: dict[str, dict[tuple, dict[str, Any]]] = {}
    for packet in packets:
        for name, table in packet.tables.items():
            out.setdefault(name, {}).update(by_key(name, table))
    return out


@pytest.mark.parametrize(
    ("runner", "size", "templates"),
    [
        ("FnApiRunner", (0, 0), TEMPLATES),
        ("BundleBasedDirectRunner", (86_400, 7200), [GraphTypes, ProfileSubscribers]),
    ],
)
def test_each_fills_its_table_and_no_other(runner: str, size: tuple[int, int], templates: list[Any]) -> None:
    want = expected(RECORDS, size)

    def check(template: Any) -> Callable[[list[Packet]], None]:
        table = template.templates[0]

        def look(packets: list[Packet]) -> None:
            assert tables_of(packets) == {table: want.tables[table]}
            (counts,) = [p.header["counts"] for p in packets if "counts" in p.header]
            assert all(counts[n] == want.fates[n] for n in ("good", "duplicate", "conflicting"))
            clusters = [r["cluster"] for p in packets for r in rows(p)]
            assert all((c is not None) == (template is ClusterSubscribers) for c in clusters)

        return look

    with beam.Pipeline(runner) as pipeline:
        records = pipeline | beam.Create(packets())
        for template in templates:
            name = template.__name__
            results = records | name >> template(Plan((), Window(*size)), small_reference)
            assert_that(results, check(template), label=f"Check{name}")


def rows(packet: Packet) -> list[dict[str, Any]]:
    return packet.tables["subscribers"].to_pylist() if "subscribers" in packet.tables else []


def test_every_template_has_a_transform() -> None:
    names = template_transforms()
    assert set(names.values()) == set(TEMPLATES)
    assert all(name in transform.templates for name, transform in names.items())


def test_no_records() -> None:
    with beam.Pipeline("BundleBasedDirectRunner") as pipeline:
        empty = pipeline | beam.Create([(0, Packet({"order": "0", "read": 2, "rejected": 2}))])
        results = empty | ProfileSubscribers(Plan(), small_reference)

        def check(packets: list[Packet]) -> None:
            assert tables_of(packets) == {}
            assert [p.header["counts"]["rejected"] for p in packets if "counts" in p.header] == [2]

        assert_that(results, check)
