"""The light pass before the analysis: everybody's hours, duplicates counted once."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from record_sets import One, ones, records_of

from transforms.columns.dedup import distinct_hours, distinct_records
from transforms.hours import CountHours, hours_of
from transforms.packets import Packet


@settings(max_examples=60, deadline=None)
@given(ones())
def test_hours_are_those_of_distinct_records(records: list[One]) -> None:
    distinct = distinct_records(records_of(records))
    hours, duplicates = distinct_hours(records_of(records))
    assert hours.tolist() == np.bincount(distinct.records.hour, minlength=24).tolist()
    assert duplicates == distinct.duplicates


def packet(records: list[One], order: str) -> Packet:
    return Packet({"order": order}, {"records": pa.Table.from_batches([records_of(records).to_batch()])})


@pytest.mark.parametrize("runner", ["BundleBasedDirectRunner", "FnApiRunner"])
def test_the_first_by_input_order_counts_over_packets(runner: str) -> None:
    first, later, other = One(id="a"), One(id="a", second=One().second + 7200), One(id="b")
    groups = [(0, [packet([later], "2"), packet([first], "1")]), (1, [packet([other], "3")])]
    with beam.Pipeline(runner) as pipeline:
        found = pipeline | beam.Create(groups) | CountHours() | beam.Map(_plain)
        assert_that(found, equal_to([({0: 2}, 1, One().second + 7200)]))


def test_no_shards_have_no_hours() -> None:
    with beam.Pipeline("BundleBasedDirectRunner") as pipeline:
        assert_that(
            pipeline | beam.Create([]) | CountHours() | beam.Map(_plain), equal_to([({}, 0, -(1 << 62))])
        )


def _plain(packet: Packet) -> tuple[dict[int, int], int, int]:
    hours, head = hours_of(packet), packet.header
    return {int(h): int(hours[h]) for h in np.flatnonzero(hours)}, head["duplicates"], head["last"]
