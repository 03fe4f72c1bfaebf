"""A metric must say the same of records in one batch, in split batches, and merged in any order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

Partial = TypeVar("Partial")
Result = TypeVar("Result")
Item = TypeVar("Item")


def three_ways(
    items: Sequence[Item],
    count: Callable[[Sequence[Item]], Partial],
    merge: Callable[[list[Partial]], Partial],
    finish: Callable[[Partial], Result],
    seed: int = 0,
) -> Result:
    """Asserts that all three ways give equal results, and gives the result.

    Args:
        items: what is counted.
        count: the partial result of some items, also of none.
        merge: several partial results into one.
        finish: the result of a partial result; compared with ``==``.
        seed: of the cuts and orders that are tried.
    """
    rng = random.Random(seed)
    result = finish(count(items))
    parts = [count(part) for part in split(items, rng)]
    assert finish(merge(parts)) == result, "split"
    rng.shuffle(parts)
    assert finish(merge(parts)) == result, "merged in another order"
    cut = rng.randint(0, len(parts))
    nested = [merge(half) for half in (parts[:cut], parts[cut:]) if half]
    assert finish(merge(nested)) == result, "merged in stages"
    return result


def split(items: Sequence[Item], rng: random.Random) -> list[Sequence[Item]]:
    """The items in a few pieces, some of them empty."""
    cuts = sorted(rng.randint(0, len(items)) for _ in range(rng.randint(1, 4)))
    return [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]
