"""Clusters keep the numbers of the tags they start from."""

from __future__ import annotations

import numpy as np

from transforms.columns.clusters import cluster_subscribers
from transforms.columns.directory import BusinessTypes
from transforms.schema import BUSINESS_TYPES, PRIVATE

TYPES = BusinessTypes.of(BUSINESS_TYPES, PRIVATE)


def callers_of(*positions: int) -> np.ndarray:
    """A subscriber per position, ten calls to that type and one to the next."""
    rows = np.zeros((len(positions), len(TYPES.names)), np.uint32)
    for row, position in enumerate(positions):
        rows[row, position] = 10
        rows[row, (position + 1) % len(TYPES.names)] = 1
    return rows


def test_each_types_lovers_are_in_the_cluster_of_its_tag() -> None:
    rows = callers_of(*[p for p in range(16) for _ in range(5)])
    assert cluster_subscribers(rows, TYPES).reshape(16, 5).T.tolist() == [list(TYPES.tag_of)] * 5


def test_how_much_one_calls_does_not_matter() -> None:
    rows = callers_of(0, 4, 6, 8, 10, 14, 15, 0, 4)
    assert cluster_subscribers(rows * 7, TYPES).tolist() == cluster_subscribers(rows, TYPES).tolist()


def test_fewer_subscribers_than_clusters() -> None:
    assert cluster_subscribers(callers_of(15, 1, 6), TYPES).tolist() == [6, 0, 2]
    assert cluster_subscribers(callers_of(14), TYPES).tolist() == [5]
    assert cluster_subscribers(callers_of(), TYPES).tolist() == []


def test_the_same_every_time() -> None:
    rows = np.random.default_rng(3).integers(0, 5, (200, 16)).astype(np.uint32) + np.eye(
        200, 16, dtype=np.uint32
    )
    rows[:, 0] += 1
    first = cluster_subscribers(rows, TYPES)
    assert first.tolist() == cluster_subscribers(rows, TYPES).tolist()
    assert set(first.tolist()) <= set(range(7))
